namespace Kv.Changes;

/// <summary>What a commit brought, for those that wait in this process and in others.</summary>
/// <param name="Version">The version that it took; 0 for none.</param>
/// <param name="SoonestExpiry">In how many milliseconds the first of what it wrote expires; <see cref="long.MaxValue"/> for none.</param>
/// <param name="HasDue">Whether it left messages that are due at once, so that a worker may claim without a look.</param>
/// <param name="HasQueued">Whether messages came into the queue, or may have.</param>
/// <param name="IsDurable">Whether it is known to be on the disk, and all commits before with it.</param>
internal readonly record struct CommitSummary(
    long Version, long SoonestExpiry, bool HasDue, bool HasQueued, bool IsDurable = false);
