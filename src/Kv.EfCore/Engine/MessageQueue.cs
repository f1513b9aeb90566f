using System.Data.Common;

namespace Kv.Engine;

/// <summary>What happens to messages: claim, extend, complete, requeue. Every change of a held message proves that it is still held.</summary>
internal sealed class MessageQueue(
    CommitPipeline pipeline, SnapshotReader reader, SessionFactory sessions, KvDialect dialect, StoreClock clock, CommitSignals signals)
{
    /// <summary>Messages came into the queue by a commit of this process.</summary>
    public event Action MessagesQueued
    {
        add => signals.MessagesQueued += value;
        remove => signals.MessagesQueued -= value;
    }

    public TimeProvider Time => clock.Time;

    /// <summary>Takes up to <paramref name="limit"/> due messages, oldest first within a topic.</summary>
    public ValueTask<IReadOnlyList<ClaimedMessage>> ClaimAsync(
        IReadOnlyList<string> topics, int limit, string owner, TimeSpan lease, bool recover, CancellationToken cancellationToken) =>
        pipeline.SubmitAsync(new ClaimWork(topics, limit, owner, lease, recover), cancellationToken);

    /// <summary>Removes a handled message.</summary>
    /// <returns>Whether it was still held; if not, others have it or had it.</returns>
    public ValueTask<bool> CompleteAsync(Fence fence, CancellationToken cancellationToken) =>
        pipeline.SubmitAsync(new CompleteWork(fence), cancellationToken);

    /// <summary>Puts a message back, due after a delay, with what is left of its schedule.</summary>
    /// <returns>Whether it was still held.</returns>
    public ValueTask<bool> RequeueAsync(Fence fence, TimeSpan delay, string backoff, int attempt, CancellationToken cancellationToken) =>
        pipeline.SubmitAsync(new RequeueWork(fence, delay, backoff, attempt), cancellationToken);

    /// <summary>Commits a write that acknowledges the message.</summary>
    /// <exception cref="KvException">The message is not held any more (<see cref="KvError.LeaseLost"/>): nothing is written.</exception>
    public ValueTask<AtomicOutcome> CommitAsync(AtomicWrite write, CancellationToken cancellationToken) =>
        pipeline.SubmitAsync(new AtomicWork(write), cancellationToken);

    /// <summary>Milliseconds until the next message of some topics is due, and until the next lease lapses.</summary>
    public ValueTask<(long? Due, long? Lapse)> NextDueAsync(IReadOnlyList<string> topics, CancellationToken cancellationToken) =>
        reader.NextDueAsync(topics, cancellationToken);

    /// <summary>Opens a session that does nothing but keep leases alive.</summary>
    public async ValueTask<LeaseKeeper> OpenLeaseKeeperAsync(CancellationToken cancellationToken) =>
        new(await sessions.OpenAsync(SessionRole.Heartbeat, cancellationToken).ConfigureAwait(false), dialect, clock);
}

/// <summary>Extends leases on a connection of its own, so that no handler's traffic can hold them up.</summary>
internal sealed class LeaseKeeper(Session session, KvDialect dialect, StoreClock clock) : IAsyncDisposable
{
    /// <summary>Extends the leases of held messages.</summary>
    /// <returns>Those that are still held.</returns>
    public async ValueTask<HashSet<Fence>> ExtendAsync(IReadOnlyList<Fence> fences, string owner, TimeSpan lease, CancellationToken cancellationToken)
    {
        HashSet<Fence> held = [];
        var statement = session.Statement(dialect.Sql.Extend(clock.ServerJudgesQueues)).Set("@now", clock.Now)
            .Set("@lease", (long)lease.TotalMilliseconds).Set("@owner", owner);
        if (dialect.Sql.Arrays)
        {
            statement.Set("@ids", fences.Select(static f => f.Id).ToArray()).Set("@claims", fences.Select(static f => f.Claim).ToArray());
            await ReadAsync(statement).ConfigureAwait(false);
        }
        else
        {
            await session.ExecuteAsync(dialect.Sql.BeginWrite, cancellationToken).ConfigureAwait(false);
            try
            {
                foreach (var fence in fences)
                {
                    await ReadAsync(statement.Set("@id", fence.Id).Set("@claim", fence.Claim)).ConfigureAwait(false);
                }

                await session.ExecuteAsync(KvSql.Commit, CancellationToken.None).ConfigureAwait(false);
            }
            catch
            {
                await TryRollbackAsync().ConfigureAwait(false);
                throw;
            }
        }

        return held;

        async ValueTask ReadAsync(Statement extend)
        {
            var reader = await extend.ReadAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    held.Add(new Fence(reader.GetString(0), owner, reader.GetInt64(1)));
                }
            }
        }
    }

    public Fault Classify(Exception error) => dialect.Classify(error);

    public ValueTask DisposeAsync() => session.DisposeAsync();

    private async ValueTask TryRollbackAsync()
    {
        try
        {
            await session.ExecuteAsync(KvSql.Rollback, CancellationToken.None).ConfigureAwait(false);
        }
        catch (DbException)
        {
            // The cause is on its way to the caller, who closes this session.
        }
    }
}
