using System.Globalization;

namespace Kv.Schedules;

/// <summary>The two fields of days of a cron expression.</summary>
/// <remarks>
/// Besides what all fields know, after Quartz: <c>?</c> for <c>*</c>; in the day of month <c>L</c> (the last day), <c>L-3</c> (so many days
/// before it), <c>15W</c> (the weekday, Monday to Friday, that is nearest to the 15th in the same month), <c>LW</c> (the last weekday); in
/// the day of week <c>FRIL</c> or <c>5L</c> (the last Friday of the month), <c>FRI#2</c> or <c>5#2</c> (the second Friday). Days of the
/// week are numbered as in crontab(5): 0 or 7 is Sunday.
/// </remarks>
internal sealed class CronDays
{
    private static readonly string[] Names = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    private readonly CronField _day;
    private readonly CronField _weekday;
    private readonly List<Func<DateTime, bool>> _dayRules = [];
    private readonly List<Func<DateTime, bool>> _weekdayRules = [];

    /// <param name="day">The field of the day of month.</param>
    /// <param name="weekday">The field of the day of week.</param>
    /// <exception cref="ArgumentException">A field cannot be read.</exception>
    public CronDays(string day, string weekday)
    {
        if (Rest(day, DayRule, _dayRules) is { } days)
        {
            _day = CronField.Parse(days, "day of month", 1, 31);
        }

        if (Rest(weekday, WeekdayRule, _weekdayRules) is { } weekdays)
        {
            var read = CronField.Parse(weekdays, "day of week", 0, 7, Names);

            // Sunday is 0 and 7.
            _weekday = read with { Values = (read.Values & 0x7F) | (read.Values >> 7) };
        }
    }

    public bool Has(DateTime date)
    {
        var byDay = _day.Has(date.Day) || _dayRules.Exists(rule => rule(date));
        var byWeekday = _weekday.Has((int)date.DayOfWeek) || _weekdayRules.Exists(rule => rule(date));
        return _day.IsStar || _weekday.IsStar ? byDay && byWeekday : byDay || byWeekday;
    }

    /// <summary>Takes the rules out of a field.</summary>
    /// <returns>What is left of it; null for nothing.</returns>
    private static string? Rest(string field, Func<string, string, Func<DateTime, bool>?> read, List<Func<DateTime, bool>> rules)
    {
        if (field.StartsWith('?'))
        {
            field = $"*{field[1..]}";
        }

        List<string> others = [];
        foreach (var item in field.Split(','))
        {
            if (read(field, item) is { } rule)
            {
                rules.Add(rule);
            }
            else
            {
                others.Add(item);
            }
        }

        return others.Count == 0 ? null : string.Join(',', others);
    }

    private static Func<DateTime, bool>? DayRule(string field, string item)
    {
        if (item.Equals("LW", StringComparison.OrdinalIgnoreCase))
        {
            return static date => date.Day == NearestWeekday(date, LastOf(date));
        }

        if (item.Equals("L", StringComparison.OrdinalIgnoreCase))
        {
            return static date => date.Day == LastOf(date);
        }

        if (item.StartsWith("L-", StringComparison.OrdinalIgnoreCase))
        {
            return Number(item[2..], 1, 30) is { } before
                ? date => date.Day == LastOf(date) - before
                : throw CronField.Wrong(field, "day of month", item, "after L- stands a number of days from 1 to 30");
        }

        if (!item.EndsWith('W') && !item.EndsWith('w'))
        {
            return null;
        }

        return Number(item[..^1], 1, 31) is { } day
            ? date => day <= LastOf(date) && date.Day == NearestWeekday(date, day)
            : throw CronField.Wrong(field, "day of month", item, "before W stands one day from 1 to 31, or L");
    }

    private static Func<DateTime, bool>? WeekdayRule(string field, string item)
    {
        const string Name = "day of week";
        if (item.Split('#') is [var weekday, var number])
        {
            return (Weekday(weekday), Number(number, 1, 5)) is ({ } day, { } nth)
                ? date => (int)date.DayOfWeek == day && (date.Day + 6) / 7 == nth
                : throw CronField.Wrong(field, Name, item, "before # stands one day of the week, after it a number from 1 to 5");
        }

        // No name of a day ends with L.
        if (!item.EndsWith('L') && !item.EndsWith('l'))
        {
            return null;
        }

        return Weekday(item[..^1]) is { } last
            ? date => (int)date.DayOfWeek == last && date.Day > LastOf(date) - 7
            : throw CronField.Wrong(field, Name, item, "before L stands one day of the week");
    }

    private static int LastOf(DateTime date) => DateTime.DaysInMonth(date.Year, date.Month);

    /// <summary>The day from Monday to Friday that is nearest to a day, and in the same month.</summary>
    private static int NearestWeekday(DateTime date, int day) => date.AddDays(day - date.Day).DayOfWeek switch
    {
        DayOfWeek.Saturday => day > 1 ? day - 1 : day + 2,
        DayOfWeek.Sunday => day < LastOf(date) ? day + 1 : day - 2,
        _ => day,
    };

    private static int? Weekday(string text) =>
        Array.FindIndex(Names, name => name.Equals(text, StringComparison.OrdinalIgnoreCase)) is >= 0 and var named ? named
        : Number(text, 0, 7) is { } number ? number % 7 : null;

    private static int? Number(string text, int least, int most) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most
            ? value : null;
}
