using Kv.Messages;

namespace Kv;

/// <summary>How many messages may begin in a time, over all processes: a token bucket.</summary>
public sealed record KvRate
{
    private static readonly TimeSpan LongestPeriod = TimeSpan.FromDays(1);

    /// <summary>A rate.</summary>
    /// <param name="count">Messages, from 1 to 1,000,000.</param>
    /// <param name="period">The time in which so many may begin, from 1 millisecond to 1 day; not more than one a microsecond.</param>
    /// <param name="burst">
    /// How many may begin at once after a time of rest, from 1 to <paramref name="count"/>; null for <paramref name="count"/>. With 1 they
    /// are spread evenly.
    /// </param>
    /// <exception cref="ArgumentException">A number is out of its range.</exception>
    public KvRate(int count, TimeSpan period, int? burst = null)
    {
        if (count is < 1 or > 1_000_000)
        {
            throw new ArgumentException(
                $"The rate is {count} messages in a period; it must be 1 to 1,000,000. To stop a topic, pause it.", nameof(count));
        }

        if (period < TimeSpan.FromMilliseconds(1) || period > LongestPeriod || period.Ticks / count < TimeSpan.TicksPerMicrosecond)
        {
            throw new ArgumentException(
                $"The rate is {count} messages in {period}; the period must be 1 millisecond to 1 day, and a message may "
                + "come every microsecond at most.",
                nameof(period));
        }

        if (burst < 1 || burst > count)
        {
            throw new ArgumentException($"The burst is {burst} messages; it must be 1 to the rate's {count}.", nameof(burst));
        }

        (Count, Period, Burst) = (count, period, burst ?? count);
    }

    /// <summary>Messages in a <see cref="Period"/>.</summary>
    public int Count { get; }

    /// <summary>The time in which <see cref="Count"/> messages may begin.</summary>
    public TimeSpan Period { get; }

    /// <summary>How many may begin at once after a time of rest.</summary>
    public int Burst { get; }

    internal RateRule Rule => new(Period.Ticks / Count / TimeSpan.TicksPerMicrosecond, Burst);
}
