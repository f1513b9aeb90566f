namespace Kv.Schedules;

/// <summary>
/// The five fields of crontab(5) as of Vixie cron: minute, hour, day of month, month, day of week, with lists, ranges, steps, names, and
/// <c>@hourly</c> and its like. Where both days are restricted, a day that fits one of them is enough.
/// </summary>
internal sealed class CronExpression
{
    // Leap days come at least every 8 years.
    private const int YearsAhead = 9;

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

    private readonly CronField _minute;
    private readonly CronField _hour;
    private readonly CronField _day;
    private readonly CronField _month;
    private readonly CronField _weekday;

    /// <exception cref="ArgumentException">The text cannot be read, or names no time that ever comes.</exception>
    public CronExpression(string text)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(text);
        Text = text.Trim();
        var fields = Nicknames.GetValueOrDefault(Text, Text).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length != 5)
        {
            throw new ArgumentException(
                $"The cron expression '{Text}' has {fields.Length} fields; it must have 5 (minute, hour, day of month, month, day of week), such as '0 3 * * MON-FRI', or be one of {string.Join(", ", Nicknames.Keys)}.",
                nameof(text));
        }

        _minute = CronField.Parse(fields[0], "minute", 0, 59);
        _hour = CronField.Parse(fields[1], "hour", 0, 23);
        _day = CronField.Parse(fields[2], "day of month", 1, 31);
        _month = CronField.Parse(fields[3], "month", 1, 12, "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC");
        var weekday = CronField.Parse(fields[4], "day of week", 0, 7, "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT");

        // Sunday is 0 and 7.
        _weekday = weekday with { Values = (weekday.Values & 0x7F) | (weekday.Values >> 7) };
        if (NextLocal(new DateTime(2000, 1, 1, 0, 0, 0, DateTimeKind.Unspecified)) is null)
        {
            throw new ArgumentException($"The cron expression '{Text}' names a date that never comes. Look at its day of month and its month.", nameof(text));
        }
    }

    public string Text { get; }

    /// <summary>Whether it repeats within the hour or by the hour, so that it follows elapsed time where clocks are set, and not the clock's face.</summary>
    private bool IsInterval => _minute.IsStar || _hour.IsStar;

    /// <summary>The next time after another.</summary>
    /// <remarks>
    /// Where the clock goes forward, a fixed time that is left out comes right after the gap; where it goes back, a fixed time comes once, the
    /// first time round. What repeats in minutes or hours goes on with elapsed time in both cases.
    /// </remarks>
    public DateTimeOffset? Next(DateTimeOffset after, TimeZoneInfo zone) => IsInterval ? NextElapsed(after, zone) : NextFixed(after, zone);

    private static DateTime Local(DateTimeOffset time, TimeSpan offset) => DateTime.SpecifyKind((time + offset).UtcDateTime, DateTimeKind.Unspecified);

    private static DateTimeOffset At(DateTime local, TimeSpan offset) => new(local.Ticks - offset.Ticks, TimeSpan.Zero);

    private DateTimeOffset? NextFixed(DateTimeOffset after, TimeZoneInfo zone)
    {
        DateTime? local = Local(after, zone.GetUtcOffset(after));
        while ((local = NextLocal(local.Value)) is { } candidate)
        {
            var time = zone.IsInvalidTime(candidate) ? EndOfGap(candidate, zone)
                : zone.IsAmbiguousTime(candidate) ? At(candidate, zone.GetAmbiguousTimeOffsets(candidate).Max())
                : At(candidate, zone.GetUtcOffset(candidate));
            if (time > after)
            {
                return time;
            }
        }

        return null;
    }

    private DateTimeOffset? NextElapsed(DateTimeOffset after, TimeZoneInfo zone)
    {
        var offset = zone.GetUtcOffset(after);
        var local = Local(after, offset);
        while (NextLocal(local) is { } candidate)
        {
            var time = At(candidate, offset);
            var change = FirstChange(after, time, zone);
            if (change is not { } at || at > time)
            {
                return time;
            }

            // On the other side the clock shows something else: from there on it is looked for anew, that very minute included.
            (after, offset) = (at, zone.GetUtcOffset(at));
            local = Local(at, offset).AddMinutes(-1);
        }

        return null;
    }

    /// <summary>The first minute of another offset between two times.</summary>
    private static DateTimeOffset? FirstChange(DateTimeOffset from, DateTimeOffset to, TimeZoneInfo zone)
    {
        var offset = zone.GetUtcOffset(from);
        while (from < to)
        {
            var day = from.AddDays(1) < to ? from.AddDays(1) : to;
            if (zone.GetUtcOffset(day) != offset)
            {
                for (var minute = from.AddTicks(-(from.Ticks % TimeSpan.TicksPerMinute)); ; minute = minute.AddMinutes(1))
                {
                    if (minute > from && zone.GetUtcOffset(minute) != offset)
                    {
                        return minute;
                    }
                }
            }

            from = day;
        }

        return null;
    }

    private static DateTimeOffset EndOfGap(DateTime local, TimeZoneInfo zone)
    {
        while (zone.IsInvalidTime(local))
        {
            local = local.AddMinutes(1);
        }

        return At(local, zone.GetUtcOffset(local));
    }

    /// <summary>The next time on the face of a clock that nobody sets.</summary>
    private DateTime? NextLocal(DateTime after)
    {
        var time = after.AddTicks(-(after.Ticks % TimeSpan.TicksPerMinute)).AddMinutes(1);
        var end = after.Year + YearsAhead;
        while (time.Year <= end)
        {
            if (!_month.Has(time.Month))
            {
                time = new DateTime(time.Year, time.Month, 1, 0, 0, 0, DateTimeKind.Unspecified).AddMonths(1);
            }
            else if (!HasDay(time) || _hour.AtLeast(time.Hour) is not { } hour || hour > 23)
            {
                time = time.Date.AddDays(1);
            }
            else if (hour > time.Hour)
            {
                time = time.Date.AddHours(hour);
            }
            else if (_minute.AtLeast(time.Minute) is { } minute)
            {
                return time.Date.AddHours(hour).AddMinutes(minute);
            }
            else
            {
                time = time.Date.AddHours(hour + 1);
            }
        }

        return null;
    }

    private bool HasDay(DateTime day)
    {
        var (byDay, byWeekday) = (_day.Has(day.Day), _weekday.Has((int)day.DayOfWeek));
        return _day.IsStar || _weekday.IsStar ? byDay && byWeekday : byDay || byWeekday;
    }
}
