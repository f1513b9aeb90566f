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
}
