using Kv.Changes;
using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Messages;
using Kv.Sql;

namespace Kv.Queue;

/// <summary>
/// What happens to messages: claim, extend, complete, requeue. Every change of a running message proves that its claim still counts.
/// </summary>
internal sealed class MessageQueue(
    KvSql sql,
    CommitPipeline pipeline,
    CommitPipeline claims,
    QueueReader reader,
    StrayFinder strays,
    SessionFactory sessions,
    Func<Session, LeaseKeeper> newLeaseKeeper,
    StoreClock clock,
    CommitSignals signals,
    ChangeListener listener,
    FailPoints failPoints)
{
    /// <summary>Whether the commits of other processes are heard of, so that looking for them is a precaution.</summary>
    public bool IsListening => listener.IsListening;

    public TimeProvider Time => clock.Time;

    /// <summary>What time it is by the clock that decides, as far as it is known here.</summary>
    public DateTimeOffset UtcNow => clock.UtcNow;

    /// <summary>Whether due times and leases are judged by the database server's clock.</summary>
    public bool ServerJudges => clock.ServerDecides;

    /// <summary>Whether all processes of the store are on one machine, and judge by its clock: there is no other.</summary>
    public bool IsLocal => !clock.HasServer;

    /// <summary>
    /// Listens for commits of other processes, and tells a consumer of what concerns it, until the result is disposed of.
    /// </summary>
    public IDisposable Attach(IMessageConsumer consumer) => new Attachment(consumer, pipeline, signals, listener);

    /// <summary>Takes due messages, by priority and then oldest first within a topic.</summary>
    public ValueTask<IReadOnlyList<ClaimedMessage>> ClaimAsync(ClaimWork claim, CancellationToken cancellationToken) =>
        (claim.IsOfBacklog ? claims : pipeline).SubmitAsync(claim, cancellationToken);

    /// <summary>Removes a handled message.</summary>
    /// <returns>Whether it still ran under this claim; if not, others have it or had it.</returns>
    public async ValueTask<bool> CompleteAsync(ClaimedMessage message, CancellationToken cancellationToken)
    {
        if (message.Keys is not { } keys)
        {
            var complete = new CompleteWork(message.Fence) { Yields = true };
            return await pipeline.SubmitAsync(complete, cancellationToken).ConfigureAwait(false);
        }

        try
        {
            var write = new AtomicWrite { Acknowledges = message.Fence, Ends = keys };
            await pipeline.SubmitAsync(new AtomicWork(write) { Yields = true }, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (KvException error) when (error.Kind == KvErrorKind.LeaseLost)
        {
            return false;
        }
    }

    /// <summary>Puts a message back.</summary>
    /// <returns>Whether it still ran under this claim.</returns>
    public ValueTask<bool> RequeueAsync(RequeueWork requeue, CancellationToken cancellationToken) =>
        pipeline.SubmitAsync(requeue, cancellationToken);

    /// <summary>Commits a write that acknowledges the message.</summary>
    /// <exception cref="KvException">
    /// The claim does not count any more (<see cref="KvErrorKind.LeaseLost"/>): nothing is written.
    /// </exception>
    public ValueTask<AtomicOutcome> CommitAsync(AtomicWrite write, CancellationToken cancellationToken) =>
        pipeline.SubmitAsync(new AtomicWork(write), cancellationToken);

    /// <summary>Notes what the handler of a running message says of it.</summary>
    /// <returns>Whether it still ran under this claim.</returns>
    public ValueTask<bool> ReportAsync(Fence fence, double? progress, string? note, CancellationToken cancellationToken) =>
        pipeline.SubmitAsync(new UpdateWork(sql.Report, [.. Of(fence), ("@progress", progress), ("@note", note)]), cancellationToken);

    /// <summary>Whether a running message is to be cancelled.</summary>
    public ValueTask<bool> IsCancelledAsync(Fence fence, CancellationToken cancellationToken) =>
        reader.IsCancelledAsync(fence, cancellationToken);

    /// <summary>Keeps a value for the next attempt.</summary>
    /// <returns>Whether the message still ran under this claim.</returns>
    public ValueTask<bool> SaveCheckpointAsync(Fence fence, byte[] data, int encoding, CancellationToken cancellationToken) =>
        pipeline.SubmitAsync(
            new UpdateWork(sql.SaveCheckpoint, [.. Of(fence), ("@data", data), ("@encoding", encoding)]), cancellationToken);

    /// <summary>
    /// Milliseconds until the next message of some topics is due, until one is due that looks for a slot then, and until the next lease
    /// lapses.
    /// </summary>
    public ValueTask<NextDue> NextDueAsync(IReadOnlyList<TopicClaim> topics, CancellationToken cancellationToken) =>
        reader.NextDueAsync(topics, cancellationToken);

    /// <summary>The first topics that have messages which wait.</summary>
    public ValueTask<IReadOnlyList<string>> TopicsAsync(int limit, CancellationToken cancellationToken) =>
        reader.TopicsAsync(limit, cancellationToken);

    /// <summary>Ends leases whose deadlines are further ahead than any that is kept alive.</summary>
    /// <param name="topics">The topics of the messages.</param>
    /// <param name="longest">How far ahead a deadline may be.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async ValueTask LapseAsync(IEnumerable<string> topics, TimeSpan longest, CancellationToken cancellationToken)
    {
        foreach (var topic in topics)
        {
            var now = clock.Now;
            var lapse = new UpdateWork(sql.Lapse, [("@topic", topic), ("@now", now), ("@latest", now + (long)longest.TotalMilliseconds)]);
            await pipeline.SubmitAsync(lapse, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>What lapsed, or is to lapse within a time, up to a number of messages, with what tells whether its worker lives.</summary>
    public ValueTask<List<LapsedLease>> LapsedAsync(TimeSpan ahead, int limit, CancellationToken cancellationToken) =>
        reader.LapsedAsync(ahead, limit, cancellationToken);

    /// <inheritdoc cref="StrayFinder.FindAsync" />
    public ValueTask<FoundStrays> FindStraysAsync(IReadOnlyList<string> topics, bool endless, CancellationToken cancellationToken) =>
        strays.FindAsync(topics, endless, cancellationToken);

    /// <summary>Whether a backlog is claimed beside the other writes of this process, and not in turn with them.</summary>
    public bool ClaimsApart => claims != pipeline;

    /// <summary>Leases are about to be extended: a test may have that fail. It blocks the calling thread.</summary>
    public void ReachExtension()
    {
        if (failPoints.IsWatched)
        {
            failPoints.HitAsync(FailPoints.Extend).AsTask().GetAwaiter().GetResult();
        }
    }

    /// <summary>Opens a session that does nothing but keep leases alive. It blocks the calling thread.</summary>
    public LeaseKeeper OpenLeaseKeeper() => newLeaseKeeper(sessions.Open(SessionRole.Heartbeat));

    private static (string Name, object? Value)[] Of(Fence fence) => [("@id", fence.Id), ("@owner", fence.Owner), ("@claim", fence.Claim)];

    private sealed class Attachment : IDisposable
    {
        private readonly IMessageConsumer _consumer;
        private readonly CommitPipeline _pipeline;
        private readonly CommitSignals _signals;
        private readonly ChangeListener _listener;
        private readonly IDisposable _listening;

        public Attachment(IMessageConsumer consumer, CommitPipeline pipeline, CommitSignals signals, ChangeListener listener)
        {
            (_consumer, _pipeline, _signals, _listener) = (consumer, pipeline, signals, listener);
            _listening = listener.Listen(watches: false);
            _pipeline.MessagesComing += consumer.ShareCommit;
            _signals.MessagesDue += consumer.OnMessagesDue;
            _signals.MessagesQueued += consumer.OnMessagesQueued;
            _signals.CancelRequested += consumer.OnCancelRequested;
            _listener.ListeningChanged += consumer.OnListeningChanged;
        }

        public void Dispose()
        {
            _pipeline.MessagesComing -= _consumer.ShareCommit;
            _signals.MessagesDue -= _consumer.OnMessagesDue;
            _signals.MessagesQueued -= _consumer.OnMessagesQueued;
            _signals.CancelRequested -= _consumer.OnCancelRequested;
            _listener.ListeningChanged -= _consumer.OnListeningChanged;
            _listening.Dispose();
        }
    }
}
