using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>A <c>Date</c>: milliseconds since 1970 in UTC, or an invalid one.</summary>
/// <param name="milliseconds">The milliseconds, which may have a fraction in the format; NaN for an invalid date.</param>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8Date>))]
public sealed class V8Date(double milliseconds) : V8Value
{
    private const double Longest = 8.64e15;

    /// <summary>Makes a date of a moment, whose fraction of a millisecond and offset it does not have.</summary>
    /// <param name="moment">The moment.</param>
    public V8Date(DateTimeOffset moment)
        : this(moment.ToUnixTimeMilliseconds())
    {
    }

    /// <inheritdoc />
    public override V8Kind Kind => V8Kind.Date;

    /// <summary>Milliseconds since 1970 in UTC; NaN for an invalid date, as JavaScript takes what lies beyond ±8.64e15.</summary>
    public double Milliseconds { get; } = Math.Abs(milliseconds) <= Longest ? milliseconds : double.NaN;

    /// <summary>The moment in UTC; null for an invalid date, or one before the year 1 or after 9999.</summary>
    public DateTimeOffset? Moment => Milliseconds is >= -62135596800000 and < 253402300800000
        ? DateTimeOffset.FromUnixTimeMilliseconds((long)Math.Floor(Milliseconds))
        : null;
}
