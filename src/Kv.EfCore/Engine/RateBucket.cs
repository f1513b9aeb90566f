using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Kv.Engine;

/// <summary>Turns of a rate that some messages ask for.</summary>
/// <param name="Key">The entry that holds the bucket.</param>
/// <param name="Rule">How fast it fills.</param>
/// <param name="Turns">For each message the time that it was given before, in Unix milliseconds; 0 for none.</param>
internal sealed record RateRequest(byte[] Key, RateRule Rule, IReadOnlyList<long> Turns);

/// <param name="Interval">Microseconds from one turn to the next.</param>
/// <param name="Burst">How many turns may be taken at once after a time of rest.</param>
internal readonly record struct RateRule(long Interval, int Burst);

/// <summary>
/// A token bucket, kept as the time at which it is full again (the generic cell rate algorithm, as in ITU-T I.371), and the line of those who
/// wait for a turn.
/// </summary>
/// <param name="FullAt">When all turns that were taken have been filled up, in Unix microseconds.</param>
/// <param name="LineEnd">The time after the last one that was given away, in Unix microseconds.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct RateBucket(long FullAt, long LineEnd)
{
    /// <summary>A message that comes later than this after its turn has missed it: a worker was away, not just slow.</summary>
    private const long Patience = 5_000_000;

    public const int Size = 2 * sizeof(long);

    public static RateBucket Read(ReadOnlySpan<byte> bytes) => bytes.Length == Size
        ? new RateBucket(BinaryPrimitives.ReadInt64LittleEndian(bytes), BinaryPrimitives.ReadInt64LittleEndian(bytes[sizeof(long)..]))
        : default;

    public byte[] Write()
    {
        var bytes = new byte[Size];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, FullAt);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(sizeof(long)), LineEnd);
        return bytes;
    }

    /// <summary>Gives each message its turn: now, or at a time of its own, so that nobody has to ask again and again.</summary>
    /// <remarks>
    /// Who comes new goes to the end of the line if there is one. Who comes at its given time takes a turn if there is one, which it is unless
    /// the clock or a worker jumped; then it waits for the next one, or lines up again if it comes far too late: else all those who come late
    /// together would ask for the same few turns.
    /// </remarks>
    /// <param name="now">Unix microseconds.</param>
    /// <param name="rule">The rule.</param>
    /// <param name="turns">For each message the time that it was given before, in Unix milliseconds; 0 for none.</param>
    /// <returns>How long each has to wait, in milliseconds, and the bucket then.</returns>
    public (IReadOnlyList<long> Waits, RateBucket After) Take(long now, RateRule rule, IReadOnlyList<long> turns)
    {
        var (fullAt, lineEnd, soon) = (FullAt, LineEnd, 0L);
        var waits = new long[turns.Count];
        for (var i = 0; i < waits.Length; i++)
        {
            var turn = turns[i] * 1000;
            var next = Math.Max(fullAt, now) - ((rule.Burst - 1) * rule.Interval);
            if (next <= now && (turn > 0 || lineEnd <= now))
            {
                fullAt = Math.Max(fullAt, now) + rule.Interval;
            }
            else if (turn > 0 && now - turn < Math.Max(Patience, 10 * rule.Interval))
            {
                soon = Math.Max(soon, next);
                waits[i] = Wait(soon);
                soon += rule.Interval;
            }
            else
            {
                lineEnd = Math.Max(lineEnd, next);
                waits[i] = Wait(lineEnd);
                lineEnd += rule.Interval;
            }
        }

        return (waits, new RateBucket(fullAt, lineEnd));

        // Up to the next millisecond, and one at least: 0 means now.
        long Wait(long until) => Math.Max(1, (until - now + 999) / 1000);
    }
}
