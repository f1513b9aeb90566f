using Kv.Engine;

namespace Kv.Worker;

/// <summary>A message that this worker holds, from its claim to its end.</summary>
internal sealed class HeldMessage(ClaimedMessage message, MessageQueue queue, TimeProvider time) : IDisposable
{
    private readonly CancellationTokenSource _interrupt = new();
    private long _leasedAt = time.GetTimestamp();
    private volatile bool _finishing;
    private volatile bool _lost;

    public ClaimedMessage Message { get; } = message;

    /// <summary>The task that sees the message through.</summary>
    public Task Running { get; set; } = Task.CompletedTask;

    /// <summary>Cancelled when the handler should stop: the lease is lost, or the worker's time is over.</summary>
    public CancellationToken Interrupted => _interrupt.Token;

    /// <summary>The message left the queue with a write of its handler.</summary>
    public bool IsCompleted { get; private set; }

    public bool IsLost => _lost;

    /// <summary>Whether the message is on its way out of the queue, so that not finding it there means nothing.</summary>
    public bool IsFinishing
    {
        get => _finishing;
        set => _finishing = value;
    }

    /// <summary>How long ago the lease was asked for that is known to be granted.</summary>
    public TimeSpan SinceLeased => time.GetElapsedTime(Interlocked.Read(ref _leasedAt));

    /// <summary>A lease that counts from the moment at which its extension was sent.</summary>
    public void Extended(long sentAt) => Interlocked.Exchange(ref _leasedAt, sentAt);

    public void Interrupt() => _interrupt.Cancel();

    public void Lose()
    {
        _lost = true;
        _interrupt.Cancel();
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
        finally
        {
            IsFinishing = IsCompleted;
        }
    }

    public void Dispose() => _interrupt.Dispose();
}
