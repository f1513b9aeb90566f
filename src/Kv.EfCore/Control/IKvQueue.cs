namespace Kv;

/// <summary>Looks into the queue, and directs it: from any process that has the store, with or without a worker.</summary>
/// <remarks>A singleton, safe for concurrent use. Messages are put in with <see cref="IKvStore.EnqueueAsync"/> and <see cref="KvAtomic.Enqueue"/>.</remarks>
public interface IKvQueue
{
    /// <summary>Has all workers stop taking messages of a topic. What runs goes on; messages can still be enqueued.</summary>
    /// <remarks>A topic is known by its messages alone, so one that has none can be paused, too; that is logged as a warning, since it may be a slip.</remarks>
    /// <param name="topic">The topic; empty for messages that programs without topics put in.</param>
    /// <param name="duration">How long; null until <see cref="ResumeAsync"/>.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <exception cref="ArgumentException">The topic cannot be one, or the time is not positive or more than 3,650 days.</exception>
    ValueTask PauseAsync(string topic, TimeSpan? duration = null, CancellationToken cancellationToken = default);

    /// <summary>Has workers take messages of a topic again. A topic that is not paused stays as it is.</summary>
    /// <param name="topic">The topic.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <exception cref="ArgumentException">The topic cannot be one.</exception>
    ValueTask ResumeAsync(string topic, CancellationToken cancellationToken = default);

    /// <summary>
    /// Takes a waiting message out of the queue, or asks the handler of a running one to stop: its token is cancelled, and when it ends the
    /// message is removed. No dead letter is written.
    /// </summary>
    /// <remarks>A worker of another process learns of it when it next extends its leases, three times per lease, or sooner if it is notified.</remarks>
    /// <param name="id">The message's id: <see cref="KvCommitResult.MessageIds"/>, <see cref="KvMessageInfo.Id"/>.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    ValueTask<KvCancelResult> CancelAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>A message, wherever it is in the queue.</summary>
    /// <param name="id">The message's id.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The message; null if it is done, undeliverable, or was never there.</returns>
    ValueTask<KvMessageInfo?> GetAsync(string id, CancellationToken cancellationToken = default);

    /// <summary>The next messages of a topic in the order in which they are taken. They stay where they are.</summary>
    /// <param name="topic">The topic.</param>
    /// <param name="limit">How many at most, from 1 to 1,000.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="ArgumentException">The topic cannot be one, or the limit is out of its range.</exception>
    ValueTask<IReadOnlyList<KvMessageInfo>> PeekAsync(string topic, int limit = 10, CancellationToken cancellationToken = default);

    /// <summary>The messages that workers hold, those whose lease ends first in front.</summary>
    /// <param name="limit">How many at most, from 1 to 1,000.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="ArgumentException">The limit is out of its range.</exception>
    ValueTask<IReadOnlyList<KvMessageInfo>> ListRunningAsync(int limit = 100, CancellationToken cancellationToken = default);

    /// <summary>How many messages each topic has, and how old they are. Topics without messages are left out unless they are paused.</summary>
    /// <remarks>Counted in the indexes of the queue: the cost grows with the number of waiting messages, by about 0.3 seconds for each million.</remarks>
    /// <param name="cancellationToken">Stops waiting.</param>
    ValueTask<IReadOnlyList<KvTopicStats>> GetStatsAsync(CancellationToken cancellationToken = default);

    /// <summary>The messages that could not be delivered, by topic and then by id, which is by the time of their enqueueing.</summary>
    /// <param name="topic">Only those of a topic; null for all.</param>
    /// <param name="cancellationToken">Stops the listing.</param>
    IAsyncEnumerable<KvDeadLetter> ListDeadLettersAsync(string? topic = null, CancellationToken cancellationToken = default);

    /// <summary>Puts a dead letter back into the queue, due now, and deletes it, in one commit: done twice, it is enqueued once.</summary>
    /// <remarks>It starts its attempts anew, with the retry policy of its topic or the default schedule. What was written under its keys-if-undelivered stays there.</remarks>
    /// <param name="letter">The letter.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>False if the letter is not there any more.</returns>
    ValueTask<bool> ReplayAsync(KvDeadLetter letter, CancellationToken cancellationToken = default);

    /// <summary>Puts all dead letters that match back into the queue, one commit each: interrupted and done again, each is enqueued once.</summary>
    /// <param name="topic">Only those of a topic; null for all.</param>
    /// <param name="filter">Only those that it accepts; null for all.</param>
    /// <param name="cancellationToken">Stops between two letters.</param>
    /// <returns>How many were put back.</returns>
    ValueTask<int> ReplayAllAsync(string? topic = null, Func<KvDeadLetter, bool>? filter = null, CancellationToken cancellationToken = default);

    /// <summary>Deletes a dead letter.</summary>
    /// <param name="letter">The letter.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>False if it is not there any more.</returns>
    ValueTask<bool> DeleteAsync(KvDeadLetter letter, CancellationToken cancellationToken = default);

    /// <summary>Deletes all dead letters that match.</summary>
    /// <param name="topic">Only those of a topic; null for all.</param>
    /// <param name="filter">Only those that it accepts; null for all.</param>
    /// <param name="cancellationToken">Stops between two letters.</param>
    /// <returns>How many were deleted.</returns>
    ValueTask<int> DeleteAllAsync(string? topic = null, Func<KvDeadLetter, bool>? filter = null, CancellationToken cancellationToken = default);
}

/// <summary>What became of the wish to cancel a message.</summary>
public enum KvCancelResult
{
    /// <summary>There is no such message in the queue: it is done, undeliverable, or was never there.</summary>
    NotFound = 0,

    /// <summary>It waited, and is gone.</summary>
    Removed = 1,

    /// <summary>It runs, and its handler is asked to stop.</summary>
    Requested = 2,
}
