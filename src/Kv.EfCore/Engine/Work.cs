namespace Kv.Engine;

/// <summary>Something that waits for its turn in the commit pipeline.</summary>
internal abstract class Work
{
    private const int Waiting = 0;
    private const int Taken = 1;
    private const int Cancelled = 2;
    private int _state;

    /// <summary>The least size of a write is what its row costs besides the bytes.</summary>
    public virtual int Size => 64;

    /// <summary>Makes it part of a group, unless its caller has given up.</summary>
    public bool TryTake() => Interlocked.CompareExchange(ref _state, Taken, Waiting) == Waiting;

    /// <summary>Gives it up, unless it is part of a group already.</summary>
    public bool TryCancel() => Interlocked.CompareExchange(ref _state, Cancelled, Waiting) == Waiting;

    public abstract void Fail(Exception exception);

    public abstract void Cancel(CancellationToken cancellationToken);
}

/// <typeparam name="TResult">What the caller learns after the commit.</typeparam>
internal abstract class Work<TResult> : Work
{
    private readonly TaskCompletionSource<TResult> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<TResult> Task => _completion.Task;

    public void Complete(TResult result) => _completion.TrySetResult(result);

    public override void Fail(Exception exception) => _completion.TrySetException(exception);

    public override void Cancel(CancellationToken cancellationToken) => _completion.TrySetCanceled(cancellationToken);
}

/// <summary>A write of keys and messages.</summary>
internal sealed class AtomicWork(AtomicWrite write) : Work<AtomicOutcome>
{
    public AtomicWrite Write { get; } = write;

    public override int Size { get; } = 64 + write.Size;
}

/// <summary>Takes due messages.</summary>
internal sealed class ClaimWork(IReadOnlyList<string> topics, int limit, string owner, TimeSpan lease, bool recover) : Work<IReadOnlyList<ClaimedMessage>>
{
    public IReadOnlyList<string> Topics { get; } = topics;

    public int Limit { get; } = limit;

    public string Owner { get; } = owner;

    public long Lease { get; } = (long)lease.TotalMilliseconds;

    /// <summary>Whether messages whose lease has lapsed are put back into the queue first.</summary>
    public bool Recover { get; } = recover;
}

/// <summary>Takes a handled message out of the tables. The answer is whether it was still held.</summary>
internal sealed class CompleteWork(Fence fence) : Work<bool>
{
    public Fence Fence { get; } = fence;
}

/// <summary>Puts a held message back into the queue. The answer is whether it was still held.</summary>
internal sealed class RequeueWork(Fence fence, TimeSpan delay, string backoff, int attempt) : Work<bool>
{
    public Fence Fence { get; } = fence;

    public long Delay { get; } = (long)delay.TotalMilliseconds;

    public string Backoff { get; } = backoff;

    public int Attempt { get; } = attempt;
}

/// <summary>What became of an atomic write that did not fail.</summary>
/// <param name="Version">Its version, or 0 if checks refused it.</param>
/// <param name="FailedChecks">Which checks refused it, with the versions that are there.</param>
internal readonly record struct AtomicOutcome(long Version, IReadOnlyList<(int Index, long? Present)> FailedChecks);

/// <summary>A message as a worker holds it.</summary>
internal sealed record ClaimedMessage(
    Fence Fence,
    byte[] Data,
    int Encoding,
    string Topic,
    string Type,
    string Backoff,
    string Undelivered,
    int Attempt,
    int Crashes,
    long EnqueuedAt,
    string? Trace);
