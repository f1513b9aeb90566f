namespace Kv.Commits;

/// <summary>What became of an atomic write that did not fail.</summary>
/// <param name="Version">Its version, or 0 if checks refused it.</param>
/// <param name="FailedChecks">Which checks refused it, with the versions that are there.</param>
internal readonly record struct AtomicOutcome(long Version, IReadOnlyList<(int Index, long? Present)> FailedChecks)
{
    /// <summary>The ids of its messages, where they are not those that it came with: what was there already was kept.</summary>
    public IReadOnlyList<string>? Kept { get; init; }

    /// <summary>How long a message that asked for tokens of rates has to wait for them, in milliseconds; 0 for not at all.</summary>
    public long Wait { get; init; }

    /// <summary>What the last mutation gave: the value of a counter; for a touch 1 if there was an entry, and 0 if not.</summary>
    public ulong Result { get; init; }
}
