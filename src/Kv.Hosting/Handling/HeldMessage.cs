using Kv.Messages;
using Kv.Queue;
using Kv.Store;
using Kv.Topics;

namespace Kv.Handling;

/// <summary>A message that this worker holds, from its claim to its end.</summary>
/// <param name="message">The message.</param>
/// <param name="topic">How its topic is treated.</param>
/// <param name="store">Where it came from.</param>
/// <param name="claimedAt">When the claim was sent, on the monotonic clock: the lease counts from no later than that.</param>
internal sealed partial class HeldMessage(ClaimedMessage message, TopicSettings topic, KvStore store, long claimedAt) : IAsyncDisposable
{
    private const double Trusted = 0.9;
    private const int ManyLeases = 10;
    private readonly MessageQueue _queue = store.Engine.Queue;
    private readonly CancellationTokenSource _interrupt = new();
    private readonly Lock _gate = new();
    private readonly long _claimedAt = claimedAt;
    private Task _interrupting = Task.CompletedTask;
    private long _leasedAt = claimedAt;
    private bool _ended;
    private int _hasLeft;
    private volatile bool _finishing;
    private volatile bool _lost;

    public ClaimedMessage Message { get; } = message;

    public TopicSettings Topic { get; } = topic;

    public KvStore Store { get; } = store;

    /// <summary>What time it is by the clock that decides, as far as it is known here.</summary>
    public DateTimeOffset UtcNow => _queue.UtcNow;

    /// <summary>The task that sees the message through.</summary>
    public Task Running { get; set; } = Task.CompletedTask;

    /// <summary>Cancelled when the handler should stop: the lease is lost, or the worker's time is over.</summary>
    public CancellationToken Interrupted => _interrupt.Token;

    /// <summary>The worker stops, and gave the message back while its handler was still running.</summary>
    public bool IsReleased { get; private set; }

    public bool IsLost => _lost;

    /// <summary>Somebody asked for the message to be cancelled.</summary>
    public bool IsCancelled { get; private set; }

    /// <summary>The handler took longer than it may.</summary>
    public bool IsLate { get; private set; }

    /// <summary>Whether the message is on its way out of the queue, so that not finding it there means nothing.</summary>
    public bool IsFinishing
    {
        get => _finishing;
        set => _finishing = value;
    }

    /// <summary>Whether somebody was told that the message is held for so long.</summary>
    public bool IsReported { get; set; }

    /// <summary>How long the message has been held.</summary>
    public TimeSpan SinceClaimed => _queue.Time.GetElapsedTime(_claimedAt);

    /// <summary>Whether the message is held for longer than whoever chose its lease had in mind.</summary>
    public bool IsHeldForLong => SinceClaimed > Topic.Lease * ManyLeases;

    /// <summary>How long ago the lease was asked for that is known to be granted.</summary>
    public TimeSpan SinceLeased => _queue.Time.GetElapsedTime(Interlocked.Read(ref _leasedAt));

    /// <summary>Whether the lease can be believed in: who cannot extend it must not do so to its last moment, when others may take the message.</summary>
    public bool IsTrusted => SinceLeased <= Topic.Term * Trusted;

    /// <summary>Gives up the place of the message among those that are handled, once.</summary>
    public bool TryLeavePlace() => Interlocked.Exchange(ref _hasLeft, 1) == 0;

    /// <summary>Takes the message's end upon oneself, unless the worker gives it back already.</summary>
    public bool TryFinish()
    {
        lock (_gate)
        {
            return !IsReleased && (_finishing = true);
        }
    }

    /// <summary>Takes it upon oneself to give the message back, unless its end is on its way already.</summary>
    public bool TryRelease()
    {
        lock (_gate)
        {
            return !_finishing && (_finishing = IsReleased = true);
        }
    }

    /// <summary>A lease that counts from the moment at which its extension was sent.</summary>
    public void Extended(long sentAt) => Interlocked.Exchange(ref _leasedAt, sentAt);

    /// <summary>Asks the handler to stop. What waits for its token runs on the thread pool, so it can neither block nor break the caller.</summary>
    public void Interrupt()
    {
        lock (_gate)
        {
            if (!_ended && !_interrupt.IsCancellationRequested)
            {
                _interrupting = _interrupt.CancelAsync();
            }
        }
    }

    public void Lose()
    {
        _lost = true;
        Interrupt();
    }

    /// <summary>Asks the handler to stop for good.</summary>
    public void Cancel()
    {
        IsCancelled = true;
        Interrupt();
    }

    /// <summary>Asks the handler to stop: its time is over.</summary>
    public void Late()
    {
        IsLate = true;
        Interrupt();
    }

    /// <summary>Ends the token's life. From here on nobody is interrupted.</summary>
    /// <exception cref="AggregateException">Something that waited for the token threw.</exception>
    public async ValueTask DisposeAsync()
    {
        Task interrupting;
        lock (_gate)
        {
            _ended = true;
            interrupting = _interrupting;
        }

        try
        {
            await interrupting.ConfigureAwait(false);
        }
        finally
        {
            _interrupt.Dispose();
        }
    }
}
