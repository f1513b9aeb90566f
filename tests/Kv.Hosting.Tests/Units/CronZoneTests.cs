using System.Globalization;

namespace Kv.Tests.Units;

/// <summary>Cron expressions on the days on which clocks are set, in all zones that the system knows, against a walk from minute to minute.</summary>
public sealed class CronZoneTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    /// <summary>What an expression says of the clock's face, told apart from how it is read.</summary>
    private sealed record Expression(string Text, bool IsHourly, bool IsInterval, Func<DateTime, bool> Allows);

    private static readonly Expression[] Expressions =
    [
        new("30 1 * * *", false, false, static t => t is { Hour: 1, Minute: 30 }),
        new("0 0 * * *", false, false, static t => t is { Hour: 0, Minute: 0 }),
        new("59 23 * * SAT,SUN", false, false, static t => t is { Hour: 23, Minute: 59, DayOfWeek: DayOfWeek.Saturday or DayOfWeek.Sunday }),
        new("5,45 0-3,22-23 * * *", false, false, static t => t is { Hour: <= 3 or >= 22, Minute: 5 or 45 }),
        new("*/20 2 * * *", false, true, static t => t.Hour == 2 && t.Minute % 20 == 0),
        new("15 */2 * * *", false, true, static t => t.Hour % 2 == 0 && t.Minute == 15),
        new("0 0-23 * * *", true, true, static t => t.Minute == 0),
        new("7 * * * *", true, true, static t => t.Minute == 7),
    ];

    [Fact]
    public void Around_each_change_of_every_zone_ticks_come_as_a_walk_from_minute_to_minute_finds_them()
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var zone in TimeZoneInfo.GetSystemTimeZones())
        {
            var changes = Changes(zone, Utc("2025-01-01 00:00"), Utc("2028-01-01 00:00"));

            // Of zones that are one in all but their names, the first.
            if (!seen.Add($"{zone.BaseUtcOffset} {zone.GetAdjustmentRules().Length} {string.Join(' ', changes.Select(c => (c, zone.GetUtcOffset(c))))}"))
            {
                continue;
            }

            foreach (var change in changes)
            {
                Compare(zone, change.AddDays(-1), change.AddDays(1));
            }
        }

        Assert.True(seen.Count > 20, $"The system has {seen.Count} kinds of zones.");
    }

    [Theory]
    // A day that was left out, and one that was there twice.
    [InlineData("Pacific/Apia", "2011-12-30 10:00")]
    [InlineData("Pacific/Kwajalein", "1993-08-21 12:00")]
    [InlineData("Pacific/Kwajalein", "1969-09-30 13:00")]
    // The last changes of zones that keep their clocks since.
    [InlineData("Europe/Istanbul", "2016-03-27 01:00")]
    [InlineData("America/Sao_Paulo", "2019-02-17 02:00")]
    [InlineData("Asia/Tehran", "2022-09-21 19:30")]
    // A change of the base offset on the day of a change for summer, and one of half an hour.
    [InlineData("Europe/Volgograd", "2020-12-26 23:00")]
    [InlineData("Asia/Pyongyang", "2018-05-04 15:00")]
    [InlineData("America/Caracas", "2016-05-01 07:00")]
    public void Around_changes_of_the_past_too(string zone, string change) =>
        Compare(TimeZoneInfo.FindSystemTimeZoneById(zone), Utc(change).AddDays(-1), Utc(change).AddDays(1));

    [Theory]
    // Dublin's winter is the exception by its law, with a negative saving. Its clocks are London's.
    [InlineData("30 1 * * *", "Europe/Dublin", "2027-03-27 12:00", "2027-03-28 01:00", "2027-03-29 00:30")]
    [InlineData("0 1 * * SUN", "Europe/Dublin", "2027-03-27 12:00", "2027-03-28 01:00", "2027-04-04 00:00")]
    [InlineData("30 1 * * *", "Europe/London", "2027-03-27 12:00", "2027-03-28 01:00", "2027-03-29 00:30")]
    [InlineData("30 1 * * *", "Europe/Dublin", "2027-10-30 12:00", "2027-10-31 00:30", "2027-11-01 01:30")]
    // Midnight is left out where clocks are set at it.
    [InlineData("0 0 * * *", "Asia/Beirut", "2027-03-27 12:00", "2027-03-27 22:00", "2027-03-28 21:00")]
    [InlineData("0 0 * * *", "Africa/Cairo", "2027-04-29 12:00", "2027-04-29 22:00", "2027-04-30 21:00")]
    [InlineData("15 0 * * *", "America/Havana", "2027-03-13 12:00", "2027-03-14 05:00", "2027-03-15 04:15")]
    [InlineData("@daily", "America/Havana", "2027-11-06 12:00", "2027-11-07 04:00", "2027-11-08 05:00")]
    // Half an hour.
    [InlineData("15 2 * * *", "Australia/Lord_Howe", "2027-10-02 06:00", "2027-10-02 15:30", "2027-10-03 15:15")]
    // The whole 30th of December 2011.
    [InlineData("0 12 * * *", "Pacific/Apia", "2011-12-29 23:00", "2011-12-30 10:00", "2011-12-30 22:00", "2011-12-31 22:00")]
    public void What_a_gap_leaves_out_comes_right_after_it_whatever_the_law_calls_the_change(string expression, string zone, string after, params string[] expected) =>
        Assert.Equal(expected, Ticks(expression, zone, after, expected.Length));

    [Theory]
    // Hours are the same however they are written.
    [InlineData("0 0-23 * * *", "Europe/Berlin", "2026-10-24 23:30", "2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 02:00")]
    [InlineData("0 0-11,12-23 * * *", "Europe/Berlin", "2026-10-24 23:30", "2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 02:00")]
    [InlineData("30 0-23/1 * * *", "Europe/Berlin", "2026-03-29 00:00", "2026-03-29 00:30", "2026-03-29 01:30", "2026-03-29 02:30")]
    // A step goes on with elapsed time, and loses none of its hours.
    [InlineData("0 */2 * * *", "Europe/Berlin", "2026-03-28 22:30", "2026-03-28 23:00", "2026-03-29 01:00", "2026-03-29 02:00", "2026-03-29 04:00")]
    [InlineData("0 0-23/2 * * *", "Europe/Berlin", "2026-03-28 22:30", "2026-03-28 23:00", "2026-03-29 01:00", "2026-03-29 02:00")]
    [InlineData("0 0/2 * * *", "Europe/Berlin", "2026-10-24 23:30", "2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 03:00")]
    [InlineData("*/30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", "2026-03-29 01:00", "2026-03-30 00:00", "2026-03-30 00:30")]
    [InlineData("0-59 2 * * *", "Europe/Berlin", "2026-03-28 12:00", "2026-03-29 01:00", "2026-03-30 00:00", "2026-03-30 00:01")]
    // What is listed is a fixed time.
    [InlineData("0,30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", "2026-10-25 00:00", "2026-10-25 00:30", "2026-10-26 01:00")]
    [InlineData("0 2-4 * * *", "Europe/Berlin", "2026-10-24 12:00", "2026-10-25 00:00", "2026-10-25 02:00", "2026-10-25 03:00")]
    public void Hours_that_are_written_as_ranges_or_steps_lose_nothing_either(string expression, string zone, string after, params string[] expected) =>
        Assert.Equal(expected, Ticks(expression, zone, after, expected.Length));

    [Theory]
    [InlineData("0 0 29 2 */2", "2004-03-01 00:00", "2020-02-29 00:00")]
    [InlineData("0 0 29 2 */7", "2076-03-01 00:00", "2088-02-29 00:00")]
    public void A_date_that_is_rare_is_found(string expression, string after, string expected) => Assert.Equal([expected], Ticks(expression, "UTC", after, 1));

    [Fact]
    public void At_the_ends_of_time_there_is_a_first_tick_and_no_further_one_in_any_zone()
    {
        foreach (var zone in TimeZoneInfo.GetSystemTimeZones().DistinctBy(static z => (z.BaseUtcOffset, z.SupportsDaylightSavingTime)))
        {
            foreach (var text in (string[])["30 1 * * *", "0 */2 * * *", "@hourly", "0 0 1 1 *"])
            {
                var schedule = KvSchedule.Cron(text, zone);
                var first = schedule.NextAfter(DateTimeOffset.MinValue);
                Assert.InRange(first, DateTimeOffset.MinValue.AddTicks(1), DateTimeOffset.MinValue.AddDays(367));
                foreach (var late in (DateTimeOffset[])[DateTimeOffset.MaxValue, DateTimeOffset.MaxValue.AddTicks(-1), DateTimeOffset.MaxValue.AddSeconds(-59)])
                {
                    Assert.Contains(text, Assert.Throws<InvalidOperationException>(() => schedule.NextAfter(late)).Message, StringComparison.Ordinal);
                }

                // As near to the end as it gets.
                var last = DateTimeOffset.MaxValue.AddDays(-3);
                Assert.Throws<InvalidOperationException>(() =>
                {
                    for (var i = 0; i < 10_000; i++)
                    {
                        Assert.True(schedule.NextAfter(last) is var next && next > last);
                        last = next;
                    }
                });
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3600)]
    [InlineData(86_400)]
    public void At_the_ends_of_time_intervals_have_a_first_tick_and_no_further_one(int seconds)
    {
        var interval = TimeSpan.FromSeconds(seconds);
        var schedule = KvSchedule.Every(interval);

        var first = schedule.NextAfter(DateTimeOffset.MinValue);
        Assert.InRange(first, DateTimeOffset.MinValue.AddTicks(1), DateTimeOffset.MinValue + interval);
        Assert.Equal(0, (first - DateTimeOffset.UnixEpoch).Ticks % interval.Ticks);
        Assert.Equal(DateTimeOffset.UnixEpoch, schedule.NextAfter(DateTimeOffset.UnixEpoch.AddTicks(-1)));
        Assert.Equal(DateTimeOffset.UnixEpoch + interval, schedule.NextAfter(DateTimeOffset.UnixEpoch));
        Assert.Contains("every", Assert.Throws<InvalidOperationException>(() => schedule.NextAfter(DateTimeOffset.MaxValue)).Message, StringComparison.Ordinal);
    }

    private static void Compare(TimeZoneInfo zone, DateTimeOffset from, DateTimeOffset to)
    {
        // From before it, so that what is repeated within it is known.
        var start = from.AddDays(-1);
        var faces = Enumerable.Range(0, (int)((to - start) / Minute) + 1).Select(i => start + (i * Minute)).Select(t => t.DateTime + zone.GetUtcOffset(t)).ToList();
        foreach (var expression in Expressions)
        {
            var expected = Walk(expression, faces).Select(i => start + (i * Minute)).Where(t => t > from).ToList();
            var schedule = KvSchedule.Cron(expression.Text, zone);
            List<DateTimeOffset> actual = [];
            for (var tick = schedule.NextAfter(from); tick <= to; tick = schedule.NextAfter(tick))
            {
                actual.Add(tick);
            }

            Assert.True(
                expected.SequenceEqual(actual),
                $"{expression.Text} {zone.Id} from {from:O}: {string.Join(", ", expected.Except(actual))} are missing, {string.Join(", ", actual.Except(expected))} are too many.");
        }
    }

    /// <summary>The minutes at which there are ticks, looked for in each.</summary>
    private static IEnumerable<int> Walk(Expression expression, List<DateTime> faces)
    {
        var latest = faces[0];
        for (var i = 1; i < faces.Count; i++)
        {
            var (before, now) = (faces[i - 1], faces[i]);
            var leftOut = (!expression.IsHourly && Between(before, now)) || (!expression.IsInterval && Between(latest, now));
            if (leftOut || (expression.Allows(now) && (expression.IsInterval || now > latest)))
            {
                yield return i;
            }

            latest = now > latest ? now : latest;
        }

        bool Between(DateTime one, DateTime other)
        {
            for (var minute = one + Minute; minute < other; minute += Minute)
            {
                if (minute > latest && expression.Allows(minute))
                {
                    return true;
                }
            }

            return false;
        }
    }

    private static List<DateTimeOffset> Changes(TimeZoneInfo zone, DateTimeOffset from, DateTimeOffset to)
    {
        List<DateTimeOffset> changes = [];
        var offset = zone.GetUtcOffset(from);
        for (var day = from; day < to; day = day.AddDays(1))
        {
            if (zone.GetUtcOffset(day.AddDays(1)) is var next && next != offset)
            {
                changes.Add(Enumerable.Range(1, 24 * 60).Select(i => day.AddMinutes(i)).First(t => zone.GetUtcOffset(t) == next));
                offset = next;
            }
        }

        return changes;
    }

    private static IEnumerable<string> Ticks(string expression, string zone, string after, int count)
    {
        var schedule = KvSchedule.Cron(expression, TimeZoneInfo.FindSystemTimeZoneById(zone));
        var tick = Utc(after);
        for (var i = 0; i < count; i++)
        {
            tick = schedule.NextAfter(tick);
            yield return tick.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);
        }
    }

    private static DateTimeOffset Utc(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
}
