using System.Globalization;
using FsCheck;
using FsCheck.Fluent;

namespace Kv.Tests.Units;

/// <summary>Cron expressions against the examples of crontab(5), calendars, and a naive model.</summary>
public sealed class CronTests
{
    [Theory]
    // The examples of crontab(5).
    [InlineData("5 0 * * *", "2026-03-01 00:00", "2026-03-01 00:05", "2026-03-02 00:05")]
    [InlineData("15 14 1 * *", "2026-03-01 14:15", "2026-04-01 14:15", "2026-05-01 14:15")]
    [InlineData("0 22 * * 1-5", "2026-11-20 22:00", "2026-11-23 22:00", "2026-11-24 22:00")]
    [InlineData("23 0-23/2 * * *", "2026-11-20 22:30", "2026-11-21 00:23", "2026-11-21 02:23")]
    [InlineData("5 4 * * sun", "2026-11-20 00:00", "2026-11-22 04:05", "2026-11-29 04:05")]
    [InlineData("30 4 1,15 * 5", "2026-11-01 04:30", "2026-11-06 04:30", "2026-11-13 04:30", "2026-11-15 04:30")]
    // Steps, ranges, lists, names, nicknames.
    [InlineData("*/15 * * * *", "2026-11-20 23:44", "2026-11-20 23:45", "2026-11-21 00:00")]
    [InlineData("7-59/20 * * * *", "2026-11-20 23:44", "2026-11-20 23:47", "2026-11-21 00:07")]
    [InlineData("5/20 * * * *", "2026-11-20 10:00", "2026-11-20 10:05", "2026-11-20 10:25", "2026-11-20 10:45", "2026-11-20 11:05")]
    [InlineData("0 0 1 JAN,jul *", "2026-01-01 00:00", "2026-07-01 00:00", "2027-01-01 00:00")]
    [InlineData("0 9 * * MON-FRI", "2026-11-20 09:00", "2026-11-23 09:00")]
    [InlineData("0 0 * * 7", "2026-11-20 00:00", "2026-11-22 00:00")]
    [InlineData("0 0 * * 5-7", "2026-11-20 00:00", "2026-11-21 00:00", "2026-11-22 00:00", "2026-11-27 00:00")]
    [InlineData("@yearly", "2026-11-20 00:00", "2027-01-01 00:00")]
    [InlineData("@monthly", "2026-11-20 00:00", "2026-12-01 00:00")]
    [InlineData("@weekly", "2026-11-20 00:00", "2026-11-22 00:00")]
    [InlineData("@daily", "2026-11-20 00:00", "2026-11-21 00:00")]
    [InlineData("@hourly", "2026-11-20 00:59", "2026-11-20 01:00")]
    // Month ends and leap years.
    [InlineData("0 0 31 * *", "2026-01-31 00:00", "2026-03-31 00:00", "2026-05-31 00:00")]
    [InlineData("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00", "2032-02-29 00:00")]
    [InlineData("0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00")]
    // A day field that begins with an asterisk is no restriction, even with a step.
    [InlineData("0 0 */2 * 1", "2026-11-20 00:00", "2026-11-23 00:00", "2026-12-07 00:00")]
    public void Ticks_come_when_the_calendar_says(string expression, string after, params string[] expected) =>
        Assert.Equal(expected, Ticks(KvSchedule.Cron(expression), Utc(after), expected.Length).Select(static t => t.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)));

    [Theory]
    // Seconds.
    [InlineData("*/20 * * * * *", "2026-11-20 23:59:39", "2026-11-20 23:59:40", "2026-11-21 00:00:00", "2026-11-21 00:00:20")]
    [InlineData("30 5 0 * * *", "2026-11-20 00:05:29.5", "2026-11-20 00:05:30", "2026-11-21 00:05:30")]
    [InlineData("0,59 59 23 31 12 *", "2026-11-20 00:00:00", "2026-12-31 23:59:00", "2026-12-31 23:59:59", "2027-12-31 23:59:00")]
    // Last days, in leap years and others.
    [InlineData("0 0 L * *", "2026-01-15 00:00:00", "2026-01-31 00:00:00", "2026-02-28 00:00:00", "2026-03-31 00:00:00")]
    [InlineData("0 0 L 2 *", "2027-03-01 00:00:00", "2028-02-29 00:00:00", "2029-02-28 00:00:00")]
    [InlineData("0 0 l-2 * *", "2026-01-15 00:00:00", "2026-01-29 00:00:00", "2026-02-26 00:00:00")]
    [InlineData("0 0 15,L * *", "2026-01-15 00:00:00", "2026-01-31 00:00:00", "2026-02-15 00:00:00")]
    // The nearest of Monday to Friday in the month: 2026-08-15 is a Saturday, 2026-11-15 a Sunday; 2026-08-01 a Saturday, 2026-05-31 a Sunday.
    [InlineData("0 0 15W * *", "2026-08-01 00:00:00", "2026-08-14 00:00:00", "2026-09-15 00:00:00", "2026-10-15 00:00:00", "2026-11-16 00:00:00")]
    [InlineData("0 0 1W 8 *", "2026-01-01 00:00:00", "2026-08-03 00:00:00")]
    [InlineData("0 0 31W 5 *", "2026-01-01 00:00:00", "2026-05-29 00:00:00")]
    [InlineData("0 0 LW * ?", "2026-05-01 00:00:00", "2026-05-29 00:00:00", "2026-06-30 00:00:00", "2026-07-31 00:00:00", "2026-08-31 00:00:00")]
    // The last and the second Friday.
    [InlineData("0 0 * * FRIL", "2026-11-01 00:00:00", "2026-11-27 00:00:00", "2026-12-25 00:00:00", "2027-01-29 00:00:00")]
    [InlineData("0 0 ? * 5l", "2026-11-27 00:00:00", "2026-12-25 00:00:00")]
    [InlineData("0 0 * * 7#1", "2026-11-01 00:00:00", "2026-12-06 00:00:00", "2027-01-03 00:00:00")]
    [InlineData("0 0 ? * MON,FRI#2", "2026-11-01 00:00:00", "2026-11-02 00:00:00", "2026-11-09 00:00:00", "2026-11-13 00:00:00")]
    [InlineData("0 0 * * SUN#5", "2026-11-01 00:00:00", "2026-11-29 00:00:00", "2027-01-31 00:00:00")]
    // If both are restricted, a day that fits one of them is enough.
    [InlineData("0 0 L * FRI#2", "2026-11-01 00:00:00", "2026-11-13 00:00:00", "2026-11-30 00:00:00", "2026-12-11 00:00:00")]
    public void Seconds_last_days_nearest_weekdays_and_numbered_weekdays_are_known(string expression, string after, params string[] expected) =>
        Assert.Equal(
            expected,
            Ticks(KvSchedule.Cron(expression), Utc(after), expected.Length).Select(static t => t.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture)));

    [Fact]
    public void A_schedule_of_seconds_that_was_long_away_finds_its_last_tick_without_counting_all()
    {
        var (first, time) = (Utc("2020-01-01 00:00"), Utc("2026-11-20 10:00:30.5"));

        Assert.Equal(Utc("2026-11-20 10:00:30"), KvSchedule.Cron("* * * * * *").LastUpTo(first, time));
    }

    [Theory]
    // Berlin skips 02:00 to 03:00 on 2026-03-29: a fixed time in the gap comes right after it.
    [InlineData("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", "2026-03-29 01:00", "2026-03-30 00:30")]
    [InlineData("0 2,3 * * *", "Europe/Berlin", "2026-03-28 12:00", "2026-03-29 01:00", "2026-03-30 00:00")]
    // It has 02:00 to 03:00 twice on 2026-10-25: a fixed time comes once, the first time round.
    [InlineData("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", "2026-10-25 00:30", "2026-10-26 01:30")]
    // New York: 2026-03-08 and 2026-11-01.
    [InlineData("15 2 * * *", "America/New_York", "2026-03-07 12:00", "2026-03-08 07:00", "2026-03-09 06:15")]
    [InlineData("30 1 * * *", "America/New_York", "2026-10-31 12:00", "2026-11-01 05:30", "2026-11-02 06:30")]
    // What repeats by the hour or within it follows elapsed time.
    [InlineData("30 * * * *", "Europe/Berlin", "2026-03-29 00:00", "2026-03-29 00:30", "2026-03-29 01:30", "2026-03-29 02:30")]
    [InlineData("30 * * * *", "Europe/Berlin", "2026-10-24 23:45", "2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30")]
    [InlineData("*/30 2 * * *", "America/New_York", "2026-10-31 12:00", "2026-11-01 07:00", "2026-11-01 07:30", "2026-11-02 07:00")]
    [InlineData("*/30 1 * * *", "America/New_York", "2026-10-31 12:00", "2026-11-01 05:00", "2026-11-01 05:30", "2026-11-01 06:00", "2026-11-01 06:30")]
    [InlineData("0 * * * *", "Australia/Lord_Howe", "2026-04-04 13:30", "2026-04-04 14:00", "2026-04-04 15:30", "2026-04-04 16:30")]
    public void Where_the_clock_is_set_nothing_is_lost_and_fixed_times_come_once(string expression, string zone, string after, params string[] expected) =>
        Assert.Equal(
            expected,
            Ticks(KvSchedule.Cron(expression, TimeZoneInfo.FindSystemTimeZoneById(zone)), Utc(after), expected.Length)
                .Select(static t => t.ToUniversalTime().ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)));

    [Theory]
    [InlineData("* * * *", "4 fields", "must have 5")]
    [InlineData("* * * * * * *", "7 fields", "must have 5")]
    [InlineData("60 * * * * *", "second", "0 to 59")]
    [InlineData("* * * * * 8", "day of week", "0 to 7 or SUN to SAT")]
    [InlineData("0 0 L-31 * *", "day of month", "from 1 to 30")]
    [InlineData("0 0 1-5W * *", "day of month", "one day from 1 to 31, or L")]
    [InlineData("0 0 W * *", "day of month", "one day from 1 to 31, or L")]
    [InlineData("0 0 L5 * *", "day of month", "1 to 31")]
    [InlineData("0 0 * * L", "day of week", "before L stands one day")]
    [InlineData("0 0 * * 8L", "day of week", "before L stands one day")]
    [InlineData("0 0 * * FRI#6", "day of week", "a number from 1 to 5")]
    [InlineData("0 0 * * MON-FRI#2", "day of week", "one day of the week")]
    [InlineData("0 L * * *", "hour", "0 to 23")]
    [InlineData("0 0 31W 2 *", "never comes", "day of month")]
    [InlineData("60 * * * *", "minute", "0 to 59")]
    [InlineData("* 24 * * *", "hour", "0 to 23")]
    [InlineData("* * 0 * *", "day of month", "1 to 31")]
    [InlineData("* * * 13 *", "month", "1 to 12 or JAN to DEC")]
    [InlineData("* * * * 8", "day of week", "0 to 7 or SUN to SAT")]
    [InlineData("* * * * FUN", "day of week", "'FUN'")]
    [InlineData("*/0 * * * *", "minute", "a step is a number from 1")]
    [InlineData("*/5/5 * * * *", "minute", "after one slash")]
    [InlineData("5-1 * * * *", "minute", "upwards")]
    [InlineData("1-2-3 * * * *", "minute", "one hyphen")]
    [InlineData("1,,2 * * * *", "minute", "0 to 59")]
    [InlineData("-1 * * * *", "minute", "0 to 59")]
    [InlineData("0 0 30 2 *", "never comes", "day of month")]
    [InlineData("0 0 31 4,6,9,11 *", "never comes", "day of month")]
    [InlineData("@reboot", "1 fields", "@hourly")]
    public void An_expression_that_cannot_be_meant_is_refused_with_its_field_and_the_rule(string expression, string what, string rule)
    {
        var error = Assert.Throws<ArgumentException>(() => KvSchedule.Cron(expression));

        Assert.Contains(what, error.Message, StringComparison.Ordinal);
        Assert.Contains(rule, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(0)]
    [InlineData(-60)]
    [InlineData(367 * 86_400d)]
    public void An_interval_out_of_its_range_is_refused(double seconds) =>
        Assert.Contains("1 second to 366 days", Assert.Throws<ArgumentException>(() => KvSchedule.Every(TimeSpan.FromSeconds(seconds))).Message, StringComparison.Ordinal);

    [Fact]
    public void Intervals_are_counted_from_the_epoch() =>
        Assert.Equal(
            [Utc("2026-11-20 10:05"), Utc("2026-11-20 10:10")], Ticks(KvSchedule.Every(TimeSpan.FromMinutes(5)), Utc("2026-11-20 10:00"), 2));

    [Fact]
    public void The_next_tick_is_the_first_minute_that_every_field_allows()
    {
        var fields =
            from minute in Field(0, 59)
            from hour in Field(0, 23)
            from weekday in Field(0, 6)
            from after in Gen.Choose(0, 60 * 24 * 365)
            select (Minute: minute, Hour: hour, Weekday: weekday, After: Utc("2026-01-01 00:00").AddMinutes(after));

        Prop.ForAll(fields.ToArbitrary(), static f =>
        {
            var expected = f.After.AddMinutes(1);
            while (!f.Minute.Allowed.Contains(expected.Minute) || !f.Hour.Allowed.Contains(expected.Hour) || !f.Weekday.Allowed.Contains((int)expected.DayOfWeek))
            {
                expected = expected.AddMinutes(1);
            }

            Assert.Equal(expected, KvSchedule.Cron($"{f.Minute.Text} {f.Hour.Text} * * {f.Weekday.Text}").NextAfter(f.After.AddSeconds(17)));
        }).QuickCheckThrowOnFailure();

        static Gen<(string Text, HashSet<int> Allowed)> Field(int least, int most) => Gen.OneOf(
            Gen.Constant(("*", Enumerable.Range(least, most - least + 1).ToHashSet())),
            from a in Gen.Choose(least, most)
            from b in Gen.Choose(least, most)
            from step in Gen.Choose(1, 7)
            let range = (From: Math.Min(a, b), To: Math.Max(a, b))
            select ($"{range.From}-{range.To}/{step}", Enumerable.Range(range.From, range.To - range.From + 1).Where(v => (v - range.From) % step == 0).ToHashSet()));
    }

    private static IEnumerable<DateTimeOffset> Ticks(KvSchedule schedule, DateTimeOffset after, int count)
    {
        for (var i = 0; i < count; i++)
        {
            yield return after = schedule.NextAfter(after);
        }
    }

    private static DateTimeOffset Utc(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
}
