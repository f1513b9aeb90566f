namespace Kv;

/// <summary>What a change feed is at a moment.</summary>
public sealed record KvChangesState
{
    /// <summary>Whether it is on.</summary>
    public required bool IsOn { get; init; }

    /// <summary>After which versionstamp no change is missing: the oldest that can be followed from; null while the feed is off.</summary>
    public KvVersionstamp? Oldest { get; init; }

    /// <summary>The versionstamp of the store's last commit.</summary>
    public required KvVersionstamp Newest { get; init; }

    /// <summary>What it keeps; null while the feed is off.</summary>
    public KvChangesOptions? Options { get; init; }
}
