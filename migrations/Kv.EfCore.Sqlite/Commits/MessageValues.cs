using Kv.Connections;
using Kv.Messages;

namespace Kv.Sqlite;

/// <summary>The values of a message that every statement takes which puts one in.</summary>
internal static class MessageValues
{
    /// <summary>Sets them.</summary>
    /// <param name="statement">The statement.</param>
    /// <param name="message">The message.</param>
    /// <param name="now">The time.</param>
    public static Statement Set(this Statement statement, NewMessage message, long now) => statement
        .Set("@now", now).Set("@id", message.Id).Set("@data", message.Data)
        .Set("@backoff", message.Backoff).Set("@undelivered", message.Undelivered).Set("@topic", message.Topic)
        .Set("@type", message.Type).Set("@encoding", message.Encoding).Set("@trace", message.Trace).Set("@priority", message.Priority)
        .Set("@rate", message.RateKey).Set("@topicretries", message.TopicRetries ? 1 : 0);
}
