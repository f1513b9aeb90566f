namespace Kv.Messages;

/// <summary>Something that waits in the commit pipeline.</summary>
internal abstract class Work
{
    private const int Waiting = 0;
    private const int Taken = 1;
    private const int Cancelled = 2;
    private int _state;

    /// <summary>When its caller began to wait, as <see cref="TimeProvider.System"/> counts.</summary>
    public long AskedAt { get; init; } = TimeProvider.System.GetTimestamp();

    /// <summary>The least size of a write is what its row costs besides the bytes.</summary>
    public virtual int Size => 64;

    /// <summary>Whether it yields, since no caller waits for it: it first lets others come whose commit it may share.</summary>
    public bool Yields { get; init; }

    /// <summary>Makes it part of a group, unless its caller has given up.</summary>
    public bool TryTake() => Interlocked.CompareExchange(ref _state, Taken, Waiting) == Waiting;

    /// <summary>Gives it up, unless it is part of a group already.</summary>
    public bool TryCancel() => Interlocked.CompareExchange(ref _state, Cancelled, Waiting) == Waiting;

    public abstract void Fail(Exception exception);

    public abstract void Cancel(CancellationToken cancellationToken);
}
