using Kv.Connections;
using Kv.Messages;
using Kv.Queue;

namespace Kv.Sqlite;

/// <summary>Looks at one topic after the other.</summary>
internal sealed class SqliteQueueReader(ReadRunner runner, Driver driver, StoreClock clock) : QueueReader(runner, driver, clock)
{
    protected override async ValueTask<NextDue> NextDueAsync(Session session, IReadOnlyList<TopicClaim> topics, CancellationToken cancellationToken)
    {
        NextDue next = default;
        foreach (var topic in topics)
        {
            var statement = session.Statement(Driver.Sql.NextDue).Set("@now", Clock.Now).Set("@topic", topic.Topic).Set("@pause", topic.Pause);
            var one = await ReadNextDueAsync(statement, cancellationToken).ConfigureAwait(false);
            next = one with { Due = Earlier(next.Due, one.Due), Deferred = Earlier(next.Deferred, one.Deferred) };
        }

        return next;

        static long? Earlier(long? one, long? other) => one is null || other < one ? other ?? one : one;
    }
}
