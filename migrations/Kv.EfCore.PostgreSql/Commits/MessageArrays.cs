using System.Data.Common;
using Kv.Messages;

namespace Kv.PostgreSql;

/// <summary>New messages as the arrays of one statement, a column each.</summary>
internal static class MessageArrays
{
    /// <summary>Gives the statement its values.</summary>
    public static void Set(DbParameterCollection p, List<(NewMessage Message, long VersionOffset)> messages, long now)
    {
        RoundTrip.Set(
            p,
            ("@now", now),
            ("@ids", All(static m => m.Id)),
            ("@datas", All(static m => m.Data)),
            ("@backoffs", All(static m => m.Backoff)),
            ("@undelivereds", All(static m => m.Undelivered)),
            ("@topics", All(static m => m.Topic)),
            ("@types", All(static m => m.Type)),
            ("@encodings", All(static m => m.Encoding)),
            ("@delays", All(static m => m.Delay)),
            ("@traces", All(static m => m.Trace)),
            ("@priorities", All(static m => m.Priority)),
            ("@groups", All(static m => m.GroupKey)),
            ("@grouplimits", All(static m => m.GroupLimit)),
            ("@rates", All(static m => m.RateKey)),
            ("@uniques", All(static m => m.UniqueKey)),
            ("@uniqueuntils", All(m => m.UniqueFor > 0 ? now + m.UniqueFor : 0)),
            ("@retries", All(static m => m.TopicRetries ? 1 : 0)),
            ("@scopes", All(static m => m.Scope)),
            ("@versionoffsets", messages.Select(static m => m.VersionOffset).ToArray()),
            ("@aheads", Ahead(messages)));

        T[] All<T>(Func<NewMessage, T> column) => messages.Select(m => column(m.Message)).ToArray();
    }

    /// <summary>How many messages of the same group each has before it that look for a slot as well.</summary>
    private static long[] Ahead(List<(NewMessage Message, long VersionOffset)> messages)
    {
        Dictionary<(string, string), long> slots = [];
        var ahead = new long[messages.Count];
        for (var i = 0; i < ahead.Length; i++)
        {
            if (messages[i].Message is { GroupKey: { } group, IsDeferred: false } message)
            {
                ahead[i] = slots.GetValueOrDefault((message.Topic, group));
                slots[(message.Topic, group)] = ahead[i] + 1;
            }
        }

        return ahead;
    }
}
