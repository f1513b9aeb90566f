using Kv.Worker;

namespace Kv;

/// <summary>What a message carries besides itself, and the means to complete it.</summary>
public sealed class KvMessageContext
{
    private readonly HeldMessage _held;

    internal KvMessageContext(HeldMessage held, IKvStore store, IServiceProvider services)
    {
        _held = held;
        Store = store;
        Services = services;
    }

    /// <summary>The message's id: the same for all its attempts.</summary>
    public string Id => _held.Message.Fence.Id;

    /// <summary>The topic it came by.</summary>
    public string Topic => _held.Message.Topic;

    /// <summary>The name of its type; empty if whoever enqueued it knows no names.</summary>
    public string Type => _held.Message.Type;

    /// <summary>Which attempt this is, from 1. Attempts that were interrupted do not count.</summary>
    public int Attempt => _held.Message.Attempt + 1;

    /// <summary>When it was committed.</summary>
    public DateTimeOffset EnqueuedAt => DateTimeOffset.FromUnixTimeMilliseconds(_held.Message.EnqueuedAt);

    /// <summary>The payload as it is stored.</summary>
    public KvValue Payload => new(_held.Message.Data, (KvEncoding)_held.Message.Encoding);

    /// <summary>The store that the message came from.</summary>
    public IKvStore Store { get; }

    /// <summary>The services of the message's scope.</summary>
    public IServiceProvider Services { get; }

    /// <summary>Commits a write together with the message's removal from the queue: both, or neither. Call it at most once, at the end.</summary>
    /// <param name="write">Adds checks, mutations and further messages.</param>
    /// <param name="cancellationToken">Gives up while the write waits for its turn.</param>
    /// <returns>The versionstamp; or, if checks refused the write, which ones: then the message is not completed.</returns>
    /// <exception cref="InvalidOperationException">The message is completed already.</exception>
    /// <exception cref="KvException">
    /// The lease was lost (<see cref="KvError.LeaseLost"/>), or the write cannot be done: nothing was written, and the message is not completed.
    /// </exception>
    public ValueTask<KvCommitResult> CompleteAsync(Action<KvAtomic> write, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(write);
        var atomic = Store.Atomic();
        write(atomic);
        return _held.CompleteAsync(atomic, cancellationToken);
    }
}
