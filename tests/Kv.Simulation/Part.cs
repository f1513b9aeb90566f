namespace Kv.Simulated;

/// <summary>One thing that a write does.</summary>
/// <param name="Kind">What.</param>
/// <param name="Key">With what; for a range its prefix.</param>
internal sealed record Part(PartKind Kind, KvKey Key)
{
    /// <summary>The value of a set.</summary>
    public string Text { get; init; } = "";

    /// <summary>The operand of a counter.</summary>
    public ulong Operand { get; init; }

    /// <summary>When it expires; null for never.</summary>
    public TimeSpan? ExpireIn { get; init; }

    /// <summary>What a check wants; null for nothing there.</summary>
    public KvVersionstamp? Stamp { get; init; }

    /// <summary>What is enqueued.</summary>
    public Job? Job { get; init; }

    public override string ToString() => Kind switch
    {
        PartKind.Set => $"set {Key}={Text}{(ExpireIn is { } time ? $" for {time}" : "")}",
        PartKind.Check => $"check {Key} {(Stamp is null ? "absent" : "unchanged")}",
        PartKind.Enqueue => $"enqueue {Job!.Number} {Job.Kind} {Job.Times}",
        PartKind.Sum or PartKind.Max => $"{Kind} {Key} {Operand}",
        _ => $"{Kind} {Key}",
    };
}

/// <summary>What a part of a write is.</summary>
internal enum PartKind
{
    Check,
    Set,
    Delete,
    DeleteRange,
    Sum,
    Max,
    Enqueue,
}
