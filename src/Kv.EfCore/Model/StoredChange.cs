namespace Kv.Model;

/// <summary>A row of <c>kv_changes</c>: a key that a commit changed while the change feed was on.</summary>
/// <remarks>Triggers of <c>kv</c> write it, so that every program's writes are in it. Read it by <c>ChangesAsync</c>.</remarks>
public sealed class StoredChange
{
    /// <summary>The store's version when the commit wrote: the last one that it took, or the next where it took none before.</summary>
    public long Version { get; private set; }

    /// <summary>The key in its encoded form. <see cref="KvKey.FromEncoded"/> reads it.</summary>
    public byte[] Key { get; private set; } = [];

    /// <summary>Whether the commit left the key without an entry.</summary>
    public bool IsDeleted { get; private set; }
}
