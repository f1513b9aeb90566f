using Kv.Connections;
using Kv.Messages;

namespace Kv.Sqlite;

/// <summary>The values of a message that every statement takes which puts one in.</summary>
internal static class MessageValues
{
    /// <summary>The values, by the names of their parameters.</summary>
    /// <param name="message">The message.</param>
    /// <param name="now">The time.</param>
    public static IEnumerable<(string Name, object? Value)> Of(NewMessage message, long now) =>
    [
        ("@now", now), ("@id", message.Id), ("@data", message.Data), ("@backoff", message.Backoff),
        ("@undelivered", message.Undelivered), ("@topic", message.Topic), ("@type", message.Type), ("@encoding", message.Encoding),
        ("@trace", message.Trace), ("@priority", message.Priority), ("@rate", message.RateKey),
        ("@topicretries", message.TopicRetries ? 1 : 0),
    ];

    /// <summary>Sets them.</summary>
    /// <param name="statement">The statement.</param>
    /// <param name="message">The message.</param>
    /// <param name="now">The time.</param>
    public static Statement Set(this Statement statement, NewMessage message, long now)
    {
        foreach (var (name, value) in Of(message, now))
        {
            statement.Set(name, value);
        }

        return statement;
    }
}
