using Kv.Health;
using Kv.Setup;
using Kv.Store;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Kv.Tests.Specs;

public abstract class RegistrationSpec(KvDatabase database)
{
    private readonly LogCollector _logs = new();

    protected KvDatabase Database { get; } = database;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_health_check_while_the_application_stops_reports_it_and_throws_nothing(bool wasMade)
    {
        var test = await Database.CreateStoreAsync(services: static services => services.AddHealthChecks().AddKvStore());
        await test.Store.SetAsync(["k"], 1);
        var registration = test.Services.GetRequiredService<Microsoft.Extensions.Options.IOptions<HealthCheckServiceOptions>>().Value.Registrations.Single();
        var made = wasMade ? registration.Factory(test.Services) : null;
        await test.DisposeAsync();

        var check = made ?? registration.Factory(test.Services);
        var result = await check.CheckHealthAsync(new HealthCheckContext { Registration = registration });

        Assert.Equal(HealthStatus.Unhealthy, result.Status);
        Assert.Contains("the application stops", result.Description, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(nameof(KvWorkerOptions.Concurrency), "run more workers")]
    [InlineData(nameof(KvWorkerOptions.Lease), "00:00:01 to 01:00:00")]
    [InlineData(nameof(KvWorkerOptions.HeartbeatInterval), "to 00:00:15")]
    [InlineData(nameof(KvWorkerOptions.PollInterval), "to 00:01:00")]
    [InlineData(nameof(KvWorkerOptions.RecoverInterval), "to 00:01:00")]
    [InlineData(nameof(KvWorkerOptions.ShutdownTimeout), "leave it out")]
    [InlineData(nameof(KvWorkerOptions.MaxCrashes), "at least 1")]
    public async Task Options_that_cannot_work_stop_the_host_from_starting_and_say_what_would(string option, string remedy)
    {
        var connectionString = await Database.CreateMigratedAsync();
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddKvStore(db => Database.Configure(db, connectionString));
        builder.Services.AddKvWorker(options => Break(options, option)).Handle<Job>(static (_, _, _) => Task.CompletedTask);
        using var host = builder.Build();

        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());

        Assert.Contains($"KvWorkerOptions.{option}", error.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Heartbeats_that_are_too_rare_for_the_lease_of_a_topic_stop_the_host_from_starting()
    {
        var connectionString = await Database.CreateMigratedAsync();
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddKvStore(db => Database.Configure(db, connectionString));
        builder.Services.AddKvWorker(static options => options.HeartbeatInterval = TimeSpan.FromSeconds(10))
            .Handle<Job>(static (_, _, _) => Task.CompletedTask).Topic<Job>(static topic => topic.Lease = TimeSpan.FromSeconds(4));
        using var host = builder.Build();

        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());

        Assert.Contains("HeartbeatInterval is 00:00:10; it must be 00:00:00.0100000 to 00:00:02", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_runs_the_worker()
    {
        var connectionString = await Database.CreateMigratedAsync();
        var handled = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddKvStore(db => Database.Configure(db, connectionString));
        builder.Services.AddKvWorker().Handle<Job>((job, _, _) => Task.FromResult(handled.TrySetResult(job.Number)));
        builder.Services.AddKvWorker(static options => options.Concurrency = 2);
        builder.Services.AddHealthChecks().AddKvStore();
        using var host = builder.Build();
        await host.StartAsync();

        await host.Services.GetRequiredService<IKvStore>().EnqueueAsync(new Job(3));

        Assert.Equal(3, await handled.Task.WaitAsync(WorkerTesting.Patience));
        Assert.Single(host.Services.GetServices<IHostedService>(), static service => service.GetType().Namespace == "Kv.Worker");
        Assert.Equal(HealthStatus.Healthy, (await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Status);
        await host.StopAsync();
    }

    [Fact]
    public void A_worker_without_a_store_says_what_to_add()
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddKvWorker().Handle<Job>(static (_, _, _) => Task.CompletedTask);
        using var provider = services.BuildServiceProvider();

        var error = Assert.Throws<InvalidOperationException>(() => provider.GetServices<IHostedService>().ToList());

        Assert.Contains("AddKvStore", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_worker_without_handlers_warns_and_rests()
    {
        await using var test = await Database.CreateWorkerAsync(static _ => { }, logs: _logs);

        await test.StartAsync();
        await test.Worker().ExecuteTask!.WaitAsync(WorkerTesting.Patience);

        Assert.Contains(_logs.Entries, static e => e is { Level: LogLevel.Warning, Event: 110 });
    }

    [Fact]
    public void A_message_has_one_handler()
    {
        var worker = new ServiceCollection().AddKvWorker().Handle<Job>(static (_, _, _) => Task.CompletedTask);

        var error = Assert.Throws<InvalidOperationException>(() => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask));

        Assert.Contains("'job' on the topic 'job'", error.Message, StringComparison.Ordinal);
        worker.HandleTopic("job", static (_, _) => Task.CompletedTask);
        Assert.Throws<InvalidOperationException>(() => worker.HandleTopic("job", static (_, _) => Task.CompletedTask));
    }

    [Fact]
    public async Task A_worker_whose_rounds_fail_is_degraded_then_unhealthy_then_well_again()
    {
        var time = new ManualTime();
        await using var test = await CheckedAsync(await Database.CreateMigratedAsync(), time);
        var health = test.Services.GetRequiredService<StoreWorkers>().HealthOf("");
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);

        health.Failed("loop", new InvalidOperationException("No such table."), time);
        var degraded = await CheckAsync(test);
        time.Advance(TimeSpan.FromSeconds(31));
        health.Failed("loop", new InvalidOperationException("No such table."), time);
        var unhealthy = await CheckAsync(test);
        health.Succeeded("loop");

        Assert.Equal(HealthStatus.Degraded, degraded.Status);
        Assert.Contains("No such table.", degraded.Entries["kv"].Description, StringComparison.Ordinal);
        Assert.Equal(HealthStatus.Unhealthy, unhealthy.Status);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);
    }

    [Fact]
    public async Task A_store_without_its_tables_is_unhealthy_and_says_what_to_run()
    {
        await using var test = await CheckedAsync(await Database.CreateEmptyAsync(), TimeProvider.System);

        var report = await CheckAsync(test);

        Assert.Equal(HealthStatus.Unhealthy, report.Status);
        Assert.Contains("MigrateKvStoreAsync", report.Entries["kv"].Description, StringComparison.Ordinal);
    }

    private static void Break(KvWorkerOptions options, string option)
    {
        switch (option)
        {
            case nameof(KvWorkerOptions.Concurrency):
                options.Concurrency = 1001;
                break;
            case nameof(KvWorkerOptions.MaxCrashes):
                options.MaxCrashes = 0;
                break;
            default:
                typeof(KvWorkerOptions).GetProperty(option)!.SetValue(options, TimeSpan.FromDays(-1));
                break;
        }
    }

    protected Task<KvTestStore> CheckedAsync(string connectionString, TimeProvider time, Action<KvStoreOptions>? options = null) => Database.CreateStoreAsync(time, options, connectionString, services =>
    {
        services.AddKvWorker().Handle<Job>(static (_, _, _) => Task.CompletedTask);
        services.AddHealthChecks().AddKvStore();
    });

    protected static Task<HealthReport> CheckAsync(KvTestStore test) => test.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
}

public sealed class SqliteRegistrationTests(SqliteDatabase database) : RegistrationSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresRegistrationTests(PostgresDatabase database) : RegistrationSpec(database), IClassFixture<PostgresDatabase>
{
    [Theory]
    [InlineData(KvClockSource.Automatic, 0, "server", null)]
    [InlineData(KvClockSource.Injected, 0, "machine", null)]
    [InlineData(KvClockSource.Server, 2, "server", "7200 seconds ahead of")]
    [InlineData(KvClockSource.Server, -2, "server", "7200 seconds behind")]
    [InlineData(KvClockSource.Automatic, 2, "injected", "and it decides")]
    public async Task Which_clock_decides_is_told_and_how_far_the_machines_is_off(KvClockSource source, int hours, string clock, string? text)
    {
        TimeProvider time = hours == 0 ? TimeProvider.System : new WrongTime(TimeSpan.FromHours(hours));
        await using var test = await CheckedAsync(await Database.CreateMigratedAsync(), time, options => options.Clock = source);

        var entry = Assert.Single((await CheckAsync(test)).Entries).Value;

        Assert.Equal(HealthStatus.Healthy, entry.Status);
        Assert.Equal(clock, entry.Data["clock"]);
        Assert.Equal(hours != 0, entry.Data.ContainsKey("clockOffSeconds"));
        Assert.Contains(text ?? "", entry.Description ?? "", StringComparison.Ordinal);
        Assert.Equal(text is null, entry.Description is null);
    }

    /// <summary>The hazard is one of MVCC: on SQLite a reader holds up the checkpoint of the log, and nothing else.</summary>
    [Fact]
    public async Task A_transaction_that_stays_open_is_told_of_with_the_session_that_has_it()
    {
        await using var test = await Database.CreateStoreAsync();
        await using var context = test.CreateContext();
        var watch = new Worker.QueueWatch((KvStore)test.Store, new KvWorkerOptions());
        var check = new StoreHealthCheck((KvStore)test.Store, watch) { LongTransaction = TimeSpan.Zero };
        var registration = new HealthCheckContext { Registration = new HealthCheckRegistration("kv", check, failureStatus: null, tags: null) };
        Assert.Equal(HealthStatus.Healthy, (await check.CheckHealthAsync(registration)).Status);

        await using var transaction = await context.Database.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead);
        var process = await context.Database.SqlQuery<int>($"select pg_backend_pid() as \"Value\"").SingleAsync();

        var result = await check.CheckHealthAsync(registration);
        Assert.Equal(HealthStatus.Degraded, result.Status);
        Assert.Contains($"process {process}", result.Description, StringComparison.Ordinal);
        Assert.Contains("idle_in_transaction_session_timeout", result.Description, StringComparison.Ordinal);
        Assert.Equal(HealthStatus.Healthy, (await new StoreHealthCheck((KvStore)test.Store, watch).CheckHealthAsync(registration)).Status);

        await transaction.RollbackAsync();
        Assert.Equal(HealthStatus.Healthy, (await check.CheckHealthAsync(registration)).Status);
    }
}
