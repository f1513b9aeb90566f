using System.Text.Json;
using Kv.TestKit;
using static Kv.Tests.ScheduleTesting;

namespace Kv.Tests.Specs;

/// <summary>A clock that was wrong for a while stops no schedule and enqueues no tick twice.</summary>
public abstract class ScheduleClockSpec(KvDatabase database)
{
    private const int Warned = 330;
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();

    [Theory]
    [InlineData("every second", 365 * 24, KvMissedTicks.Once)]
    [InlineData("every second", 2, KvMissedTicks.Skip)]
    [InlineData("every minute", 24 * 30, KvMissedTicks.All)]
    [InlineData("*/5 * * * *", 365 * 24, KvMissedTicks.Once)]
    [InlineData("0 3 * * MON-FRI", 24 * 90, KvMissedTicks.Skip)]
    [InlineData("@monthly", 24 * 800, KvMissedTicks.Once)]
    public async Task A_schedule_that_a_machine_with_a_clock_ahead_has_touched_goes_on(string text, int hours, KvMissedTicks missed)
    {
        var schedule = Parse(text);
        var ahead = new ManualTime();
        ahead.SetUtcNow(_time.GetUtcNow().AddHours(hours));
        await using var wrong = await CreateAsync(ahead, schedule, missed);
        await RoundAsync(wrong);
        for (var i = 0; i < 3; i++)
        {
            ahead.SetUtcNow(schedule.NextAfter(ahead.GetUtcNow()));
            await RoundAsync(wrong);
        }

        var early = await TicksAsync(wrong);
        await using var right = await CreateAsync(_time, schedule, missed, wrong);
        List<DateTimeOffset> expected = [];
        await RoundAsync(right);
        for (var i = 0; i < 5; i++)
        {
            expected.Add(schedule.NextAfter(_time.GetUtcNow()));
            _time.SetUtcNow(expected[^1]);
            await RoundAsync(right);
        }

        Assert.Equal(3, early.Count);
        Assert.Equal([.. expected, .. early], await TicksAsync(right));
        Assert.Contains("'s'", Assert.Single(_logs.Entries, static e => e.Event == Warned).Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(KvMissedTicks.Once)]
    [InlineData(KvMissedTicks.Skip)]
    [InlineData(KvMissedTicks.All)]
    public async Task Ticks_that_a_clock_which_was_set_ahead_and_back_enqueued_early_come_once_and_the_others_in_their_time(KvMissedTicks missed)
    {
        await using var test = await CreateAsync(_time, KvSchedule.Every(Minute), missed);
        await RoundAsync(test);
        await WalkAsync(test, 3);
        _time.SetUtcNow(_time.GetUtcNow().AddHours(2));
        await RoundAsync(test);
        await WalkAsync(test, 3);
        _time.SetUtcNow(_time.GetUtcNow().AddHours(-2));
        var back = _time.GetUtcNow();
        await RoundAsync(test);

        await WalkAsync(test, 150);

        var ticks = await TicksAsync(test);
        Assert.Equal(ticks.Distinct(), ticks);
        Assert.Equal(Enumerable.Range(1, 150).Select(i => back + (i * Minute)), ticks.Where(t => t > back));
    }

    [Fact]
    public async Task A_clock_that_is_set_back_into_what_has_ticked_waits_for_what_has_not()
    {
        await using var test = await CreateAsync(_time, KvSchedule.Every(Minute), KvMissedTicks.Once);
        await RoundAsync(test);
        var start = _time.GetUtcNow();
        await WalkAsync(test, 30);
        _time.SetUtcNow(start.AddMinutes(10));
        await using var restarted = await CreateAsync(_time, KvSchedule.Every(Minute), KvMissedTicks.Once, test);
        await RoundAsync(test);

        for (var i = 0; i < 40; i++)
        {
            _time.Advance(Minute);
            await RoundAsync(test);
            await RoundAsync(restarted);
        }

        Assert.Equal(Enumerable.Range(1, 50).Select(i => start + (i * Minute)), await TicksAsync(test));
        Assert.DoesNotContain(_logs.Entries, static e => e.Event == Warned);
    }

    [Fact]
    public async Task Machines_whose_clocks_differ_do_not_hold_up_each_other()
    {
        var ahead = new ManualTime();
        ahead.SetUtcNow(_time.GetUtcNow().AddHours(2));
        await using var right = await CreateAsync(_time, KvSchedule.Every(Minute), KvMissedTicks.Once);
        await using var wrong = await CreateAsync(ahead, KvSchedule.Every(Minute), KvMissedTicks.Once, right);
        await RoundAsync(right);
        await RoundAsync(wrong);
        var start = _time.GetUtcNow();

        for (var i = 0; i < 150; i++)
        {
            _time.Advance(Minute);
            ahead.Advance(Minute);
            await RoundAsync(i % 2 == 0 ? right : wrong);
            await RoundAsync(i % 2 == 0 ? wrong : right);
        }

        // The one that is ahead brings its ticks two hours early; each comes once, and what the other one awaits comes in its time.
        var ticks = await TicksAsync(right);
        Assert.Equal(ticks.Distinct(), ticks);
        Assert.Equal(Enumerable.Range(1, 150).Select(i => start + (i * Minute)), ticks.Where(t => t > start && t <= start.AddMinutes(150)));
    }

    [Theory]
    [InlineData("@yearly")]
    [InlineData("0 0 29 2 *")]
    [InlineData("every year")]
    public async Task A_tick_that_is_far_ahead_by_its_schedule_is_not_taken_back(string text)
    {
        var schedule = Parse(text);
        await using var test = await CreateAsync(_time, schedule, KvMissedTicks.Once);
        await RoundAsync(test);
        var first = schedule.NextAfter(_time.GetUtcNow());
        await using var late = await CreateAsync(_time, schedule, KvMissedTicks.Once, test);
        _time.SetUtcNow(first.AddSeconds(-1));
        await RoundAsync(late);
        _time.SetUtcNow(first);
        await RoundAsync(test);
        _time.SetUtcNow(first.AddSeconds(-2));
        await RoundAsync(late);
        _time.SetUtcNow(first.AddSeconds(1));
        await RoundAsync(late);

        Assert.Equal([first], await TicksAsync(test));
        Assert.DoesNotContain(_logs.Entries, static e => e.Event == Warned);
    }

    [Theory]
    [InlineData("")]
    [InlineData(",\"Runs\":null")]
    [InlineData(",\"Runs\":[null,[],[1],[5,3],[-9223372036854775808,9223372036854775807],[1,9223372036854775807],[1,2,3]]")]
    public async Task What_is_noted_for_a_year_ahead_is_taken_back_whatever_stands_beside_it(string more)
    {
        var next = _time.GetUtcNow().AddYears(1).ToUnixTimeMilliseconds();
        await using var test = await CreateAsync(_time, KvSchedule.Every(Minute), KvMissedTicks.Once);
        var text = $"{{\"Definition\":\"every 00:01:00\",\"Next\":{next},\"Last\":{next - 60_000}{more}}}";
        await test.Store.SetAsync(["efkv", "schedules", "s"], new KvValue(System.Text.Encoding.UTF8.GetBytes(text), KvEncoding.Json));
        await RoundAsync(test);
        var start = _time.GetUtcNow();

        await WalkAsync(test, 2);

        Assert.Equal([start + Minute, start + (2 * Minute)], await TicksAsync(test));
    }

    private static KvSchedule Parse(string text) => text switch
    {
        "every second" => KvSchedule.Every(TimeSpan.FromSeconds(1)),
        "every minute" => KvSchedule.Every(Minute),
        "every year" => KvSchedule.Every(TimeSpan.FromDays(366)),
        _ => KvSchedule.Cron(text),
    };

    private async Task WalkAsync(KvTestStore test, int minutes)
    {
        for (var i = 0; i < minutes; i++)
        {
            _time.Advance(Minute);
            await RoundAsync(test);
        }
    }

    private Task<KvTestStore> CreateAsync(TimeProvider time, KvSchedule schedule, KvMissedTicks missed, KvTestStore? beside = null) => database.CreateWorkerAsync(
        worker => worker.Schedule("s", schedule, static at => new Tick(at), new KvScheduleOptions { Missed = missed }), time, beside: beside, logs: _logs);

    internal static async Task<List<DateTimeOffset>> TicksAsync(KvTestStore test) =>
        [.. (await test.QueuedAsync()).Select(static m => JsonSerializer.Deserialize<Tick>(m.Data, JsonSerializerOptions.Web)!.At).Order()];
}

public sealed class SqliteScheduleClockTests(SqliteDatabase database) : ScheduleClockSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresScheduleClockTests(PostgresDatabase database) : ScheduleClockSpec(database), IClassFixture<PostgresDatabase>;
