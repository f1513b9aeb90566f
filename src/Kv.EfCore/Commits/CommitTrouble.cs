namespace Kv.Commits;

/// <summary>What the tries of a group have met so far.</summary>
internal sealed class CommitTrouble
{
    /// <summary>Why the last one failed.</summary>
    public Exception? Last { get; set; }

    /// <summary>Whether that was a lock.</summary>
    public bool IsLocked { get; set; }

    /// <summary>The session that has the lock, as far as it was seen.</summary>
    public string? Holder { get; set; }

    /// <summary>Whether the answer to a COMMIT was lost: queue work of the group may be done already.</summary>
    public bool IsUncertain { get; set; }
}
