using Kv.Connections;
using Kv.Messages;

namespace Kv.Queue;

/// <summary>Looks into the queue without taking anything.</summary>
internal abstract class QueueReader(ReadRunner runner, Driver driver, StoreClock clock)
{
    protected Driver Driver { get; } = driver;

    protected StoreClock Clock { get; } = clock;

    /// <summary>Whether a message that is held is to be cancelled.</summary>
    /// <remarks>A read, and no work of a group: the answer to a commit that was lost must not turn into a yes, by which the message would be dropped.</remarks>
    public ValueTask<bool> IsCancelledAsync(Fence fence, CancellationToken cancellationToken) =>
        runner.RunAsync(
            fence,
            static async (session, of, token) => await session.Statement(session.Sql.IsCancelled).Set("@id", of.Id).Set("@owner", of.Owner).Set("@claim", of.Claim)
                .ScalarAsync(token).ConfigureAwait(false) is not null,
            cancellationToken);

    /// <summary>Milliseconds until the next message of some topics is due, and until the next lease lapses.</summary>
    public ValueTask<NextDue> NextDueAsync(IReadOnlyList<TopicClaim> topics, CancellationToken cancellationToken) =>
        runner.RunAsync((Reader: this, Topics: topics), static (session, arg, token) => arg.Reader.NextDueAsync(session, arg.Topics, token), cancellationToken);

    /// <summary>The first topics that have messages which wait.</summary>
    public ValueTask<IReadOnlyList<string>> TopicsAsync(int limit, CancellationToken cancellationToken) => runner.RunAsync(
        limit,
        static async (session, most, token) =>
        {
            List<string> topics = [];
            var reader = await session.Statement(session.Sql.Topics).Set("@limit", most).ReadAsync(token).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(token).ConfigureAwait(false))
                {
                    topics.Add(reader.GetString(0));
                }
            }

            return (IReadOnlyList<string>)topics;
        },
        cancellationToken);

    /// <summary>What lapsed, or is to lapse within a time; the first of it.</summary>
    public ValueTask<List<LapsedLease>> LapsedAsync(TimeSpan ahead, int limit, CancellationToken cancellationToken) => runner.RunAsync(
        (Clock, Ahead: (long)ahead.TotalMilliseconds, Limit: limit),
        static async (session, arg, token) =>
        {
            List<LapsedLease> lapsed = [];
            var statement = session.Statement(session.Sql.Lapsed).Set("@now", arg.Clock.Now).Set("@ahead", arg.Ahead).Set("@limit", arg.Limit);
            var reader = await statement.ReadAsync(token).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(token).ConfigureAwait(false))
                {
                    lapsed.Add(new LapsedLease(reader.GetString(0), reader.GetString(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetString(4)));
                }
            }

            return lapsed;
        },
        cancellationToken);

    /// <inheritdoc cref="NextDueAsync(IReadOnlyList{TopicClaim}, CancellationToken)" />
    protected abstract ValueTask<NextDue> NextDueAsync(Session session, IReadOnlyList<TopicClaim> topics, CancellationToken cancellationToken);

    /// <summary>Reads the row of a look for due times.</summary>
    protected static async ValueTask<NextDue> ReadNextDueAsync(Statement statement, CancellationToken cancellationToken)
    {
        var reader = await statement.ReadAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            return new NextDue(At(0), At(1), At(2), !reader.IsDBNull(2) || !reader.IsDBNull(3));
        }

        long? At(int column) => reader.IsDBNull(column) ? null : reader.GetInt64(column);
    }
}

/// <summary>A lease that lapsed.</summary>
/// <param name="Id">The id of the message.</param>
/// <param name="Owner">The worker that held it; empty for a program that does not say.</param>
/// <param name="Claim">The number of its claim.</param>
/// <param name="Deadline">When it ended, in Unix milliseconds.</param>
/// <param name="Topic">The message's topic.</param>
internal readonly record struct LapsedLease(string Id, string Owner, long Claim, long Deadline, string Topic);

/// <summary>What a look at the queue finds, in milliseconds from now; null where there is none.</summary>
/// <param name="Due">Until the next message is due.</param>
/// <param name="Deferred">Until one is due that looks for a slot then.</param>
/// <param name="Lapse">Until the next lease lapses.</param>
/// <param name="HasRows">Whether any message waits or runs, of whatever topic and in whatever state.</param>
internal readonly record struct NextDue(long? Due, long? Deferred, long? Lapse, bool HasRows);
