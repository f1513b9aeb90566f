using System.Diagnostics;
using System.Text.Json;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Kv.Tests.Specs;

/// <summary>A store with a name has a worker, schedules, a health check, a serializer and a tag of its own.</summary>
public abstract class SeveralStoresSpec(KvDatabase database)
{
    private const string Audit = "audit";

    [Fact]
    public async Task Messages_of_a_store_are_handled_by_its_worker_with_that_store()
    {
        var (plain, audit) = (new Handled(), new Handled());
        using var host = await StartAsync(services =>
        {
            services.AddKvWorker().Handle<Job>(plain.HandleAsync);
            services.AddKvWorker(Audit).Handle<Job>(audit.HandleAsync);
        });

        await StoreOf(host, "").EnqueueAsync(new Job(1));
        await StoreOf(host, Audit).EnqueueAsync(new Job(2));

        Assert.Equal((1, StoreOf(host, "")), await plain.First);
        Assert.Equal((2, StoreOf(host, Audit)), await audit.First);
        await host.StopAsync();
        Assert.Equal((1, 1), (plain.Count, audit.Count));
    }

    [Fact]
    public async Task A_store_may_have_a_worker_where_the_one_without_a_name_has_none()
    {
        var audit = new Handled();
        using var host = await StartAsync(services => services.AddKvWorker(Audit).Handle<Job>(audit.HandleAsync));

        await StoreOf(host, Audit).EnqueueAsync(new Job(2));

        Assert.Equal(2, (await audit.First).Number);
        await host.StopAsync();
    }

    [Fact]
    public async Task Schedules_of_a_store_enqueue_there()
    {
        var audit = new Handled();
        using var host = await StartAsync(services =>
        {
            services.AddKvWorker().Handle<Job>(static (_, _, _) => Task.CompletedTask);
            services.AddKvWorker(Audit).Handle<Job>(audit.HandleAsync)
                .Schedule("often", KvSchedule.Every(TimeSpan.FromSeconds(1)), new Job(7));
        });

        Assert.Equal(7, (await audit.First).Number);
        KvKey entry = ["efkv", "schedules", "often"];
        Assert.True(await StoreOf(host, Audit).ExistsAsync(entry));
        Assert.False(await StoreOf(host, "").ExistsAsync(entry));
        await host.StopAsync();
    }

    [Fact]
    public async Task Options_of_a_worker_are_those_of_its_store_and_are_held_against_its_topics()
    {
        var builder = await BuildAsync();
        builder.Services.AddKvWorker().Handle<Job>(static (_, _, _) => Task.CompletedTask);
        builder.Services.AddKvWorker(Audit, static options => options.HeartbeatInterval = TimeSpan.FromSeconds(10))
            .Handle<Job>(static (_, _, _) => Task.CompletedTask).Topic<Job>(static topic => topic.Lease = TimeSpan.FromSeconds(4));
        using var host = builder.Build();

        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());

        Assert.Equal(Audit, error.OptionsName);
        Assert.Contains("HeartbeatInterval is 00:00:10; it must be 00:00:00.0100000 to 00:00:02", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_health_check_of_a_name_is_of_that_store_and_its_worker()
    {
        var failed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var host = await StartAsync(services =>
        {
            services.AddKvWorker().Handle<Job>(static (_, _, _) => Task.CompletedTask);
            services.AddKvWorker(Audit).Handle<Job>((_, _, _) =>
            {
                failed.TrySetResult();
                throw new FormatException("No such account.");
            });
            services.AddHealthChecks().AddKvStore().AddKvStore(Audit);
        });

        await StoreOf(host, Audit).EnqueueAsync(new Job(1), WorkerTesting.Once);
        await failed.Task.WaitAsync(WorkerTesting.Patience);
        await host.StopAsync();

        var report = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        Assert.Equal(HealthStatus.Healthy, report.Entries["kv"].Status);
        Assert.Equal(HealthStatus.Degraded, report.Entries[Audit].Status);
        Assert.Contains("1 dead letters, of 'job'", report.Entries[Audit].Description, StringComparison.Ordinal);
        Assert.Equal(0, report.Entries["kv"].Data["deadLetters"]);
    }

    [Fact]
    public async Task A_topic_that_only_the_worker_of_another_store_handles_is_told_of_as_unhandled()
    {
        var time = new ManualTime();
        var builder = await BuildAsync(time);
        builder.Services.AddKvWorker().Handle<Job>(static (_, _, _) => Task.CompletedTask);
        builder.Services.AddKvWorker(Audit).HandleTopic("other", static (_, _) => Task.CompletedTask);
        builder.Services.AddHealthChecks().AddKvStore(Audit);
        using var host = builder.Build();
        await StoreOf(host, Audit).EnqueueAsync(new Job(1));
        time.Advance(TimeSpan.FromMinutes(2));

        var report = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();

        Assert.Equal(["job"], Assert.IsType<string[]>(report.Entries[Audit].Data["unhandledTopics"]));
    }

    [Fact]
    public async Task A_serializer_with_the_key_of_a_store_is_its_own()
    {
        var builder = await BuildAsync();
        builder.Services.AddKeyedSingleton<IKvValueSerializer>(
            Audit, new KvJsonSerializer(new JsonSerializerOptions { PropertyNamingPolicy = JsonNamingPolicy.KebabCaseUpper }));
        using var host = builder.Build();

        await StoreOf(host, "").SetAsync(["k"], new Job(1));
        await StoreOf(host, Audit).SetAsync(["k"], new Job(1));

        Assert.Equal("{\"Number\":1}", await TextAsync(""));
        Assert.Equal("{\"NUMBER\":1}", await TextAsync(Audit));

        async Task<string> TextAsync(string name) =>
            System.Text.Encoding.UTF8.GetString((await StoreOf(host, name).GetAsync(["k"]))!.Value.Bytes.Span);
    }

    [Fact]
    public async Task Spans_of_a_store_with_a_name_are_tagged_with_it()
    {
        var (plain, audit) = (new Handled(), new Handled());
        System.Collections.Concurrent.ConcurrentQueue<Activity> spans = [];
        using var root = new Activity("test").Start();
        using var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name == KvDiagnostics.ActivitySourceName,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        using var host = await StartAsync(services =>
        {
            services.AddKvWorker().Handle<Job>(plain.HandleAsync);
            services.AddKvWorker(Audit).Handle<Job>(audit.HandleAsync);
        });

        foreach (var name in new[] { "", Audit })
        {
            await StoreOf(host, name).EnqueueAsync(new Job(1));
            await foreach (var _ in StoreOf(host, name).ListAsync(KvRange.Prefix(["none"])))
            {
                Assert.Fail("There is nothing.");
            }
        }

        await Task.WhenAll(plain.First, audit.First);
        await host.StopAsync();
        var mine = spans
            .Where(span => span.TraceId == root.TraceId || span.Links.Any(link => link.Context.TraceId == root.TraceId)).ToList();
        foreach (var operation in new[] { "commit kv", "transaction kv", "list kv", "process job" })
        {
            var stores = mine.Where(span => span.DisplayName == operation).Select(static span => span.GetTagItem(KvDiagnostics.StoreTag));
            Assert.Equal([null, Audit], stores.Distinct().Order());
        }
    }

    [Fact]
    public async Task A_worker_without_a_store_of_its_name_says_what_to_add()
    {
        var builder = await BuildAsync();
        builder.Services.AddKvWorker("invoices").Handle<Job>(static (_, _, _) => Task.CompletedTask);
        using var host = builder.Build();

        var error = Assert.Throws<InvalidOperationException>(() => host.Services.GetServices<IHostedService>().ToList());

        Assert.Contains("The worker of the store 'invoices' has no store", error.Message, StringComparison.Ordinal);
        Assert.Contains("services.AddKvStore(\"invoices\", (_, db) => db.UseSqlite(...))", error.Message, StringComparison.Ordinal);
    }

    private static IKvStore StoreOf(IHost host, string name) => name.Length == 0
        ? host.Services.GetRequiredService<IKvStore>()
        : host.Services.GetRequiredKeyedService<IKvStore>(name);

    private async Task<HostApplicationBuilder> BuildAsync(TimeProvider? time = null)
    {
        var (plain, audit) = (await database.CreateMigratedAsync(), await database.CreateMigratedAsync());
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        if (time is not null)
        {
            builder.Services.AddSingleton(time);
        }

        builder.Services.AddKvStore(db => database.Configure(db, plain), Injected);
        builder.Services.AddKvStore(Audit, (_, db) => database.Configure(db, audit), Injected);
        return builder;

        void Injected(KvStoreOptions options) => options.Clock = time is null ? options.Clock : KvClockSource.Injected;
    }

    private async Task<IHost> StartAsync(Action<IServiceCollection> services)
    {
        var builder = await BuildAsync();
        services(builder.Services);
        var host = builder.Build();
        await host.StartAsync();
        return host;
    }

    private sealed class Handled
    {
        private readonly TaskCompletionSource<(int Number, IKvStore Store)> _first =
            new(TaskCreationOptions.RunContinuationsAsynchronously);

        private int _count;

        public Task<(int Number, IKvStore Store)> First => _first.Task.WaitAsync(WorkerTesting.Patience);

        public int Count => _count;

        public Task HandleAsync(Job job, KvMessageContext context, CancellationToken token)
        {
            Interlocked.Increment(ref _count);
            _first.TrySetResult((job.Number, context.Store));
            return Task.CompletedTask;
        }
    }
}

public sealed class SqliteSeveralStoresTests(SqliteDatabase database) : SeveralStoresSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresSeveralStoresTests(PostgresDatabase database) : SeveralStoresSpec(database), IClassFixture<PostgresDatabase>;
