using Kv.Setup;
using Kv.Store;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.Specs;

/// <summary>Messages that get nowhere are seen: in the log, and in the health check, with the names of their topics.</summary>
public abstract class UnhandledSpec(KvDatabase database)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();

    [Fact]
    public async Task A_topic_without_a_handler_is_warned_of_once_and_makes_the_health_check_degraded()
    {
        await using var test = await CreateAsync();
        await test.Store.EnqueueAsync(new Other(1));
        await test.Store.EnqueueAsync(new Other(2), new KvEnqueueOptions { Topic = "", Priority = -3 });
        await test.ClaimAsync();
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);

        for (var i = 0; i < 3; i++)
        {
            _time.Advance(Minute);
            await test.ClaimAsync();
        }

        Assert.Equal(2, _logs.Entries.Count(static e => e is { Event: 354, Level: LogLevel.Warning }));
        Assert.Contains(_logs.Entries, static e => e.Event == 354 && e.Text.Contains("'other'", StringComparison.Ordinal));
        var report = await CheckAsync(test);
        Assert.Equal(HealthStatus.Degraded, report.Status);
        Assert.Contains("180 seconds", report.Entries["kv"].Description, StringComparison.Ordinal);
        Assert.Contains("'', 'other'", report.Entries["kv"].Description, StringComparison.Ordinal);
        Assert.Equal(["", "other"], (string[])report.Entries["kv"].Data["unhandledTopics"]);

        // It is told of again when it has been well between.
        await using (var elsewhere = await database.CreateWorkerAsync(
            static worker => worker.Handle<Other>(static (_, _, _) => Task.CompletedTask).HandleTopic("", static (_, _) => Task.CompletedTask), _time, beside: test))
        {
            await elsewhere.SettleAsync();
        }

        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);
        _time.Advance(Minute);
        await test.ClaimAsync();
        await test.Store.EnqueueAsync(new Other(3));
        _time.Advance(2 * Minute);
        await test.ClaimAsync();
        Assert.Equal(3, _logs.Entries.Count(static e => e.Event == 354));
    }

    [Fact]
    public async Task What_is_handled_paused_in_work_or_not_yet_due_is_not_told_of()
    {
        var gate = new Gate();
        await using var test = await CreateAsync();
        await using var elsewhere = await database.CreateWorkerAsync(
            worker => worker.Handle<Other>((_, context, token) => gate.PassAsync(context, token)), _time, static options => options.Concurrency = 1, beside: test);
        await test.Store.EnqueueAsync(new Other(1));
        await test.Store.EnqueueAsync(new Other(2));
        await test.Store.EnqueueAsync(new Other(3), new KvEnqueueOptions { Topic = "later", Delay = TimeSpan.FromDays(1) });
        await test.Store.EnqueueAsync(new Other(4), new KvEnqueueOptions { Topic = "paused" });
        await test.Store.EnqueueAsync(new Job(5));
        await test.Queue().PauseAsync("paused");
        await elsewhere.ClaimAsync();
        await gate.Begun;
        _time.Advance(2 * Minute);
        var watch = test.Services.GetRequiredService<StoreWorkers>().WatchOf("", (KvStore)test.Store);
        await watch.WarnAsync(Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance, CancellationToken.None);

        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);

        await test.Queue().ResumeAsync("paused");
        Assert.Equal(["paused"], (string[])(await CheckAsync(test)).Entries["kv"].Data["unhandledTopics"]);
        gate.Open();
        await elsewhere.SettleAsync();
    }

    [Fact]
    public async Task A_topic_of_which_nothing_is_claimed_makes_the_health_check_degraded_until_something_is()
    {
        var gate = new Gate();
        await using var test = await database.CreateWorkerAsync(
            worker =>
            {
                worker.Handle<Job>((_, context, token) => gate.PassAsync(context, token)).Services.AddHealthChecks().AddKvStore();
                worker.Handle<Other>(static (_, _, _) => Task.CompletedTask);
            },
            _time,
            static options => options.Concurrency = 1);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await gate.Begun;
        await test.Store.EnqueueAsync(new Job(2));
        await test.Store.EnqueueAsync(new Other(3));
        _time.Advance(4 * Minute);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);

        // The handler of one topic takes all the capacity: neither it nor another one goes on.
        _time.Advance(2 * Minute);
        var report = await CheckAsync(test);
        Assert.Equal(HealthStatus.Degraded, report.Status);
        Assert.Equal(["job", "other"], (string[])report.Entries["kv"].Data["lateTopics"]);
        Assert.Contains("due for up to 360 seconds", report.Entries["kv"].Description, StringComparison.Ordinal);

        gate.Open();
        await test.IdleAsync();
        await test.SettleAsync();
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);
    }

    [Fact]
    public async Task A_process_without_a_worker_tells_of_them_too()
    {
        await using var test = await database.CreateStoreAsync(_time, services: static services => services.AddHealthChecks().AddKvStore());
        await test.Store.EnqueueAsync(new Other(1));
        _time.Advance(2 * Minute);

        Assert.Contains("'other'", (await CheckAsync(test)).Entries["kv"].Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_topic_whose_first_message_is_older_than_the_limit_is_named_though_others_are_handled()
    {
        var gate = new Gate();
        await using var test = await CreateAsync(
            worker => worker.Handle<Other>((_, context, token) => gate.PassAsync(context, token)),
            static options => (options.MaxAge, options.Concurrency) = (TimeSpan.FromMinutes(30), 1));
        await test.Store.EnqueueAsync(new Other(1));
        await test.Store.EnqueueAsync(new Other(2));
        await test.ClaimAsync();
        _time.Advance(TimeSpan.FromMinutes(29));
        Assert.False((await CheckAsync(test)).Entries["kv"].Data.ContainsKey("oldTopics"));

        _time.Advance(TimeSpan.FromMinutes(2));
        var report = await CheckAsync(test);

        Assert.Equal(HealthStatus.Degraded, report.Status);
        Assert.Equal(["other"], (string[])report.Entries["kv"].Data["oldTopics"]);
        Assert.Contains("1860 seconds, longer than KvWorkerOptions.MaxAge", report.Entries["kv"].Description, StringComparison.Ordinal);
        gate.Open();
        await test.IdleAsync();
    }

    [Fact]
    public async Task Dead_letters_degrade_the_health_for_a_day_and_stay_in_its_data()
    {
        await using var test = await CreateAsync(static worker => worker.Handle<Other>(static (_, _, _) => throw new FormatException("Never.")));
        await DieAsync(1);
        _time.Advance(TimeSpan.FromHours(20));

        await DieAsync(2);
        _time.Advance(TimeSpan.FromHours(23));
        Assert.Equal((HealthStatus.Degraded, 2), await LookAsync(test));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal((HealthStatus.Healthy, 2), await LookAsync(test));

        await DieAsync(3);
        Assert.Equal((HealthStatus.Degraded, 3), await LookAsync(test));
        _time.Advance(TimeSpan.FromHours(25));
        await test.Store.SetAsync(["dead_letters", "z", "by hand"], "no letter");
        Assert.Equal((HealthStatus.Degraded, 4), await LookAsync(test));

        async Task DieAsync(int number)
        {
            await test.Store.EnqueueAsync(new Other(number), WorkerTesting.Once);
            await test.SettleAsync();
        }
    }

    [Fact]
    public async Task More_dead_letters_than_are_looked_through_are_told_of_however_old_they_are()
    {
        await using var test = await CreateAsync(static worker => worker.Handle<Other>(static (_, _, _) => throw new FormatException("Never.")));
        await test.Store.EnqueueAsync(new Other(1), WorkerTesting.Once);
        await test.SettleAsync();
        var letter = await test.Store.ListAsync(KvRange.Prefix(["dead_letters"])).SingleAsync();
        var write = test.Store.Atomic();
        for (var i = 1L; i < 999; i++)
        {
            write.Set(["dead_letters", "other", $"z{i:000}"], letter.Value);
        }

        await write.CommitAsync();
        _time.Advance(TimeSpan.FromDays(3));
        Assert.Equal((HealthStatus.Healthy, 999), await LookAsync(test));
        await test.Store.SetAsync(["dead_letters", "other", "z999"], letter.Value);
        Assert.Equal((HealthStatus.Degraded, 1000), await LookAsync(test));
    }

    [Fact]
    public async Task Dead_letters_are_counted_by_the_health_check_until_they_are_replayed_or_deleted()
    {
        await using var test = await CreateAsync(static worker => worker.Handle<Other>(static (_, _, _) => throw new FormatException("Never.")));
        for (var i = 0; i < 5; i++)
        {
            await test.Store.EnqueueAsync(new Other(i), WorkerTesting.Once);
        }

        await test.SettleAsync();

        var report = await CheckAsync(test);
        Assert.Equal(HealthStatus.Degraded, report.Status);
        Assert.Contains("5 dead letters, of 'other'", report.Entries["kv"].Description, StringComparison.Ordinal);
        Assert.Equal(5, report.Entries["kv"].Data["deadLetters"]);
        await test.Queue().DeleteAllAsync();
        report = await CheckAsync(test);
        Assert.Equal(HealthStatus.Healthy, report.Status);
        Assert.Equal(0, report.Entries["kv"].Data["deadLetters"]);
    }

    [Fact]
    public async Task Options_of_a_topic_that_has_no_handler_and_a_stop_that_the_host_cuts_short_are_warned_of_at_start()
    {
        await using var test = await database.CreateWorkerAsync(
            static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask).Topic<Job>(static topic => topic.Concurrency = 1).Topic("typo", static topic => topic.Concurrency = 1),
            _time,
            static options => options.ShutdownTimeout = TimeSpan.FromHours(10),
            logs: _logs);

        await test.StartAsync();
        await test.Worker().HasBegun.WaitAsync(WorkerTesting.Patience);
        await test.StopAsync();

        var options = Assert.Single(_logs.Entries, static e => e.Event == 356);
        Assert.Equal(LogLevel.Warning, options.Level);
        Assert.Contains("'typo'", options.Text, StringComparison.Ordinal);
        Assert.Contains("job", options.Text, StringComparison.Ordinal);
        var shutdown = Assert.Single(_logs.Entries, static e => e.Event == 357);
        Assert.Contains("10:00:00", shutdown.Text, StringComparison.Ordinal);
        Assert.Contains("00:00:30", shutdown.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stop_that_the_host_has_time_for_is_not_warned_of()
    {
        await using var test = await database.CreateWorkerAsync(
            static worker =>
            {
                worker.Handle<Job>(static (_, _, _) => Task.CompletedTask);
                worker.Services.Configure<HostOptions>(static host => host.ShutdownTimeout = TimeSpan.FromHours(11));
            },
            _time,
            static options => options.ShutdownTimeout = TimeSpan.FromHours(10),
            logs: _logs);

        await test.StartAsync();
        await test.Worker().HasBegun.WaitAsync(WorkerTesting.Patience);
        await test.StopAsync();

        Assert.DoesNotContain(_logs.Entries, static e => e.Event is 356 or 357);
    }

    [Fact]
    public async Task The_pause_of_a_topic_that_has_no_messages_is_warned_of()
    {
        await using var test = await CreateAsync();
        await test.Store.EnqueueAsync(new Job(1), new KvEnqueueOptions { Delay = Minute });

        await test.Queue().PauseAsync("no-such-topic");
        await test.Queue().PauseAsync("job");

        Assert.Contains("'no-such-topic'", Assert.Single(_logs.Entries, static e => e is { Event: 340, Level: LogLevel.Warning }).Text, StringComparison.Ordinal);
    }

    private Task<KvTestStore> CreateAsync(
        Action<KvWorkerBuilder>? handlers = null, Action<KvWorkerOptions>? options = null) => database.CreateWorkerAsync(
        worker =>
        {
            worker.Services.AddHealthChecks().AddKvStore();
            worker.Handle<Job>(static (_, _, _) => Task.CompletedTask);
            handlers?.Invoke(worker);
        },
        _time,
        options,
        logs: _logs);

    private static async Task<(HealthStatus Status, int DeadLetters)> LookAsync(KvTestStore test)
    {
        var report = await CheckAsync(test);
        return (report.Status, (int)report.Entries["kv"].Data["deadLetters"]);
    }

    private static Task<HealthReport> CheckAsync(KvTestStore test) => test.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();

    [KvMessage("other")]
    internal sealed record Other(int Number);
}

public sealed class SqliteUnhandledTests(SqliteDatabase database) : UnhandledSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresUnhandledTests(PostgresDatabase database) : UnhandledSpec(database), IClassFixture<PostgresDatabase>;
