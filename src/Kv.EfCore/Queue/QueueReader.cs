using Kv.Commits;
using Kv.Connections;
using Kv.Messages;
using Kv.Sql;

namespace Kv.Queue;

/// <summary>Looks into the queue without taking anything.</summary>
internal sealed class QueueReader(ReadRunner runner, KvDialect dialect, StoreClock clock)
{
    /// <summary>Whether a message that is held is to be cancelled.</summary>
    /// <remarks>A read, and no work of a group: the answer to a commit that was lost must not turn into a yes, by which the message would be dropped.</remarks>
    public ValueTask<bool> IsCancelledAsync(Fence fence, CancellationToken cancellationToken) =>
        runner.RunAsync(
            fence,
            static async (session, of, token) => await session.Statement(KvSql.IsCancelled).Set("@id", of.Id).Set("@owner", of.Owner).Set("@claim", of.Claim)
                .ScalarAsync(token).ConfigureAwait(false) is not null,
            cancellationToken);

    /// <summary>Milliseconds until the next message of some topics is due, and until the next lease lapses.</summary>
    public ValueTask<NextDue> NextDueAsync(IReadOnlyList<TopicClaim> topics, CancellationToken cancellationToken) =>
        runner.RunAsync((Reader: this, Topics: topics), static (session, arg, token) => arg.Reader.NextDueAsync(session, arg.Topics, token), cancellationToken);

    /// <summary>Groups of topics that wait for nobody, and for each topic the group after which to look next: an empty one for the first.</summary>
    public ValueTask<(IReadOnlyList<MessageGroup> Stranded, IReadOnlyList<MessageGroup> After)> StrandedAsync(
        IReadOnlyList<MessageGroup> after, int limit, CancellationToken cancellationToken) => runner.RunAsync(
        (Reader: this, After: after, Limit: limit), static (session, arg, token) => arg.Reader.StrandedAsync(session, arg.After, arg.Limit, token), cancellationToken);

    /// <summary>The first topics that have messages which wait.</summary>
    public ValueTask<IReadOnlyList<string>> TopicsAsync(int limit, CancellationToken cancellationToken) => runner.RunAsync(
        limit,
        static async (session, most, token) =>
        {
            List<string> topics = [];
            var reader = await session.Statement(KvSql.Topics).Set("@limit", most).ReadAsync(token).ConfigureAwait(false);
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
        (Clock: clock, Ahead: (long)ahead.TotalMilliseconds, Limit: limit),
        static async (session, arg, token) =>
        {
            List<LapsedLease> lapsed = [];
            var statement = session.Statement(KvSql.Lapsed(arg.Clock.ServerDecides)).Set("@now", arg.Clock.Now).Set("@ahead", arg.Ahead).Set("@limit", arg.Limit);
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

    private async ValueTask<NextDue> NextDueAsync(
        Session session, IReadOnlyList<TopicClaim> topics, CancellationToken cancellationToken)
    {
        var statement = session.Statement(dialect.Sql.NextDue(clock.ServerDecides)).Set("@now", clock.Now);
        if (dialect.Sql.Arrays)
        {
            return await ReadAsync(statement.Set("@topics", topics.Select(static t => t.Topic).ToArray()).Set("@pauses", topics.Select(static t => t.Pause).ToArray()))
                .ConfigureAwait(false);
        }

        NextDue next = default;
        foreach (var topic in topics)
        {
            var one = await ReadAsync(statement.Set("@topic", topic.Topic).Set("@pause", topic.Pause)).ConfigureAwait(false);
            next = one with { Due = Earlier(next.Due, one.Due), Deferred = Earlier(next.Deferred, one.Deferred) };
        }

        return next;

        async ValueTask<NextDue> ReadAsync(Statement of)
        {
            var reader = await of.ReadAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                return new NextDue(At(0), At(1), At(2), !reader.IsDBNull(2) || !reader.IsDBNull(3));
            }

            long? At(int column) => reader.IsDBNull(column) ? null : reader.GetInt64(column);
        }

        static long? Earlier(long? one, long? other) => one is null || other < one ? other ?? one : one;
    }

    private async ValueTask<(IReadOnlyList<MessageGroup> Stranded, IReadOnlyList<MessageGroup> After)> StrandedAsync(
        Session session, IReadOnlyList<MessageGroup> after, int limit, CancellationToken cancellationToken)
    {
        List<(MessageGroup Group, bool IsStranded)> seen = [];
        var statement = session.Statement(dialect.Sql.Stranded).Set("@limit", limit);
        if (dialect.Sql.Arrays)
        {
            await ReadAsync(statement.Set("@topics", after.Select(static a => a.Topic).ToArray()).Set("@afters", after.Select(static a => a.Key).ToArray()), null)
                .ConfigureAwait(false);
        }
        else
        {
            foreach (var (topic, key) in after)
            {
                await ReadAsync(statement.Set("@topic", topic).Set("@after", key), topic).ConfigureAwait(false);
            }
        }

        // A topic that gave none that is well was looked through to its end.
        var last = seen.Where(static s => !s.IsStranded).ToDictionary(static s => s.Group.Topic, static s => s.Group.Key, StringComparer.Ordinal);
        return (
            [.. seen.Where(static s => s.IsStranded).Select(static s => s.Group)],
            [.. after.Select(a => new MessageGroup(a.Topic, last.GetValueOrDefault(a.Topic, "")))]);

        async ValueTask ReadAsync(Statement of, string? topic)
        {
            var reader = await of.ReadAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                var first = topic is null ? 1 : 0;
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    seen.Add((new MessageGroup(topic ?? reader.GetString(0), reader.GetString(first)), reader.GetInt32(first + 1) == 1));
                }
            }
        }
    }
}

/// <summary>A lease that lapsed.</summary>
/// <param name="Id">The id of the message.</param>
/// <param name="Owner">Who held it; empty if a program that does not say does.</param>
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
