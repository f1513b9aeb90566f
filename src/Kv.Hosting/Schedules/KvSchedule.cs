using System.Globalization;
using Kv.Schedules;

namespace Kv;

/// <summary>When a recurring message is enqueued: by a cron expression, or by an interval.</summary>
public sealed class KvSchedule
{
    private static readonly TimeSpan ShortestInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestInterval = TimeSpan.FromDays(366);
    private readonly CronExpression? _cron;
    private readonly TimeZoneInfo _zone;
    private readonly TimeSpan _interval;

    private KvSchedule(CronExpression? cron, TimeZoneInfo zone, TimeSpan interval) => (_cron, _zone, _interval) = (cron, zone, interval);

    /// <summary>
    /// The five fields of crontab(5), minute, hour, day of month, month, day of week; or six, with the second before them.
    /// </summary>
    /// <remarks>
    /// Lists, ranges, steps (<c>*/15</c>), names (<c>JAN</c>, <c>MON-FRI</c>), Sunday as 0 or 7, and <c>@yearly</c>, <c>@monthly</c>,
    /// <c>@weekly</c>, <c>@daily</c>, <c>@hourly</c>. If both days are restricted, a day that fits one of them is enough. The day of month
    /// may be <c>L</c> (the last), <c>L-3</c> (so many before it), <c>15W</c> (the nearest of Monday to Friday in the month), <c>LW</c>
    /// (the last of Monday to Friday); the day of week <c>FRIL</c> (the last Friday), <c>FRI#2</c> (the second); <c>?</c> is <c>*</c>.
    /// <para>
    /// Where the zone's clock goes forward, what is left out comes right after the gap, once; but for expressions whose hours are all 24
    /// (<c>*</c>, <c>0-23</c>), which go on with elapsed time. Where it goes back, a fixed time comes once, the first time round;
    /// expressions whose minute or hour is every one, or a step over the whole range (<c>*/15</c>, <c>0-23/2</c>), go on with elapsed time.
    /// </para>
    /// </remarks>
    /// <param name="expression">The expression, such as <c>0 3 * * MON-FRI</c>.</param>
    /// <param name="zone">The time zone; null for UTC.</param>
    /// <exception cref="ArgumentException">The expression cannot be read, or names a time that never comes.</exception>
    public static KvSchedule Cron(string expression, TimeZoneInfo? zone = null) =>
        new(new CronExpression(expression), zone ?? TimeZoneInfo.Utc, default);

    /// <summary>An interval. Ticks are its multiples counted from 1970-01-01 00:00 UTC, so that all processes agree on them.</summary>
    /// <param name="interval">From 1 second to 366 days, in whole milliseconds.</param>
    /// <exception cref="ArgumentException">The interval is out of its range.</exception>
    public static KvSchedule Every(TimeSpan interval) =>
        interval >= ShortestInterval && interval <= LongestInterval && interval.Ticks % TimeSpan.TicksPerMillisecond == 0
            ? new(null, TimeZoneInfo.Utc, interval)
            : throw new ArgumentException(
                $"The interval is {interval}; it must be 1 second to 366 days, in whole milliseconds.", nameof(interval));

    /// <summary>The first tick after a time.</summary>
    /// <param name="time">The time.</param>
    /// <returns>The tick, in UTC.</returns>
    /// <exception cref="InvalidOperationException">There is none up to the end of the year 9999.</exception>
    public DateTimeOffset NextAfter(DateTimeOffset time) => FindNext(time)
        ?? throw new InvalidOperationException($"The schedule '{this}' has no tick after {time:O}: times end with the year 9999.");

    /// <summary>The definition, as it is noted with the schedule.</summary>
    public override string ToString() =>
        _cron is null ? string.Create(CultureInfo.InvariantCulture, $"every {_interval:c}") : $"{_cron.Text} {_zone.Id}";

    /// <summary>The parts of the definition, as they are stored.</summary>
    internal ScheduleTiming ToTiming() => _cron is null
        ? new ScheduleTiming(null, null, (long)_interval.TotalMilliseconds)
        : new ScheduleTiming(_cron.Text, _zone.Id, 0);

    /// <summary>A schedule of its stored parts.</summary>
    /// <exception cref="TimeZoneNotFoundException">This machine does not know the time zone.</exception>
    internal static KvSchedule From(ScheduleTiming timing) => timing.Cron is null
        ? Every(TimeSpan.FromMilliseconds(timing.Interval))
        : Cron(timing.Cron, TimeZoneInfo.FindSystemTimeZoneById(timing.Zone ?? TimeZoneInfo.Utc.Id));

    /// <summary>The first tick after a time; null if there is none.</summary>
    internal DateTimeOffset? FindNext(DateTimeOffset time) => _cron is null ? NextMultiple(time) : _cron.Next(time, _zone);

    /// <summary>The last tick up to a time.</summary>
    /// <param name="first">A tick, at or before the time.</param>
    /// <param name="time">The time.</param>
    internal DateTimeOffset LastUpTo(DateTimeOffset first, DateTimeOffset time)
    {
        // From near the time on, since after a long pause there are many ticks.
        foreach (var days in (ReadOnlySpan<double>)[1.0 / 1440, 1.0 / 24, 1, 32, 400])
        {
            var near = time.AddDays(-days);
            if (near > first && NextAfter(near) is var tick && tick <= time)
            {
                first = tick;
                break;
            }
        }

        while (NextAfter(first) is var next && next <= time)
        {
            first = next;
        }

        return first;
    }

    private DateTimeOffset? NextMultiple(DateTimeOffset time)
    {
        var since = time.UtcTicks - DateTimeOffset.UnixEpoch.Ticks;
        var next = since - (((since % _interval.Ticks) + _interval.Ticks) % _interval.Ticks) + _interval.Ticks;
        return next > DateTimeOffset.MaxValue.Ticks - DateTimeOffset.UnixEpoch.Ticks ? null : DateTimeOffset.UnixEpoch.AddTicks(next);
    }
}
