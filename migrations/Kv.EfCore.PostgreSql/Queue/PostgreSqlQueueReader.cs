using Kv.Connections;
using Kv.Messages;
using Kv.Queue;

namespace Kv.PostgreSql;

/// <summary>Looks at all topics in one statement.</summary>
internal sealed class PostgreSqlQueueReader(ReadRunner runner, Driver driver, StoreClock clock) : QueueReader(runner, driver, clock)
{
    protected override ValueTask<NextDue> NextDueAsync(Session session, IReadOnlyList<TopicClaim> topics, CancellationToken cancellationToken) => ReadNextDueAsync(
        session.Statement(Driver.Sql.NextDue).Set("@now", Clock.Now)
            .Set("@topics", topics.Select(static t => t.Topic).ToArray()).Set("@pauses", topics.Select(static t => t.Pause).ToArray()),
        cancellationToken);

    protected override async ValueTask<List<(MessageGroup Group, bool IsStranded)>> LookForStrandedAsync(
        Session session, IReadOnlyList<MessageGroup> after, int limit, CancellationToken cancellationToken)
    {
        List<(MessageGroup Group, bool IsStranded)> seen = [];
        var statement = session.Statement(Driver.Sql.Stranded).Set("@limit", limit)
            .Set("@topics", after.Select(static a => a.Topic).ToArray()).Set("@afters", after.Select(static a => a.Key).ToArray());
        var reader = await statement.ReadAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                seen.Add((new MessageGroup(reader.GetString(0), reader.GetString(1)), reader.GetInt32(2) == 1));
            }
        }

        return seen;
    }
}
