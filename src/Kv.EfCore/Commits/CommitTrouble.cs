namespace Kv.Commits;

/// <summary>What the tries of a group have met so far.</summary>
internal sealed class CommitTrouble
{
    /// <summary>Why the last one failed.</summary>
    public Exception? Last { get; private set; }

    /// <summary>Whether that was a lock.</summary>
    public bool IsLocked { get; private set; }

    /// <summary>The session that has the lock, as far as it was seen.</summary>
    public string? Holder { get; private set; }

    /// <summary>Whether the answer to a COMMIT was lost: queue work of the group may be done already.</summary>
    public bool IsUncertain { get; set; }

    /// <summary>A try failed.</summary>
    /// <param name="error">Why.</param>
    /// <param name="isLocked">Whether that was a lock.</param>
    /// <param name="holder">The session that has it; null if it was not seen this time.</param>
    public CommitTrouble Note(Exception error, bool isLocked, string? holder)
    {
        (Last, IsLocked, Holder) = (error, isLocked, holder ?? Holder);
        return this;
    }
}
