namespace Kv;

/// <summary>One side of a <see cref="KvRange"/>: a key that is included or excluded, or none.</summary>
public readonly struct KvBound : IEquatable<KvBound>
{
    private KvBound(KvKey key, bool isIncluded) => (Key, IsIncluded) = (key, isIncluded);

    /// <summary>No bound: the range goes on to the first or last key that there may be.</summary>
    public static KvBound None => default;

    /// <summary>The key; null for none. It need not exist.</summary>
    public KvKey? Key { get; }

    /// <summary>Whether the key itself is part of the range.</summary>
    public bool IsIncluded { get; }

    /// <summary>A bound whose key is part of the range.</summary>
    /// <param name="key">The key.</param>
    public static KvBound Including(KvKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return new(key, true);
    }

    /// <summary>A bound whose key is not part of the range. Keys that continue it are others, and come after it.</summary>
    /// <param name="key">The key.</param>
    public static KvBound Excluding(KvKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return new(key, false);
    }

    /// <summary>Whether two bounds have the same key in the same way.</summary>
    public static bool operator ==(KvBound left, KvBound right) => left.Equals(right);

    /// <summary>Whether two bounds differ.</summary>
    public static bool operator !=(KvBound left, KvBound right) => !left.Equals(right);

    /// <inheritdoc />
    public bool Equals(KvBound other) => Key == other.Key && IsIncluded == other.IsIncluded;

    /// <inheritdoc />
    public override bool Equals(object? obj) => obj is KvBound other && Equals(other);

    /// <inheritdoc />
    public override int GetHashCode() => HashCode.Combine(Key, IsIncluded);

    /// <summary>The bound as text for logs, such as <c>["users", 42] excluded</c>.</summary>
    public override string ToString() => Key is null ? "none" : $"{Key} {(IsIncluded ? "included" : "excluded")}";

    /// <summary>The first encoded key at or after this bound, if it is a start.</summary>
    /// <param name="none">What it is without a bound.</param>
    internal byte[] First(byte[] none) => Key is null ? none : IsIncluded ? Key.Bytes : Next(Key);

    /// <summary>The first encoded key after this bound, if it is an end.</summary>
    /// <param name="none">What it is without a bound.</param>
    internal byte[] After(byte[] none) => Key is null ? none : IsIncluded ? Next(Key) : Key.Bytes;

    // No key is between: one that continues the key begins with it and a tag, and no tag is zero.
    private static byte[] Next(KvKey key) => [.. key.Bytes, 0x00];
}
