namespace Kv;

/// <summary>What a write of a handler does: <see cref="KvTestWrite"/>.</summary>
public enum KvTestWriteKind
{
    /// <summary>It sets an entry.</summary>
    Set = 0,

    /// <summary>It sets an entry under a key that ends with the commit's versionstamp.</summary>
    SetVersionstamped = 1,

    /// <summary>It deletes an entry.</summary>
    Delete = 2,

    /// <summary>It deletes a range.</summary>
    DeleteRange = 3,

    /// <summary>It gives an entry another time to live.</summary>
    Touch = 4,

    /// <summary>It adds to a counter, within bounds or not.</summary>
    Sum = 5,

    /// <summary>It lowers a counter to a number, if that is less.</summary>
    Min = 6,

    /// <summary>It raises a counter to a number, if that is more.</summary>
    Max = 7,

    /// <summary>It folds an operand into an entry.</summary>
    Merge = 8,

    /// <summary>It enqueues a message.</summary>
    Enqueue = 9,
}
