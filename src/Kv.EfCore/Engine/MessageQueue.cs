namespace Kv.Engine;

/// <summary>What happens to messages: claim, extend, complete, requeue. Every change of a held message proves that it is still held.</summary>
internal sealed class MessageQueue(
    CommitPipeline pipeline, SnapshotReader reader, SessionFactory sessions, KvDialect dialect, StoreClock clock, WriteTurn? turn, CommitSignals signals, ChangeListener listener)
{
    /// <summary>Messages came into the queue by a commit of this process or of another that was heard of.</summary>
    public event Action MessagesQueued
    {
        add => signals.MessagesQueued += value;
        remove => signals.MessagesQueued -= value;
    }

    /// <summary>Somebody, in this process or another, asked for running messages to be cancelled. It may come without a cause: look before writing.</summary>
    public event Action CancelRequested
    {
        add => signals.CancelRequested += value;
        remove => signals.CancelRequested -= value;
    }

    /// <summary><see cref="Hears"/> is not what it was.</summary>
    public event Action HearsChanged
    {
        add => listener.HearsChanged += value;
        remove => listener.HearsChanged -= value;
    }

    /// <summary>Whether the commits of other processes are heard of, so that looking for them is a precaution.</summary>
    public bool Hears => listener.Hears;

    public TimeProvider Time => clock.Time;

    /// <summary>Whether due times and leases are judged by the database server's clock.</summary>
    public bool ServerJudges => clock.ServerJudgesQueues;

    /// <summary>Hears of commits of other processes until the result is disposed of.</summary>
    public IDisposable Listen() => listener.Listen(watches: false);

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

    /// <summary>Opens a session that does nothing but keep leases alive. It blocks the calling thread.</summary>
    public LeaseKeeper OpenLeaseKeeper() => new(sessions.Open(SessionRole.Heartbeat), dialect, clock, turn);
}
