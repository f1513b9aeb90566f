using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.Values;

namespace Kv;

/// <summary>
/// When an entry was written: 10 bytes that grow from commit to commit. All entries of one atomic write have the same versionstamp.
/// </summary>
/// <remarks>Compare versionstamps for equality and order only; how far apart those of consecutive commits are is nothing to rely on. All ten bytes count.</remarks>
[StructLayout(LayoutKind.Auto)]
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(VersionstampConverter))]
public readonly record struct KvVersionstamp : IComparable<KvVersionstamp>, IParsable<KvVersionstamp>
{
    private const int Size = 10;

    // Eight bytes counter, then two that are 0 except in copies of hosted databases, where they count within a batch.
    private readonly ulong _version;
    private readonly ushort _order;

    private KvVersionstamp(ulong version, ushort order) => (_version, _order) = (version, order);

    /// <summary>The counter inside; negative above 2^63-1, which no store gives out.</summary>
    internal long Version => (long)_version;

    /// <summary>True when <paramref name="left"/> is older.</summary>
    public static bool operator <(KvVersionstamp left, KvVersionstamp right) => left.CompareTo(right) < 0;

    /// <summary>True when <paramref name="left"/> is newer.</summary>
    public static bool operator >(KvVersionstamp left, KvVersionstamp right) => left.CompareTo(right) > 0;

    /// <summary>True when <paramref name="left"/> is older or the same.</summary>
    public static bool operator <=(KvVersionstamp left, KvVersionstamp right) => left.CompareTo(right) <= 0;

    /// <summary>True when <paramref name="left"/> is newer or the same.</summary>
    public static bool operator >=(KvVersionstamp left, KvVersionstamp right) => left.CompareTo(right) >= 0;

    /// <summary>Reads the 20 hexadecimal digits that <see cref="ToString"/> gives, in either case.</summary>
    /// <exception cref="FormatException">The text is something else.</exception>
    public static KvVersionstamp Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return TryParse(text, out var versionstamp)
            ? versionstamp
            : throw new FormatException(
                $"The text of {text.Length} characters is not a versionstamp. It has 20 hexadecimal digits, such as 00000000000000050000.");
    }

    /// <summary>Reads the 20 hexadecimal digits that <see cref="ToString"/> gives, in either case; false for other text.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out KvVersionstamp versionstamp)
    {
        versionstamp = default;
        Span<byte> bytes = stackalloc byte[Size];
        if (text?.Length != 2 * Size || Convert.FromHexString(text, bytes, out _, out _) != OperationStatus.Done)
        {
            return false;
        }

        versionstamp = new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt16BigEndian(bytes[8..]));
        return true;
    }

    static KvVersionstamp IParsable<KvVersionstamp>.Parse(string s, IFormatProvider? provider) => Parse(s);

    static bool IParsable<KvVersionstamp>.TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out KvVersionstamp result) =>
        TryParse(s, out result);

    internal static KvVersionstamp FromVersion(long version) => new((ulong)version, 0);

    /// <summary>Orders by age, the oldest first.</summary>
    public int CompareTo(KvVersionstamp other)
    {
        var byVersion = _version.CompareTo(other._version);
        return byVersion != 0 ? byVersion : _order.CompareTo(other._order);
    }

    /// <summary>20 lower-case hexadecimal digits; comparing two such texts ordinally compares the age.</summary>
    public override string ToString() => $"{_version:x16}{_order:x4}";
}
