namespace Kv.Messages;

/// <summary>One all-or-nothing write in the engine's terms: bytes, not objects.</summary>
internal sealed class AtomicWrite
{
    public List<Check> Checks { get; } = [];

    public List<Mutation> Mutations { get; } = [];

    public List<NewMessage> Messages { get; } = [];

    /// <summary>How many changes and messages it brings.</summary>
    public int Count => Mutations.Count + Messages.Count;

    /// <summary>The held message that this write acknowledges: if it is not held any more, nothing is written.</summary>
    public Fence? Acknowledges { get; set; }

    /// <summary>The waiting message that this write takes out of the queue: if it does not wait any more, nothing is written.</summary>
    public string? Removes { get; set; }

    /// <summary>The row that this write takes out of the queue, since no claim takes it: if it is not there any more, nothing is written.</summary>
    public StrayRow? Clears { get; set; }

    /// <summary>What the end of the message concerns, of one that is acknowledged, removed or cleared.</summary>
    public MessageKeys? Ends { get; set; }

    /// <summary>Turns that a message asks for: it gets one of each rate, or none.</summary>
    public IReadOnlyList<RateRequest> Rates { get; init; } = [];

    /// <summary>Groups whose next message is let go if there is a place for it.</summary>
    public IReadOnlyList<MessageGroup> Unblocks { get; set; } = [];

    /// <summary>Whether the outcome depends on what is stored, so that rows must be read under the lock first.</summary>
    public bool Reads => Acknowledges is not null || Removes is not null || Clears is not null || Rates.Count > 0 || Checks.Count > 0 || Messages.Exists(static m => m.UniqueKey is not null)
        || Mutations.Exists(static m => m.Kind is not (MutationKind.Set or MutationKind.Delete or MutationKind.DeleteRange));

    public int Size => Mutations.Sum(static m => m.Value.Length + m.Key.Length) + Messages.Sum(static m => m.Data.Length);
}

/// <summary>A condition: the key's versionstamp as it was read, all ten bytes of it, or null for a key that was absent.</summary>
internal readonly record struct Check(byte[] Key, KvVersionstamp? Versionstamp);

internal enum MutationKind
{
    Set,
    SetVersionstamped,
    Delete,
    DeleteRange,

    /// <summary>Deletes the key if it is past its time when the write runs.</summary>
    DeleteExpired,
    Touch,
    Sum,
    SumWithin,
    Min,
    Max,
}

/// <param name="Kind">What is done.</param>
/// <param name="Key">The key, or the start of a range.</param>
internal readonly record struct Mutation(MutationKind Kind, byte[] Key)
{
    /// <summary>The exclusive end of a range.</summary>
    public byte[] End { get; init; } = [];

    public byte[] Value { get; init; } = [];

    public int Encoding { get; init; }

    /// <summary>Milliseconds from the write to its expiry; -1 for never.</summary>
    public long ExpireIn { get; init; } = -1;

    /// <summary>The operand of a counter.</summary>
    public ulong Operand { get; init; }

    public SumBounds? Bounds { get; init; }
}

/// <param name="Delta">What is added; may be negative.</param>
/// <param name="Min">The least result.</param>
/// <param name="Max">The greatest result.</param>
/// <param name="Clamp">Whether a result outside is drawn to the bound; otherwise the write fails.</param>
internal sealed record SumBounds(long Delta, ulong Min, ulong Max, bool Clamp);

/// <summary>A message to put into the queue.</summary>
internal sealed record NewMessage(string Id, byte[] Data, int Encoding, string Topic, string Type, long Delay, string Backoff, string Undelivered, string? Trace)
{
    /// <summary>Its id, which each commit that is tried gives anew.</summary>
    public string Id { get; set; } = Id;

    public int Priority { get; init; }

    public string? GroupKey { get; init; }

    public int GroupLimit { get; init; }

    public string? RateKey { get; init; }

    public string? UniqueKey { get; init; }

    /// <summary>How long the unique key is taken at least, in milliseconds.</summary>
    public long UniqueFor { get; init; }

    public KvDuplicatePolicy IfDuplicate { get; init; }

    public bool TopicRetries { get; init; }

    /// <summary>Whether it waits for its time before it looks for a place in its group.</summary>
    public bool IsDeferred => GroupLimit > 0 && Delay > 0;
}

/// <summary>What the end of a message concerns besides itself.</summary>
/// <param name="Topic">Its topic.</param>
/// <param name="Group">The group in which it leaves a place.</param>
/// <param name="Unique">The key that notes its unique key.</param>
/// <param name="UniqueUntil">Until when that stays taken, in Unix milliseconds.</param>
internal sealed record MessageKeys(string Topic, string? Group, byte[]? Unique, long UniqueUntil);

/// <summary>A row of the queue by its primary key, in the values that the database has there.</summary>
/// <param name="Place">When it is due.</param>
/// <param name="Id">Its id, which other rows may have as well.</param>
internal readonly record struct StrayRow(object Place, object Id);

/// <summary>Messages of a topic that have places in common.</summary>
internal readonly record struct MessageGroup(string Topic, string Key);

/// <summary>What proves that a message still runs where something acts on it: its owner and the number of its claim.</summary>
internal readonly record struct Fence(string Id, string Owner, long Claim);
