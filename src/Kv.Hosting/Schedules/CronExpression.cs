namespace Kv.Schedules;

/// <summary>
/// The five fields of crontab(5) as of Vixie cron: minute, hour, day of month, month, day of week, with lists, ranges, steps, names, and
/// <c>@hourly</c> and its like. Where both days are restricted, a day that fits one of them is enough. Before them, a field of seconds may
/// stand, and the days know what Quartz's do: <c>L</c>, <c>W</c>, <c>#</c> (<see cref="CronDays"/>).
/// </summary>
internal sealed class CronExpression
{
    // After so many the calendar repeats, days of the week included.
    private const int YearsAhead = 400;

    private static readonly Dictionary<string, string> Nicknames = new(StringComparer.OrdinalIgnoreCase)
    {
        ["@yearly"] = "0 0 1 1 *",
        ["@annually"] = "0 0 1 1 *",
        ["@monthly"] = "0 0 1 * *",
        ["@weekly"] = "0 0 * * 0",
        ["@daily"] = "0 0 * * *",
        ["@midnight"] = "0 0 * * *",
        ["@hourly"] = "0 * * * *",
    };

    private readonly CronField _second;
    private readonly CronField _minute;
    private readonly CronField _hour;
    private readonly CronField _month;
    private readonly CronDays _days;

    /// <exception cref="ArgumentException">The text cannot be read, or names no time that ever comes.</exception>
    public CronExpression(string text)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(text);
        Text = text.Trim();
        var fields = Nicknames.GetValueOrDefault(Text, Text).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length is not (5 or 6))
        {
            throw new ArgumentException(
                $"The cron expression '{Text}' has {fields.Length} fields; it must have 5 (minute, hour, day of month, "
                + "month, day of week), such as '0 3 * * MON-FRI', or 6, with the second before them, such as '*/10 * * * * *', "
                + $"or be one of {string.Join(", ", Nicknames.Keys)}.",
                nameof(text));
        }

        _second = CronField.Parse(fields.Length == 6 ? fields[0] : "0", "second", 0, 59);
        fields = fields[^5..];
        _minute = CronField.Parse(fields[0], "minute", 0, 59);
        _hour = CronField.Parse(fields[1], "hour", 0, 23);
        _month = CronField.Parse(
            fields[3], "month", 1, 12, "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC");
        _days = new CronDays(fields[2], fields[4]);
        if (NextLocal(new DateTime(2000, 1, 1, 0, 0, 0, DateTimeKind.Unspecified).Ticks) is null)
        {
            throw new ArgumentException(
                $"The cron expression '{Text}' names a date that never comes. Look at its day of month and its month.", nameof(text));
        }
    }

    public string Text { get; }

    /// <summary>Whether it comes in every hour, so that a gap of the clock takes nothing away: it goes on in the hour after.</summary>
    private bool IsHourly => _hour.IsFull;

    /// <summary>Whether it goes by the minute or by the hour, so that a repeated hour has its ticks again.</summary>
    private bool IsInterval => _minute.IsInterval || _hour.IsInterval;

    /// <summary>The next time after another; null if there is none that can be written.</summary>
    /// <remarks>
    /// Where the clock goes forward, what is left out comes right after the gap, but for what comes in every hour anyway. Where it goes
    /// back, a fixed time comes once, the first time round, and an interval goes on with elapsed time.
    /// </remarks>
    public DateTimeOffset? Next(DateTimeOffset after, TimeZoneInfo zone)
    {
        var clock = new ZoneClock(zone);
        var (start, offset) = (after.UtcTicks, clock.OffsetAt(after.UtcTicks));

        // What the clock's face must show at least; it is looked for from one setting of the clock to the next.
        var least = (IsInterval ? start + offset : clock.LatestShown(start)) + 1;
        while (NextLocal(least) is { } local)
        {
            var time = Math.Max(local - offset, start);
            if (clock.NextChange(start, Math.Min(time, DateTimeOffset.MaxValue.Ticks)) is not { } change)
            {
                return time <= DateTimeOffset.MaxValue.Ticks ? new DateTimeOffset(time, TimeSpan.Zero) : null;
            }

            var awaited = change + offset;
            (start, offset) = (change, clock.OffsetAt(change));
            if (start + offset > awaited ? IsHourly : IsInterval)
            {
                least = start + offset;
            }
        }

        return null;
    }

    /// <summary>The next time on the face of a clock that is never set, from one on: the first second that all fields allow.</summary>
    private long? NextLocal(long from)
    {
        const long Last = 9999L * 12;
        from = Math.Max(from, 0);
        var seconds = (from / TimeSpan.TicksPerSecond) + (from % TimeSpan.TicksPerSecond > 0 ? 1 : 0);
        if (seconds > DateTime.MaxValue.Ticks / TimeSpan.TicksPerSecond)
        {
            return null;
        }

        var first = new DateTime(seconds * TimeSpan.TicksPerSecond, DateTimeKind.Unspecified);
        var thisMonth = ((first.Year - 1L) * 12) + first.Month - 1;
        for (var month = thisMonth; month < Math.Min(Last, thisMonth + (12 * YearsAhead)); month++)
        {
            var (year, number) = ((int)(month / 12) + 1, (int)(month % 12) + 1);
            for (var day = month == thisMonth ? first.Day : 1; _month.Has(number) && day <= DateTime.DaysInMonth(year, number); day++)
            {
                var date = new DateTime(year, number, day, 0, 0, 0, DateTimeKind.Unspecified);
                if (_days.Has(date) && NextOfDay(date == first.Date ? first.TimeOfDay : TimeSpan.Zero) is { } ofDay)
                {
                    return (date + ofDay).Ticks;
                }
            }
        }

        return null;
    }

    private TimeSpan? NextOfDay(TimeSpan from)
    {
        for (var hour = _hour.AtLeast(from.Hours); hour is { } h; hour = _hour.AtLeast(h + 1))
        {
            var minutes = h == from.Hours ? from.Minutes : 0;
            for (var minute = _minute.AtLeast(minutes); minute is { } m; minute = _minute.AtLeast(m + 1))
            {
                if (_second.AtLeast(h == from.Hours && m == from.Minutes ? from.Seconds : 0) is { } second)
                {
                    return new TimeSpan(h, m, second);
                }
            }
        }

        return null;
    }
}
