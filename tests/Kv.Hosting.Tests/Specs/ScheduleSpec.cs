using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using static Kv.Tests.ScheduleTesting;

namespace Kv.Tests.Specs;

/// <summary>Recurring messages: each tick once, whoever looks and whatever breaks.</summary>
public abstract class ScheduleSpec(KvDatabase database)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private readonly ManualTime _time = new();

    [Fact]
    public async Task A_schedule_begins_with_the_next_tick_and_each_tick_is_one_message()
    {
        await using var test = await CreateAsync();

        await RoundAsync(test);
        Assert.Empty(await TicksAsync(test));
        var first = KvSchedule.Every(Minute).NextAfter(_time.GetUtcNow());
        _time.SetUtcNow(first);
        await RoundAsync(test);
        await RoundAsync(test);
        _time.Advance(Minute);
        await RoundAsync(test);

        Assert.Equal([first, first + Minute], await TicksAsync(test));
    }

    [Fact]
    public async Task Of_many_processes_one_enqueues_a_tick()
    {
        await using var test = await CreateAsync();
        await using var second = await CreateAsync(beside: test);
        await using var third = await CreateAsync(beside: test);
        KvTestStore[] all = [test, second, third];

        for (var i = 0; i < 20; i++)
        {
            await Task.WhenAll(all.Select(RoundAsync));
            _time.Advance(Minute);
        }

        await Task.WhenAll(all.Select(RoundAsync));
        var ticks = await TicksAsync(test);
        Assert.Equal(20, ticks.Count);
        Assert.Equal(20, ticks.Distinct().Count());
    }

    [Theory]
    [InlineData(KvMissedTicks.Once, 1)]
    [InlineData(KvMissedTicks.Skip, 0)]
    [InlineData(KvMissedTicks.All, 250)]
    public async Task What_was_missed_comes_as_often_as_was_asked(KvMissedTicks missed, int expected)
    {
        await using var test = await CreateAsync(KvSchedule.Every(TimeSpan.FromHours(1)), missed);
        await RoundAsync(test);
        var first = KvSchedule.Every(TimeSpan.FromHours(1)).NextAfter(_time.GetUtcNow());

        // 250 ticks, the last one five minutes ago.
        _time.SetUtcNow(first.AddHours(249).AddMinutes(5));
        await RoundAsync(test);

        var ticks = await TicksAsync(test);
        Assert.Equal(expected, ticks.Count);
        Assert.Equal(Enumerable.Range(250 - expected, expected).Select(i => first.AddHours(i)), ticks);
        await RoundAsync(test);
        _time.SetUtcNow(first.AddHours(250));
        await RoundAsync(test);
        Assert.Equal(first.AddHours(250), (await TicksAsync(test))[^1]);
        Assert.Equal(expected + 1, (await TicksAsync(test)).Count);
    }

    [Theory]
    [InlineData(KvFault.CutCommit)]
    [InlineData(KvFault.CutAnswer)]
    public async Task A_tick_whose_commit_was_interrupted_is_enqueued_once(KvFault fault)
    {
        await using var test = await CreateAsync();
        await RoundAsync(test);
        _time.Advance(Minute);
        test.Faults.FailNext(fault);

        await RoundAsync(test);

        Assert.Equal(1, test.Faults.CountFailed(fault));
        Assert.Single(await TicksAsync(test));
    }

    [Fact]
    public async Task A_clock_that_is_set_back_enqueues_nothing_again()
    {
        await using var test = await CreateAsync();
        await RoundAsync(test);
        _time.Advance(Minute);
        await RoundAsync(test);
        _time.SetUtcNow(_time.GetUtcNow().AddMinutes(-30));

        await RoundAsync(test);
        await using var restarted = await CreateAsync(beside: test);
        await RoundAsync(restarted);

        Assert.Single(await TicksAsync(test));
    }

    [Fact]
    public async Task A_changed_schedule_begins_anew()
    {
        await using var test = await CreateAsync();
        await RoundAsync(test);
        _time.Advance(TimeSpan.FromHours(5));

        await using var changed = await CreateAsync(KvSchedule.Cron("@daily"), KvMissedTicks.All, test);
        await RoundAsync(changed);

        Assert.Empty(await TicksAsync(test));
        _time.Advance(TimeSpan.FromDays(1));
        await RoundAsync(changed);
        Assert.Equal(TimeSpan.Zero, Assert.Single(await TicksAsync(test)).TimeOfDay);
    }

    [Fact]
    public async Task While_two_definitions_run_beside_each_other_no_tick_of_either_is_lost()
    {
        await using var old = await CreateAsync(KvSchedule.Every(TimeSpan.FromMinutes(2)));
        await using var changed = await CreateAsync(KvSchedule.Every(TimeSpan.FromMinutes(3)), beside: old);
        await RoundAsync(old);
        await RoundAsync(changed);
        var start = _time.GetUtcNow();

        for (var i = 0; i < 12; i++)
        {
            _time.Advance(Minute);
            await RoundAsync(old);
            await RoundAsync(changed);
        }

        // Once where both have a tick.
        var minutes = Enumerable.Range(1, 13).Select(i => KvSchedule.Every(Minute).NextAfter(start.AddMinutes(i - 1))).Where(t => t <= _time.GetUtcNow());
        var expected = minutes.Where(static t => t.Minute % 2 == 0 || t.Minute % 3 == 0).ToList();
        Assert.Equal(expected, await TicksAsync(old));
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("{\"Definition\":\"every 00:01:00\",\"Next\":9223372036854775807}")]
    public async Task An_entry_that_says_nothing_lets_the_schedule_begin_anew(string text)
    {
        await using var test = await CreateAsync();
        await test.Store.SetAsync(["efkv", "schedules", "s"], new KvValue(System.Text.Encoding.UTF8.GetBytes(text), KvEncoding.Json));

        await RoundAsync(test);
        _time.Advance(Minute);
        await RoundAsync(test);

        Assert.Single(await TicksAsync(test));
    }

    [Fact]
    public async Task A_started_worker_enqueues_and_handles_ticks()
    {
        var seen = new TaskCompletionSource<Tick>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Tick>((tick, _, _) =>
            {
                seen.TrySetResult(tick);
                return Task.CompletedTask;
            }).Schedule("often", KvSchedule.Every(TimeSpan.FromSeconds(1)), static at => new Tick(at)));

        var services = test.Services.GetServices<IHostedService>().ToList();
        await Task.WhenAll(services.Select(static s => s.StartAsync(CancellationToken.None)));
        await seen.Task.WaitAsync(WorkerTesting.Patience);
        await Task.WhenAll(services.Select(static s => s.StopAsync(CancellationToken.None)));
    }

    [Fact]
    public async Task Names_are_given_once_and_must_be_names()
    {
        var worker = new ServiceCollection().AddKvWorker().Schedule("a", KvSchedule.Every(Minute), new Tick(default));

        Assert.Contains("'a'", Assert.Throws<InvalidOperationException>(() => worker.Schedule("a", KvSchedule.Every(Minute), new Tick(default))).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => worker.Schedule("", KvSchedule.Every(Minute), new Tick(default)));
        Assert.Throws<ArgumentException>(() => worker.Schedule("o", KvSchedule.Every(Minute), new object()));
        Assert.Throws<ArgumentNullException>(() => worker.Schedule("n", KvSchedule.Every(Minute), (Tick)null!));
        var refusing = new KvScheduleOptions { Enqueue = new() { UniqueKey = "u", IfDuplicate = KvDuplicatePolicy.Refuse } };
        Assert.Contains("Keep", Assert.Throws<ArgumentException>(() => worker.Schedule("r", KvSchedule.Every(Minute), new Tick(default), refusing)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => worker.Schedule("b", KvSchedule.Every(Minute), new Tick(default), new() { Missed = (KvMissedTicks)7 }));
        await Task.CompletedTask;
    }

    private Task<KvTestStore> CreateAsync(KvSchedule? schedule = null, KvMissedTicks missed = KvMissedTicks.Once, KvTestStore? beside = null) => database.CreateWorkerAsync(
        worker => worker.Schedule("s", schedule ?? KvSchedule.Every(Minute), static at => new Tick(at), new KvScheduleOptions { Missed = missed }),
        _time,
        beside: beside);

    private static async Task<List<DateTimeOffset>> TicksAsync(KvTestStore test) =>
        [.. (await test.QueuedAsync()).Select(static m => System.Text.Json.JsonSerializer.Deserialize<Tick>(m.Data, System.Text.Json.JsonSerializerOptions.Web)!.At).Order()];
}

public sealed class SqliteScheduleTests(SqliteDatabase database) : ScheduleSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresScheduleTests(PostgresDatabase database) : ScheduleSpec(database), IClassFixture<PostgresDatabase>;
