using System.Collections;
using System.ComponentModel;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;
using Kv.Keys;

namespace Kv;

/// <summary>
/// The name of an entry: a list of parts, written as a collection expression: <c>KvKey key = ["users", 42L];</c>.
/// </summary>
/// <remarks>
/// Keys sort part by part, each by type and then value (see <see cref="KvKeyPartType"/>); a key sorts before its continuations. They are
/// compared, hashed and stored by their encoded bytes, of which a key that is written has at most
/// <see cref="KvLimits.MaxKeySize"/>. The empty key can be a prefix and be read, but not written.
/// Where C# does not know that a key is wanted, <c>KvKey.Create("users", 42L)</c> says so.
/// </remarks>
[CollectionBuilder(typeof(KvKey), nameof(Create))]
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(KeyConverter))]
[TypeConverter(typeof(KvKeyTypeConverter))]
public sealed class KvKey : IReadOnlyList<KvKeyPart>, IEquatable<KvKey>, IComparable<KvKey>, IParsable<KvKey>
{
    private KvKeyPart[]? _parts;

    private KvKey(byte[] encoded) => Bytes = encoded;

    /// <summary>The key without parts: the prefix of all keys.</summary>
    public static KvKey Empty { get; } = new([]);

    /// <summary>The key as it is stored. Its byte order is the order of keys.</summary>
    public ReadOnlyMemory<byte> Encoded => Bytes;

    /// <summary>
    /// False for a key that was read from the store and that this version cannot take apart. Such a key can be compared, read, written
    /// and deleted, but not looked into.
    /// </summary>
    public bool IsDecodable => Decode() is not null;

    /// <summary>How many parts the key has.</summary>
    /// <exception cref="FormatException"><see cref="IsDecodable"/> is false.</exception>
    public int Count => Parts.Length;

    internal byte[] Bytes { get; }

    private KvKeyPart[] Parts => Decode() ?? throw Undecodable(Bytes);

    /// <summary>The part at a position, counted from 0.</summary>
    /// <exception cref="FormatException"><see cref="IsDecodable"/> is false.</exception>
    public KvKeyPart this[int index] => Parts[index];

    /// <summary>True when both have the same encoded bytes, or both are null.</summary>
    public static bool operator ==(KvKey? left, KvKey? right) => left is null ? right is null : left.Equals(right);

    /// <summary>True when the encoded bytes differ.</summary>
    public static bool operator !=(KvKey? left, KvKey? right) => !(left == right);

    /// <summary>True when <paramref name="left"/> sorts before <paramref name="right"/>; null sorts first.</summary>
    public static bool operator <(KvKey? left, KvKey? right) => Compare(left, right) < 0;

    /// <summary>True when <paramref name="left"/> sorts after <paramref name="right"/>; null sorts first.</summary>
    public static bool operator >(KvKey? left, KvKey? right) => Compare(left, right) > 0;

    /// <summary>True when <paramref name="left"/> sorts before <paramref name="right"/> or equals it; null sorts first.</summary>
    public static bool operator <=(KvKey? left, KvKey? right) => Compare(left, right) <= 0;

    /// <summary>True when <paramref name="left"/> sorts after <paramref name="right"/> or equals it; null sorts first.</summary>
    public static bool operator >=(KvKey? left, KvKey? right) => Compare(left, right) >= 0;

    /// <summary>Makes a key of parts; what a collection expression calls.</summary>
    public static KvKey Create(params ReadOnlySpan<KvKeyPart> parts) => parts.IsEmpty ? Empty : new(KeyCodec.Encode([], parts));

    /// <summary>Makes a key of bytes that <see cref="Encoded"/> gave, here or in another store.</summary>
    /// <exception cref="FormatException">The bytes are not a key.</exception>
    public static KvKey FromEncoded(ReadOnlySpan<byte> encoded) =>
        KeyReader.Count(encoded, out _) >= 0 ? new(encoded.ToArray()) : throw Undecodable(encoded);

    /// <summary>Makes a key of the text that <see cref="ToString"/> gives, such as <c>["users", 42, 7.0, true, 0x00FF]</c>.</summary>
    /// <exception cref="FormatException">The text is not a key; the message says where and why.</exception>
    public static KvKey Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return KeyTextReader.TryParse(text, out var defect)
            ?? throw new FormatException($"The text is not a key: {defect}. A key looks like [\"users\", 42, 7.0, true, 0x00FF].");
    }

    /// <summary>Makes a key of the text that <see cref="ToString"/> gives; false when the text is not a key.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out KvKey? key)
    {
        key = text is null ? null : KeyTextReader.TryParse(text, out _);
        return key is not null;
    }

    static KvKey IParsable<KvKey>.Parse(string s, IFormatProvider? provider) => Parse(s);

    static bool IParsable<KvKey>.TryParse(
        [NotNullWhen(true)] string? s, IFormatProvider? provider, [MaybeNullWhen(false)] out KvKey result) => TryParse(s, out result);

    /// <summary>Wraps stored bytes without looking at them or copying them; the array belongs to the key from here on.</summary>
    internal static KvKey FromStored(byte[] encoded) => new(encoded);

    /// <summary>A key with these parts after the parts of this one.</summary>
    public KvKey Append(params ReadOnlySpan<KvKeyPart> parts) => parts.IsEmpty ? this : new(KeyCodec.Encode(Bytes, parts));

    /// <summary>True when this key begins with all parts of <paramref name="prefix"/>, or equals it. Parts match as a whole only.</summary>
    public bool StartsWith(KvKey prefix)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        // ["a\0b"] begins with the bytes of ["a"]; the escape that follows tells it from ["a", ...], because no part begins with it.
        return Bytes.AsSpan().StartsWith(prefix.Bytes)
            && (prefix.Bytes.Length == 0 || Bytes.Length == prefix.Bytes.Length || Bytes[prefix.Bytes.Length] != KeyCodec.Escape);
    }

    /// <summary>Compares in the order of the store; null sorts first.</summary>
    public int CompareTo(KvKey? other) => other is null ? 1 : Bytes.AsSpan().SequenceCompareTo(other.Bytes);

    /// <inheritdoc />
    public bool Equals([NotNullWhen(true)] KvKey? other) => other is not null && Bytes.AsSpan().SequenceEqual(other.Bytes);

    /// <inheritdoc />
    public override bool Equals([NotNullWhen(true)] object? obj) => Equals(obj as KvKey);

    /// <inheritdoc />
    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.AddBytes(Bytes);
        return hash.ToHashCode();
    }

    /// <summary>
    /// The key as text that <see cref="Parse(string)"/> reads: <c>["users", 42, 7.0, true, 0x00FF]</c>. Doubles have a point or an
    /// exponent, integers have neither. A key that is not <see cref="IsDecodable"/> gives <c>undecodable 0x…</c>.
    /// </summary>
    public override string ToString() => Decode() is { } parts ? KeyText.Format(parts) : $"undecodable 0x{Convert.ToHexString(Bytes)}";

    /// <inheritdoc />
    public IEnumerator<KvKeyPart> GetEnumerator() => ((IEnumerable<KvKeyPart>)Parts).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static int Compare(KvKey? left, KvKey? right) => left is null ? (right is null ? 0 : -1) : left.CompareTo(right);

    private static FormatException Undecodable(ReadOnlySpan<byte> encoded)
    {
        KeyReader.Count(encoded, out var defect);
        var shown = Convert.ToHexString(encoded[..Math.Min(encoded.Length, 32)]);
        return new($"The bytes 0x{shown}{(encoded.Length > 32 ? "…" : "")} are not a key: {defect}.");
    }

    // Threads may decode at the same time; they come to equal results, and either one may stay.
    private KvKeyPart[]? Decode() => _parts ??= KeyReader.ReadAll(Bytes);
}
