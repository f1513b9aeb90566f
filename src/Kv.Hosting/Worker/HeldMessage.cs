using Kv.Engine;

namespace Kv.Worker;

/// <summary>A message that this worker holds, from its claim to its end.</summary>
/// <param name="message">The message.</param>
/// <param name="queue">Where it came from.</param>
/// <param name="claimedAt">When the claim was sent, on the monotonic clock: the lease counts from no later than that.</param>
internal sealed class HeldMessage(ClaimedMessage message, MessageQueue queue, long claimedAt) : IAsyncDisposable
{
    private readonly CancellationTokenSource _interrupt = new();
    private readonly Lock _gate = new();
    private Task _interrupting = Task.CompletedTask;
    private long _leasedAt = claimedAt;
    private bool _ended;
    private volatile bool _finishing;
    private volatile bool _lost;

    public ClaimedMessage Message { get; } = message;

    /// <summary>The task that sees the message through.</summary>
    public Task Running { get; set; } = Task.CompletedTask;

    /// <summary>Cancelled when the handler should stop: the lease is lost, or the worker's time is over.</summary>
    public CancellationToken Interrupted => _interrupt.Token;

    /// <summary>The message left the queue with a write of its handler.</summary>
    public bool IsCompleted { get; private set; }

    /// <summary>A write of the handler may have taken the message out of the queue; nobody could find out.</summary>
    public bool IsUnsure { get; private set; }

    /// <summary>The worker stops, and gave the message back while its handler was still running.</summary>
    public bool IsReleased { get; set; }

    public bool IsLost => _lost;

    /// <summary>Whether the message is on its way out of the queue, so that not finding it there means nothing.</summary>
    public bool IsFinishing
    {
        get => _finishing;
        set => _finishing = value;
    }

    /// <summary>How long ago the lease was asked for that is known to be granted.</summary>
    public TimeSpan SinceLeased => queue.Time.GetElapsedTime(Interlocked.Read(ref _leasedAt));

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

    public async ValueTask<KvCommitResult> CompleteAsync(KvAtomic atomic, CancellationToken cancellationToken)
    {
        if (IsCompleted)
        {
            throw new InvalidOperationException($"The message {Message.Fence.Id} is completed already. Put all its writes into one CompleteAsync.");
        }

        var write = atomic.Build();
        write.Acknowledges = Message.Fence;
        IsFinishing = true;
        try
        {
            var result = KvStore.Result(write, await queue.CommitAsync(write, cancellationToken).ConfigureAwait(false));
            IsCompleted = result.Succeeded;
            return result;
        }
        catch (KvCommitUnknownException)
        {
            IsUnsure = true;
            throw;
        }
        finally
        {
            IsFinishing = IsCompleted || IsUnsure;
        }
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
