using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Kv;

/// <content>What becomes a part, and what a part is read as besides the five types that it can have.</content>
public readonly partial struct KvKeyPart
{
    // Of one width, so that they sort as the times do.
    private const string InstantFormat = "yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'";
    private const string DateFormat = "yyyy-MM-dd";
    private const string TimeFormat = "HH:mm:ss.fffffff";

    /// <summary>Makes a string part.</summary>
    /// <param name="value">
    /// Any string of whole characters; half of a surrogate pair is refused with an <see cref="ArgumentException"/>, null with an
    /// <see cref="ArgumentNullException"/>.
    /// </param>
    public static implicit operator KvKeyPart(string value) => new(value);

    /// <summary>Makes a string part of one character.</summary>
    public static implicit operator KvKeyPart(char value) => new(value.ToString());

    /// <summary>Makes an integer part.</summary>
    public static implicit operator KvKeyPart(int value) => new((long)value);

    /// <summary>Makes an integer part.</summary>
    public static implicit operator KvKeyPart(long value) => new(value);

    /// <summary>Makes an integer part.</summary>
    public static implicit operator KvKeyPart(ulong value) => value <= long.MaxValue ? new((long)value) : new(new BigInteger(value));

    /// <summary>Makes an integer part.</summary>
    public static implicit operator KvKeyPart(byte value) => new((long)value);

    /// <summary>Makes an integer part.</summary>
    public static implicit operator KvKeyPart(ushort value) => new((long)value);

    /// <summary>Makes an integer part.</summary>
    public static implicit operator KvKeyPart(uint value) => new((long)value);

    /// <summary>Makes an integer part.</summary>
    public static implicit operator KvKeyPart(Int128 value) => new((BigInteger)value);

    /// <summary>Makes an integer part.</summary>
    public static implicit operator KvKeyPart(UInt128 value) => new((BigInteger)value);

    /// <summary>Makes an integer part.</summary>
    /// <param name="value">At most 255 bytes of magnitude; more give an <see cref="ArgumentOutOfRangeException"/>.</param>
    public static implicit operator KvKeyPart(BigInteger value) => new(value);

    /// <summary>Makes a double part, which differs from the integer part of the same value.</summary>
    /// <remarks>
    /// The sign of a NaN counts, and that of a computed one depends on the processor. <see cref="double.NaN"/> is the -NaN that sorts
    /// before all doubles; <c>Math.CopySign(double.NaN, 1)</c> is the NaN of JavaScript, which sorts after them.
    /// </remarks>
    public static implicit operator KvKeyPart(double value) => new(value);

    /// <summary>Makes a boolean part.</summary>
    public static implicit operator KvKeyPart(bool value) => new(value);

    /// <summary>Makes a byte-array part. The array is copied when a key is made of the part; leave it unchanged until then.</summary>
    /// <param name="value">Any bytes; null is refused with an <see cref="ArgumentNullException"/>.</param>
    public static implicit operator KvKeyPart(byte[] value) => new(value);

    /// <summary>Makes a byte-array part. The bytes are copied when a key is made of the part; leave them unchanged until then.</summary>
    public static implicit operator KvKeyPart(ReadOnlyMemory<byte> value) =>
        MemoryMarshal.TryGetArray(value, out var segment) && segment.Array is { } array && segment.Count == array.Length
            ? new(array)
            : new(value.ToArray());

    /// <summary>Makes a string part of the 36 characters with hyphens in lower case, which is how other languages write it, too.</summary>
    /// <remarks>
    /// Such parts sort as their text, so those of <see cref="Guid.CreateVersion7()"/> by the millisecond in which they were made. It is not
    /// the order of <see cref="Guid.CompareTo(Guid)"/> on all runtimes, nor that of <see cref="Guid.ToByteArray()"/>.
    /// </remarks>
    public static implicit operator KvKeyPart(Guid value) => new(value.ToString("D", CultureInfo.InvariantCulture));

    /// <summary>
    /// Makes a string part of the instant, in UTC and to the tick: <c>2026-11-28T17:05:00.0000000Z</c> (ISO 8601). Such parts sort by time,
    /// and two values of one instant are one part, whatever their offsets.
    /// </summary>
    public static implicit operator KvKeyPart(DateTimeOffset value) =>
        new(value.UtcDateTime.ToString(InstantFormat, CultureInfo.InvariantCulture));

    /// <summary>Makes a string part of the date, <c>2026-11-28</c> (ISO 8601). Such parts sort by time.</summary>
    public static implicit operator KvKeyPart(DateOnly value) => new(value.ToString(DateFormat, CultureInfo.InvariantCulture));

    /// <summary>Makes a string part of the time of day, to the tick: <c>17:05:00.0000000</c> (ISO 8601). Such parts sort by time.</summary>
    public static implicit operator KvKeyPart(TimeOnly value) => new(value.ToString(TimeFormat, CultureInfo.InvariantCulture));

    /// <summary>Makes an integer part of the number behind a value of an enum. Such parts sort by that number.</summary>
    /// <remarks>A renamed member stays the same part; one with another number does not.</remarks>
    /// <typeparam name="TEnum">The enum.</typeparam>
    /// <param name="value">The value, named or not.</param>
    public static KvKeyPart FromEnum<TEnum>(TEnum value)
        where TEnum : struct, Enum => value.GetTypeCode() == TypeCode.UInt64
        ? Convert.ToUInt64(value, CultureInfo.InvariantCulture)
        : Convert.ToInt64(value, CultureInfo.InvariantCulture);

    /// <summary>The <see cref="Guid"/> that a <see cref="KvKeyPartType.String"/> part was made of.</summary>
    /// <exception cref="InvalidOperationException">The part has another type.</exception>
    /// <exception cref="FormatException">The text is not one that a <see cref="Guid"/> gives.</exception>
    public Guid AsGuid() => Guid.TryParseExact(AsString(), "D", out var value) ? Same(value, value) : throw NotOf(nameof(Guid));

    /// <summary>The instant that a <see cref="KvKeyPartType.String"/> part was made of, in UTC.</summary>
    /// <exception cref="InvalidOperationException">The part has another type.</exception>
    /// <exception cref="FormatException">The text is not one that a <see cref="DateTimeOffset"/> gives.</exception>
    public DateTimeOffset AsDateTimeOffset() => DateTimeOffset.TryParseExact(
        AsString(), InstantFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var value)
        ? Same(value, value)
        : throw NotOf(nameof(DateTimeOffset));

    /// <summary>The date that a <see cref="KvKeyPartType.String"/> part was made of.</summary>
    /// <exception cref="InvalidOperationException">The part has another type.</exception>
    /// <exception cref="FormatException">The text is not one that a <see cref="DateOnly"/> gives.</exception>
    public DateOnly AsDateOnly() => DateOnly.TryParseExact(
        AsString(), DateFormat, CultureInfo.InvariantCulture, DateTimeStyles.None, out var value)
        ? Same(value, value)
        : throw NotOf(nameof(DateOnly));

    /// <summary>The time of day that a <see cref="KvKeyPartType.String"/> part was made of.</summary>
    /// <exception cref="InvalidOperationException">The part has another type.</exception>
    /// <exception cref="FormatException">The text is not one that a <see cref="TimeOnly"/> gives.</exception>
    public TimeOnly AsTimeOnly() => TimeOnly.TryParseExact(
        AsString(), TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.None, out var value)
        ? Same(value, value)
        : throw NotOf(nameof(TimeOnly));

    /// <summary>The value of an enum that a <see cref="KvKeyPartType.Integer"/> part was made of, named or not.</summary>
    /// <typeparam name="TEnum">The enum.</typeparam>
    /// <exception cref="InvalidOperationException">The part has another type.</exception>
    /// <exception cref="OverflowException">The enum has no such number.</exception>
    public TEnum AsEnum<TEnum>()
        where TEnum : struct, Enum
    {
        var number = AsInteger();
        var value = (TEnum)Enum.ToObject(typeof(TEnum), unchecked((ulong)(number & ulong.MaxValue)));
        return FromEnum(value) == this
            ? value
            : throw new OverflowException(
                $"The key part {this} is no number of the enum {typeof(TEnum).Name}, "
                + $"whose numbers are of {Enum.GetUnderlyingType(typeof(TEnum)).Name}.");
    }

    // A text that is read as a value and is not how the value is written would be another part when it is written again.
    private T Same<T>(T value, KvKeyPart part) => part == this ? value : throw NotOf(typeof(T).Name);

    private FormatException NotOf(string type) =>
        new($"The key part {this} is no text that a {type} gives. Read it with {nameof(AsString)}.");
}
