using System.Diagnostics;
using Kv.Diagnostics;
using Kv.Sql;

namespace Kv.Messages;

/// <summary>Something that waits for its turn in the commit pipeline.</summary>
internal abstract class Work
{
    private const int Waiting = 0;
    private const int Taken = 1;
    private const int Cancelled = 2;
    private int _state;

    /// <summary>When its caller began to wait, as <see cref="TimeProvider.System"/> counts.</summary>
    public long AskedAt { get; } = TimeProvider.System.GetTimestamp();

    /// <summary>The least size of a write is what its row costs besides the bytes.</summary>
    public virtual int Size => 64;

    /// <summary>Whether no caller waits for it, so that it first lets others come whose commit it may share.</summary>
    public bool IsPatient { get; init; }

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

    /// <summary>The span of whoever wants it; null while nobody traces.</summary>
    public Activity? Caller { get; } = KvTracing.Caller;

    public override int Size { get; } = 64 + write.Size;
}

/// <summary>Takes due messages.</summary>
internal sealed class ClaimWork(IReadOnlyList<TopicClaim> topics, int limit, string owner) : Work<IReadOnlyList<ClaimedMessage>>
{
    public IReadOnlyList<TopicClaim> Topics { get; private set; } = topics;

    public int Limit { get; private set; } = limit;

    /// <summary>Says how much there is room for when the claim becomes part of a group: what has become free while it waited counts. Null if that is known before.</summary>
    public Func<(IReadOnlyList<TopicClaim> Topics, int Limit)>? Room { get; init; }

    public string Owner { get; } = owner;

    /// <summary>Whether messages whose lease has lapsed are put back into the queue first.</summary>
    public bool Recover { get; init; }

    /// <summary>The ids of those that are put back; null for all that lapsed.</summary>
    public IReadOnlySet<string>? Recovers { get; init; }

    /// <summary>Whether it failed, and runs once more in the form that sets aside the rows that are to blame.</summary>
    public bool IsCareful { get; set; }

    /// <summary>Whether it set rows aside, which are waiting to become dead letters.</summary>
    public bool FoundStrays { get; set; }

    /// <summary>Whether it shares the commit of messages that it is to take: those that nothing waits before never are in the queue.</summary>
    public bool Accompanies { get; init; }

    /// <summary>Whether there is most likely more than it may take. Such a claim need not share a commit to be worth one.</summary>
    public bool IsOfBacklog { get; init; }

    /// <summary>Whether places are looked for first, for messages of limited groups whose time has come.</summary>
    public bool Admit { get; init; }

    /// <summary>It is part of a group that begins now.</summary>
    public void Begin()
    {
        if (Room is { } room)
        {
            (Topics, Limit) = room();
        }
    }
}

/// <summary>What is claimed of a topic.</summary>
/// <param name="Topic">The topic.</param>
/// <param name="Room">How many messages of it there is room for.</param>
/// <param name="Lease">How long they are held without a sign of life.</param>
internal sealed record TopicClaim(string Topic, int Room, TimeSpan Lease)
{
    public byte[] Pause { get; } = QueueKeys.Paused(Topic);

    public long LeaseMilliseconds { get; } = (long)Lease.TotalMilliseconds;
}

/// <summary>Takes a handled message out of the tables. The answer is whether it was still held.</summary>
internal sealed class CompleteWork(Fence fence) : Work<bool>
{
    public Fence Fence { get; } = fence;
}

/// <summary>Puts a held message back into the queue. The answer is whether it was still held.</summary>
/// <param name="fence">The message.</param>
/// <param name="delay">How long it waits from now on; null to go back to the place that it had.</param>
/// <param name="backoff">The waits that are left, as JSON.</param>
/// <param name="attempt">How many attempts have failed.</param>
internal sealed class RequeueWork(Fence fence, TimeSpan? delay, string backoff, int attempt) : Work<bool>
{
    public Fence Fence { get; } = fence;

    public long? Delay { get; private set; } = (long?)delay?.TotalMilliseconds;

    /// <summary>Gives up the place in the queue for the next one: the database has another message of the id there.</summary>
    public void GiveWay() => (Delay, GaveWay) = ((Delay ?? 0) + 1, true);

    /// <summary>Whether it gave way already.</summary>
    public bool GaveWay { get; private set; }

    public string Backoff { get; } = backoff;

    public int Attempt { get; } = attempt;

    /// <summary>Why the attempt failed, as JSON; null if it did not.</summary>
    public string? Error { get; init; }

    /// <summary>The time that the topic's rate gives to the message, in Unix milliseconds; 0 for none.</summary>
    public long Turn { get; init; }
}

/// <summary>A statement on a few rows of the queue's tables that stands for itself. The answer is whether it met a row.</summary>
internal sealed class UpdateWork(string text, IReadOnlyList<(string Name, object? Value)> values) : Work<bool>
{
    /// <summary>One of <see cref="KvSql"/> that returns a row for each that it changed.</summary>
    public string Text { get; } = text;

    public IReadOnlyList<(string Name, object? Value)> Values { get; } = values;
}

/// <summary>What became of an atomic write that did not fail.</summary>
/// <param name="Version">Its version, or 0 if checks refused it.</param>
/// <param name="FailedChecks">Which checks refused it, with the versions that are there.</param>
internal readonly record struct AtomicOutcome(long Version, IReadOnlyList<(int Index, long? Present)> FailedChecks)
{
    /// <summary>The ids of its messages, where they are not those that it came with: what was there already was kept.</summary>
    public IReadOnlyList<string>? Kept { get; init; }

    /// <summary>How long a message that asked for turns of rates has to wait for them, in milliseconds; 0 for not at all.</summary>
    public long Wait { get; init; }

    /// <summary>What the last mutation gave: the value of a counter; for a touch 1 if there was an entry, and 0 if not.</summary>
    public ulong Result { get; init; }
}

/// <summary>A message as a worker holds it.</summary>
internal sealed record ClaimedMessage(Fence Fence, byte[] Data, int Encoding, string Topic, string Type)
{
    /// <summary>A message that is taken by the commit that brings it.</summary>
    /// <param name="message">The message.</param>
    /// <param name="owner">Who takes it.</param>
    /// <param name="enqueuedAt">When, in Unix milliseconds.</param>
    /// <param name="uniqueUntil">Until when its unique key stays taken at least, in Unix milliseconds; 0 for no longer than it is there.</param>
    public static ClaimedMessage Of(NewMessage message, string owner, long enqueuedAt, long uniqueUntil) =>
        new(new Fence(message.Id, owner, FirstClaim), message.Data, message.Encoding, message.Topic, message.Type)
        {
            Backoff = message.Backoff,
            Undelivered = message.Undelivered,
            EnqueuedAt = enqueuedAt,
            Trace = message.Trace,
            Priority = message.Priority,
            RateKey = message.RateKey,
            UniqueKey = message.UniqueKey,
            UniqueUntil = uniqueUntil,
            TopicRetries = message.TopicRetries,
        };

    /// <summary>The number of a message's first claim.</summary>
    public const long FirstClaim = 1;

    public required string Backoff { get; init; }

    public required string Undelivered { get; init; }

    public int Attempt { get; init; }

    public int Crashes { get; init; }

    public long EnqueuedAt { get; init; }

    public string? Trace { get; init; }

    public int Priority { get; init; }

    public string? GroupKey { get; init; }

    public int GroupLimit { get; init; }

    public string? RateKey { get; init; }

    public long RateTurn { get; init; }

    public string? UniqueKey { get; init; }

    public long UniqueUntil { get; init; }

    public bool TopicRetries { get; init; }

    public string? FirstError { get; init; }

    public string? LastError { get; init; }

    public bool IsCancelled { get; init; }

    public byte[]? Checkpoint { get; init; }

    public int CheckpointEncoding { get; init; }

    /// <summary>What its end concerns besides itself; null for nothing.</summary>
    public MessageKeys? Keys => GroupKey is null && UniqueKey is null
        ? null
        : new MessageKeys(Topic, GroupKey, UniqueKey is null ? null : QueueKeys.Unique(Topic, UniqueKey), UniqueUntil);
}
