using Kv.Setup;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using static Kv.Tests.ScheduleTesting;

namespace Kv.Tests.Specs;

/// <summary>The fault of one schedule is its own: it is told of by name, and touches no other.</summary>
public abstract class ScheduleFaultSpec(KvDatabase database)
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();

    [Fact]
    public async Task A_schedule_whose_message_cannot_be_made_takes_no_tick_from_another_and_recovers_by_itself()
    {
        var broken = true;
        await using var test = await CreateAsync(worker => worker
            .Schedule("bad", KvSchedule.Every(Second), at => broken ? throw new FormatException("No tenant.") : new BadTick(at))
            .Schedule("good", KvSchedule.Every(Second), static at => new Tick(at)));
        var start = _time.GetUtcNow();
        var schedules = test.Services.GetRequiredService<StoreWorkers>().Find("")!.Schedules.All.ToDictionary(static s => s.Name, _ => start);

        await PassAsync(20);

        Assert.Equal(Enumerable.Range(1, 20).Select(i => start + (i * Second)), await TicksAsync<Tick>(test));
        var failures = _logs.Entries.Where(static e => e.Event == 350).ToList();
        Assert.Equal(5, failures.Count);
        Assert.All(failures, static e => Assert.Equal((LogLevel.Error, true), (e.Level, e.Text.Contains("'bad'", StringComparison.Ordinal))));
        var report = await CheckAsync(test);
        Assert.Equal(HealthStatus.Degraded, report.Status);
        Assert.Matches(@"'bad' has failed for 19 seconds, 5 times in a row: No tenant\.", report.Entries["kv"].Description);
        Assert.DoesNotContain("'good'", report.Entries["kv"].Description, StringComparison.Ordinal);
        Assert.Equal(["bad"], (string[])report.Entries["kv"].Data["failingSchedules"]);

        // A failing schedule is not an outage, however long it lasts.
        await PassAsync(60);
        Assert.Equal(HealthStatus.Degraded, (await CheckAsync(test)).Status);
        broken = false;
        await PassAsync(30);

        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);
        Assert.Contains("'bad'", Assert.Single(_logs.Entries, static e => e.Event == 352).Text, StringComparison.Ordinal);
        Assert.Equal(Enumerable.Range(1, 110).Select(i => start + (i * Second)), await TicksAsync<Tick>(test));
        Assert.NotEmpty(await TicksAsync<BadTick>(test));

        // As the loops of the schedules do.
        async Task PassAsync(int seconds)
        {
            for (var i = 0; i <= seconds; i++)
            {
                foreach (var schedule in schedules.Keys.Where(s => schedules[s] <= _time.GetUtcNow()).ToList())
                {
                    schedules[schedule] = _time.GetUtcNow() + await Scheduler(test).RunRoundAsync(schedule, CancellationToken.None);
                }

                _time.Advance(i < seconds ? Second : TimeSpan.Zero);
            }
        }
    }

    [Theory]
    [InlineData("throws")]
    [InlineData("gives up")]
    [InlineData("times out")]
    [InlineData("makes nothing")]
    [InlineData("makes what cannot be written as JSON")]
    [InlineData("makes too much")]
    [InlineData("asks for what cannot be")]
    public async Task Whatever_is_wrong_with_a_message_its_schedule_is_named_and_others_go_on(string how)
    {
        var broken = true;
        var options = how == "asks for what cannot be" ? new KvScheduleOptions { Enqueue = new KvEnqueueOptions { Delay = TimeSpan.FromDays(31) } } : null;
        await using var test = await CreateAsync(worker => worker
            .Schedule("bad", KvSchedule.Every(Minute), Make, options)
            .Schedule("good", KvSchedule.Every(Minute), static at => new Tick(at)));
        await RoundAsync(test);
        _time.Advance(Minute);

        await RoundAsync(test);

        Assert.Single(await TicksAsync<Tick>(test));
        Assert.Contains(_logs.Entries, static e => e.Event == 350 && e.Text.Contains("'bad'", StringComparison.Ordinal));
        Assert.DoesNotContain(_logs.Entries, static e => e.Event == 131);
        var report = await CheckAsync(test);
        Assert.Equal(HealthStatus.Degraded, report.Status);
        Assert.Contains("'bad'", report.Entries["kv"].Description, StringComparison.Ordinal);
        if (options is null)
        {
            broken = false;
            await RoundAsync(test);
            Assert.Single(await TicksAsync<BadTick>(test));
            Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);
        }

        BadTick Make(DateTimeOffset at) => !broken ? new BadTick(at) : how switch
        {
            "throws" => throw new InvalidOperationException("No message today."),
            "gives up" => throw new OperationCanceledException("Somebody else's token."),
            "times out" => throw new TimeoutException("Somebody else's time."),
            "makes nothing" => null!,
            "makes what cannot be written as JSON" => new BadTick(at, typeof(string)),
            "makes too much" => new BadTick(at, new string('x', 2_000_000)),
            _ => new BadTick(at),
        };
    }

    [Fact]
    public async Task A_delegate_that_does_not_return_holds_up_its_own_schedule_and_not_the_end()
    {
        using var release = new ManualResetEventSlim();
        using var good = new SemaphoreSlim(0);
        var called = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var test = await CreateAsync(worker => worker
            .Schedule("bad", KvSchedule.Every(Second), at =>
            {
                called.TrySetResult();
                release.Wait();
                return new BadTick(at);
            })
            .Schedule("good", KvSchedule.Every(Second), at =>
            {
                good.Release();
                return new Tick(at);
            }));
        var scheduler = Scheduler(test);
        await RoundAsync(test);
        await scheduler.StartAsync(CancellationToken.None);
        _time.Advance(Second);
        await called.Task.WaitAsync(WorkerTesting.Patience);

        for (var i = 0; i < 40; i++)
        {
            await PassUntilTickAsync();
        }

        await _logs.WaitForAsync(351, 1);
        Assert.Contains("'bad'", Assert.Single(_logs.Entries, static e => e.Event == 351).Text, StringComparison.Ordinal);
        Assert.Contains("'bad'", (await CheckAsync(test)).Entries["kv"].Description, StringComparison.Ordinal);
        Assert.Empty(await TicksAsync<BadTick>(test));
        await scheduler.StopAsync(CancellationToken.None).WaitAsync(WorkerTesting.Patience);
        release.Set();

        // The loop may set its timer after the clock was moved; then it takes another second.
        async Task PassUntilTickAsync()
        {
            for (var tries = 0; tries < 100; tries++)
            {
                _time.Advance(Second);
                if (await good.WaitAsync(TimeSpan.FromSeconds(1)))
                {
                    return;
                }
            }

            Assert.Fail("The good schedule stands still.");
        }
    }

    [Fact]
    public async Task Ticks_before_one_that_cannot_be_made_become_messages_and_those_after_it_wait_for_it()
    {
        var broken = true;
        var start = _time.GetUtcNow();
        await using var test = await CreateAsync(worker => worker.Schedule(
            "bad",
            KvSchedule.Every(Minute),
            at => broken && at == start + (5 * Minute) ? throw new FormatException("Not this one.") : new BadTick(at),
            new KvScheduleOptions { Missed = KvMissedTicks.All }));
        await RoundAsync(test);
        _time.Advance(15 * Minute);

        await RoundAsync(test);

        Assert.Equal(Enumerable.Range(1, 4).Select(i => start + (i * Minute)), await TicksAsync<BadTick>(test));
        Assert.Contains("Not this one.", (await CheckAsync(test)).Entries["kv"].Description, StringComparison.Ordinal);
        broken = false;
        await RoundAsync(test);
        Assert.Equal(Enumerable.Range(1, 15).Select(i => start + (i * Minute)), await TicksAsync<BadTick>(test));
    }

    [Fact]
    public async Task A_schedule_whose_ticks_end_is_named_and_others_go_on()
    {
        _time.SetUtcNow(DateTimeOffset.MaxValue.AddDays(-30));
        await using var test = await CreateAsync(worker => worker
            .Schedule("bad", KvSchedule.Cron("@yearly"), static at => new BadTick(at))
            .Schedule("good", KvSchedule.Every(Minute), static at => new Tick(at)));
        await RoundAsync(test);
        _time.Advance(Minute);

        await RoundAsync(test);

        Assert.Single(await TicksAsync<Tick>(test));
        Assert.Contains("'bad'", (await CheckAsync(test)).Entries["kv"].Description, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(KvEncoding.Json, "not json")]
    [InlineData(KvEncoding.Json, "[1, 2]")]
    [InlineData(KvEncoding.Json, "{\"Definition\":null,\"Next\":-1}")]
    [InlineData(KvEncoding.Bytes, "\0\u0001")]
    public async Task A_note_that_cannot_be_read_is_told_of_by_name(KvEncoding encoding, string text)
    {
        await using var test = await CreateAsync(worker => worker
            .Schedule("bad", KvSchedule.Every(Minute), static at => new BadTick(at))
            .Schedule("good", KvSchedule.Every(Minute), static at => new Tick(at)));
        await test.Store.SetAsync(["efkv", "schedules", "bad"], new KvValue(System.Text.Encoding.UTF8.GetBytes(text), encoding));

        await RoundAsync(test);
        _time.Advance(Minute);
        await RoundAsync(test);

        Assert.Contains("'bad'", Assert.Single(_logs.Entries, static e => e.Event == 353).Text, StringComparison.Ordinal);
        Assert.Single(await TicksAsync<BadTick>(test));
        Assert.Single(await TicksAsync<Tick>(test));
    }

    [Fact]
    public async Task A_database_that_fails_is_no_fault_of_a_schedule_and_one_line_tells_of_it()
    {
        await using var test = await CreateAsync(worker => worker
            .Schedule("one", KvSchedule.Every(Minute), static at => new BadTick(at))
            .Schedule("other", KvSchedule.Every(Minute), static at => new Tick(at)));
        await RoundAsync(test);
        _time.Advance(Minute);
        await test.ExecuteAsync("alter table queue rename to away");

        await RoundAsync(test);

        Assert.Single(_logs.Entries, static e => e.Event == 131);
        Assert.DoesNotContain(_logs.Entries, static e => e.Event == 350);
        var health = test.Services.GetRequiredService<StoreWorkers>().HealthOf("");
        Assert.Equal(1, health.Look(_time).Failures);
        Assert.Empty(health.FailingSchedules(_time));
        await test.ExecuteAsync("alter table away rename to queue");
        _time.Advance(Second);
        await RoundAsync(test);
        Assert.Equal(0, health.Look(_time).Failures);
        Assert.Single(await TicksAsync<BadTick>(test));
        Assert.Single(await TicksAsync<Tick>(test));
    }

    private Task<KvTestStore> CreateAsync(Action<KvWorkerBuilder> schedules) => database.CreateWorkerAsync(
        worker =>
        {
            worker.Services.AddLogging(static logging => logging.SetMinimumLevel(LogLevel.Information)).AddHealthChecks().AddKvStore();
            schedules(worker);
        },
        _time,
        options => options.UnhandledAfter = TimeSpan.FromDays(1),
        logs: _logs);

    private static Task<HealthReport> CheckAsync(KvTestStore test) => test.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();

    private static async Task<List<DateTimeOffset>> TicksAsync<T>(KvTestStore test) =>
        [.. (await test.QueuedAsync()).Where(static m => m.Type == (typeof(T) == typeof(Tick) ? "tick" : "bad-tick"))
            .Select(static m => System.Text.Json.JsonSerializer.Deserialize<Tick>(m.Data, System.Text.Json.JsonSerializerOptions.Web)!.At).Order()];

    [KvMessage("bad-tick")]
    internal sealed record BadTick(DateTimeOffset At, object? With = null);
}

public sealed class SqliteScheduleFaultTests(SqliteDatabase database) : ScheduleFaultSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresScheduleFaultTests(PostgresDatabase database) : ScheduleFaultSpec(database), IClassFixture<PostgresDatabase>;
