using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Kv.Messages;

/// <summary>A token of a rate that a message asks for.</summary>
/// <param name="Key">The entry that holds the bucket.</param>
/// <param name="Rule">How fast it fills.</param>
/// <param name="HasTime">Whether the message comes at a time that it was given.</param>
internal sealed record RateRequest(byte[] Key, RateRule Rule, bool HasTime);

/// <param name="Interval">Microseconds from one token to the next.</param>
/// <param name="Burst">How many tokens may be taken at once after a time of rest.</param>
internal readonly record struct RateRule(long Interval, int Burst);

/// <summary>
/// A token bucket, kept as the time at which it is full again (the generic cell rate algorithm, as in ITU-T I.371), and the lines of
/// messages that wait for a token.
/// </summary>
/// <param name="FullAt">When all tokens that were taken have been filled up, in Unix microseconds.</param>
/// <param name="LineEnd">The time after the last one that was given away, in Unix microseconds.</param>
/// <param name="LateEnd">The same, of those that found their time taken when they came.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct RateBucket(long FullAt, long LineEnd, long LateEnd)
{
    /// <summary>By how much the clocks of machines that share a rate may differ.</summary>
    private const long Skew = 60_000_000;

    public const int Size = 3 * sizeof(long);

    /// <summary>When the bucket says no more than its absence would, in Unix microseconds.</summary>
    public long EndsAt => Math.Max(FullAt, Math.Max(LineEnd, LateEnd));

    public static RateBucket Read(ReadOnlySpan<byte> bytes) => bytes.Length == Size
        ? new RateBucket(At(bytes, 0), At(bytes, 1), At(bytes, 2))
        : default;

    public byte[] Write()
    {
        var bytes = new byte[Size];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, FullAt);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(sizeof(long)), LineEnd);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(2 * sizeof(long)), LateEnd);
        return bytes;
    }

    /// <summary>Gives a message its token: now, or at a time of its own, so that it does not have to ask again and again.</summary>
    /// <remarks>
    /// A message that comes anew goes to the end of the line if there is one. One that comes at its given time takes a token if there is
    /// one, which there is unless a worker or a clock was late for another. Then it lines up with the others that were late: each of them
    /// has a time of its own again, or all would ask for the same token at the same time.
    /// </remarks>
    /// <param name="now">Unix microseconds.</param>
    /// <param name="rule">The rule.</param>
    /// <param name="hasTime">Whether the message comes at a time that it was given.</param>
    /// <returns>How long it has to wait, in milliseconds, and the bucket then.</returns>
    public (long Wait, RateBucket After) Take(long now, RateRule rule, bool hasTime)
    {
        // No bucket is more than empty, unless a clock that was far ahead kept it: no message is to wait until that time comes.
        var empty = now + (rule.Burst * rule.Interval);
        var bucket = FullAt > empty + Skew ? new RateBucket(empty, now, now) : this with { FullAt = Math.Max(FullAt, now) };
        var next = bucket.FullAt - ((rule.Burst - 1) * rule.Interval);
        var end = Math.Max(bucket.LineEnd, bucket.LateEnd);
        if (next <= now && (hasTime || end <= now))
        {
            return (0, bucket with { FullAt = bucket.FullAt + rule.Interval });
        }

        var at = Math.Max(next, hasTime ? bucket.LateEnd : end);
        var after = at + rule.Interval;

        // Up to the next millisecond, and one at least: 0 means now.
        return (Math.Max(1, (at - now + 999) / 1000), hasTime ? bucket with { LateEnd = after } : bucket with { LineEnd = after });
    }

    private static long At(ReadOnlySpan<byte> bytes, int index) => BinaryPrimitives.ReadInt64LittleEndian(bytes[(index * sizeof(long))..]);
}
