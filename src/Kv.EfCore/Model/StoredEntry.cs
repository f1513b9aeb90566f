namespace Kv.Model;

/// <summary>A row of <c>kv</c>: a key, its value, and the version that wrote it.</summary>
/// <remarks>Read it with LINQ; write through <see cref="IKvStore"/>, which keeps versions in commit order.</remarks>
public sealed class StoredEntry
{
    /// <summary>The key in its encoded form, which sorts as keys do. <see cref="KvKey.FromEncoded"/> reads it.</summary>
    public byte[] Key { get; private set; } = [];

    /// <summary>The bytes of the value; <see cref="Encoding"/> says what they are.</summary>
    public byte[] Value { get; private set; } = [];

    /// <summary>How <see cref="Value"/> is encoded.</summary>
    public KvEncoding Encoding { get; private set; }

    /// <summary>The store's version at the commit that wrote this row.</summary>
    public long Version { get; private set; }

    /// <summary>Always 0. Replicas of Deno Deploy databases keep the position within a commit here.</summary>
    public long Sequence { get; private set; }

    /// <summary>When the entry ends, in Unix milliseconds; -1 for never. Rows past their time may still be here, until they are swept.</summary>
    public long ExpiresAt { get; private set; }
}
