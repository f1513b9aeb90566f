namespace Kv.Commits;

/// <summary>A write in a transaction of the user's, or in a command of theirs that is one.</summary>
internal sealed class JoinedWork(AtomicWrite write) : AtomicWork(write)
{
    /// <summary>Messages that nothing orders need no version: other transactions need not wait for this one then.</summary>
    public override bool TakesVersion { get; } = !write.IsPlain;

    /// <summary>Names the commit, so that its outcome can be asked for; none by default.</summary>
    public CommitMark Mark { get; init; }

    /// <summary>
    /// The table of the one row that the application's command puts in and commits by itself, as the command names it; null for a write
    /// in a transaction.
    /// </summary>
    public string? Table { get; init; }

    /// <summary>Whether this process sees the commit and tells of it; otherwise the transaction itself does.</summary>
    public bool IsSeen { get; init; }

    /// <summary>
    /// Tells of the commit once it has come through. Null until the write is in the transaction, and where that is not seen.
    /// </summary>
    public Action? Committed { get; set; }
}
