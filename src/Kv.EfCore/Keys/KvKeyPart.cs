using System.Numerics;
using System.Text.Json.Serialization;
using Kv.Keys;

namespace Kv;

/// <summary>
/// One part of a <see cref="KvKey"/>. Strings, integers, doubles, booleans, byte arrays, <see cref="Guid"/>, <see cref="DateTimeOffset"/>,
/// <see cref="DateOnly"/> and <see cref="TimeOnly"/> convert to it implicitly: <c>["users", 42L, true]</c>; enums with
/// <see cref="FromEnum{TEnum}"/>.
/// </summary>
/// <remarks>
/// Parts are equal when they sort alike: <c>1</c> and <c>1.0</c> differ, as do <c>0.0</c> and <c>-0.0</c>; all NaNs of one sign are
/// one part. A string with half of a surrogate pair is refused with an <see cref="ArgumentException"/>. The default value is the empty byte array.
/// </remarks>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(KeyPartConverter))]
public readonly partial struct KvKeyPart : IEquatable<KvKeyPart>, IComparable<KvKeyPart>
{
    // The string, the byte[], or the BigInteger that does not fit 64 bits.
    private readonly object? _reference;

    // The integer, the bits of the double, or 1 for true.
    private readonly long _bits;

    internal KvKeyPart(string value)
    {
        ArgumentNullException.ThrowIfNull(value);
        Type = KvKeyPartType.String;
        _reference = WellFormed(value);
    }

    internal KvKeyPart(byte[] value)
    {
        ArgumentNullException.ThrowIfNull(value);
        Type = KvKeyPartType.Bytes;
        _reference = value;
    }

    internal KvKeyPart(long value)
    {
        Type = KvKeyPartType.Integer;
        _bits = value;
    }

    internal KvKeyPart(BigInteger value)
    {
        Type = KvKeyPartType.Integer;
        if (value >= long.MinValue && value <= long.MaxValue)
        {
            _bits = (long)value;
            return;
        }

        // GetByteCount counts two's complement: -(2^2040) would take 255 bytes though its magnitude takes 256.
        var size = BigInteger.Abs(value).GetByteCount(isUnsigned: true);
        if (size > KeyCodec.MaxMagnitudeSize)
        {
            throw new ArgumentOutOfRangeException(
                nameof(value),
                $"BigUint requires more than 255 bytes to be represented: the magnitude of the integer takes {size}. "
                + "Store a number of that size in the value, or use a byte array as the key part.");
        }

        _reference = value;
    }

    internal KvKeyPart(double value)
    {
        Type = KvKeyPartType.Double;
        _bits = BitConverter.DoubleToInt64Bits(value);
        if (double.IsNaN(value))
        {
            _bits = _bits < 0 ? KeyCodec.NegativeNaN : KeyCodec.PositiveNaN;
        }
    }

    internal KvKeyPart(bool value)
    {
        Type = KvKeyPartType.Boolean;
        _bits = value ? 1 : 0;
    }

    /// <summary>Which of the five types this part has.</summary>
    public KvKeyPartType Type { get; }

    internal bool IsSmallInteger => Type == KvKeyPartType.Integer && _reference is null;

    internal long Bits => _bits;

    /// <summary>True when both have the same type and value.</summary>
    public static bool operator ==(KvKeyPart left, KvKeyPart right) => left.Equals(right);

    /// <summary>True when type or value differ.</summary>
    public static bool operator !=(KvKeyPart left, KvKeyPart right) => !left.Equals(right);

    /// <summary>True when <paramref name="left"/> sorts before <paramref name="right"/>.</summary>
    public static bool operator <(KvKeyPart left, KvKeyPart right) => left.CompareTo(right) < 0;

    /// <summary>True when <paramref name="left"/> sorts after <paramref name="right"/>.</summary>
    public static bool operator >(KvKeyPart left, KvKeyPart right) => left.CompareTo(right) > 0;

    /// <summary>True when <paramref name="left"/> sorts before <paramref name="right"/> or equals it.</summary>
    public static bool operator <=(KvKeyPart left, KvKeyPart right) => left.CompareTo(right) <= 0;

    /// <summary>True when <paramref name="left"/> sorts after <paramref name="right"/> or equals it.</summary>
    public static bool operator >=(KvKeyPart left, KvKeyPart right) => left.CompareTo(right) >= 0;

    /// <summary>The string of a <see cref="KvKeyPartType.String"/> part.</summary>
    /// <exception cref="InvalidOperationException">The part has another type.</exception>
    public string AsString()
    {
        Demand(KvKeyPartType.String);
        return (string)_reference!;
    }

    /// <summary>The bytes of a <see cref="KvKeyPartType.Bytes"/> part.</summary>
    /// <exception cref="InvalidOperationException">The part has another type.</exception>
    public ReadOnlyMemory<byte> AsBytes()
    {
        Demand(KvKeyPartType.Bytes);
        return (byte[]?)_reference;
    }

    /// <summary>The value of an <see cref="KvKeyPartType.Integer"/> part of any size.</summary>
    /// <exception cref="InvalidOperationException">The part has another type.</exception>
    public BigInteger AsInteger()
    {
        Demand(KvKeyPartType.Integer);
        return _reference is BigInteger big ? big : _bits;
    }

    /// <summary>The value of an <see cref="KvKeyPartType.Integer"/> part that fits 64 bits with a sign.</summary>
    /// <exception cref="InvalidOperationException">The part has another type.</exception>
    /// <exception cref="OverflowException">The integer is larger; read it with <see cref="AsInteger"/>.</exception>
    public long AsInt64()
    {
        Demand(KvKeyPartType.Integer);
        return _reference is null
            ? _bits
            : throw new OverflowException($"The key part {this} does not fit 64 bits with a sign. Read it with {nameof(AsInteger)}.");
    }

    /// <summary>The value of a <see cref="KvKeyPartType.Double"/> part.</summary>
    /// <exception cref="InvalidOperationException">The part has another type; integers are not converted.</exception>
    public double AsDouble()
    {
        Demand(KvKeyPartType.Double);
        return BitConverter.Int64BitsToDouble(_bits);
    }

    /// <summary>The value of a <see cref="KvKeyPartType.Boolean"/> part.</summary>
    /// <exception cref="InvalidOperationException">The part has another type.</exception>
    public bool AsBoolean()
    {
        Demand(KvKeyPartType.Boolean);
        return _bits != 0;
    }

    /// <summary>Compares by type, in the order of <see cref="KvKeyPartType"/>, then by value; the order of keys in the store.</summary>
    public int CompareTo(KvKeyPart other)
    {
        if (Type != other.Type)
        {
            return Type.CompareTo(other.Type);
        }

        return Type switch
        {
            KvKeyPartType.Bytes => AsBytes().Span.SequenceCompareTo(other.AsBytes().Span),
            KvKeyPartType.String => CompareCodePoints(AsString(), other.AsString()),
            KvKeyPartType.Integer when _reference is null && other._reference is null => _bits.CompareTo(other._bits),
            KvKeyPartType.Integer => AsInteger().CompareTo(other.AsInteger()),
            KvKeyPartType.Double => KeyCodec.SortableBits(_bits).CompareTo(KeyCodec.SortableBits(other._bits)),
            _ => _bits.CompareTo(other._bits),
        };
    }

    /// <inheritdoc />
    public bool Equals(KvKeyPart other) => Type == other.Type && Type switch
    {
        KvKeyPartType.Bytes => AsBytes().Span.SequenceEqual(other.AsBytes().Span),
        KvKeyPartType.String => AsString() == other.AsString(),
        KvKeyPartType.Integer => _bits == other._bits && Equals(_reference, other._reference),
        _ => _bits == other._bits,
    };

    /// <inheritdoc />
    public override bool Equals(object? obj) => obj is KvKeyPart other && Equals(other);

    /// <inheritdoc />
    public override int GetHashCode()
    {
        if (Type != KvKeyPartType.Bytes)
        {
            return HashCode.Combine(Type, _bits, _reference);
        }

        var hash = new HashCode();
        hash.AddBytes(AsBytes().Span);
        return hash.ToHashCode();
    }

    /// <summary>The part as it is printed inside a key: <c>"users"</c>, <c>42</c>, <c>7.0</c>, <c>true</c> or <c>0x00FF</c>.</summary>
    public override string ToString() => KeyText.Format(this);

    private void Demand(KvKeyPartType type)
    {
        if (Type != type)
        {
            throw new InvalidOperationException(
                $"The key part {this} has type {Type}, not {type}. Look at {nameof(Type)} before reading it.");
        }
    }

    // UTF-8 sorts surrogate pairs above U+E000..U+FFFF, UTF-16 below; the strings are well-formed here.
    private static int CompareCodePoints(string left, string right)
    {
        var common = left.AsSpan().CommonPrefixLength(right);
        if (common == left.Length || common == right.Length)
        {
            return left.Length.CompareTo(right.Length);
        }

        var (a, b) = (left[common], right[common]);
        return char.IsSurrogate(a) == char.IsSurrogate(b) ? a.CompareTo(b) : char.IsSurrogate(a) ? 1 : -1;
    }

    private static string WellFormed(string value)
    {
        var half = StoredText.IndexOfHalf(value);
        return half < 0
            ? value
            : throw new ArgumentException(
                $"The key part {KeyText.Format(value.AsSpan())} has U+{(int)value[half]:X4} at position {half}, which is half of a surrogate pair, and different keys would become one. Use whole characters, or a part of bytes.",
                nameof(value));
    }
}
