using Kv.Diagnostics;
using Kv.Store;
using Kv.TestKit;
using Kv.Worker;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace Kv.Tests.Specs;

/// <summary>What a store and its worker do is measured, as OpenTelemetry collects it.</summary>
/// <remarks>Meters are heard by all of a process, so each test has a store with a name of its own, which tells its measurements.</remarks>
public abstract class MetricsSpec(KvDatabase database) : IAsyncDisposable
{
    private readonly string _name = Guid.NewGuid().ToString("N");
    private readonly ManualTime _time = new();
    private readonly List<MetricSnapshot> _metrics = [];
    private readonly List<System.Diagnostics.Activity> _spans = [];
    private ServiceProvider? _services;

    private IKvStore Store => _services!.GetRequiredKeyedService<IKvStore>(_name);

    private KvWorker Worker => _services!.GetServices<IHostedService>().OfType<KvWorker>().Single();

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_services is not null)
        {
            await _services.DisposeAsync();
        }
    }

    [Fact]
    public async Task What_becomes_of_messages_is_counted_by_topic()
    {
        await BuildAsync((job, context) => job.Number switch
        {
            1 => Task.CompletedTask,
            2 => context.CompleteAsync(static write => write.Set(["done"], 1)).AsTask(),
            _ => throw new InvalidOperationException("Never."),
        });
        await Store.EnqueueAsync(new Job(1));
        await Store.EnqueueAsync(new Job(2));
        await Store.EnqueueAsync(new Job(3), new KvEnqueueOptions { BackoffSchedule = [TimeSpan.FromMinutes(1)] });
        await SettleAsync();
        _time.Advance(TimeSpan.FromMinutes(1));
        await SettleAsync();

        Assert.Equal(3, Sum(KvMetrics.MessagesSent, ("messaging.destination.name", "job"), ("messaging.operation.name", "send")));
        Assert.Equal(4, Sum(KvMetrics.MessagesConsumed, ("messaging.destination.name", "job")));
        Assert.Equal(2, Sum(KvMetrics.MessagesCompleted, ("messaging.destination.name", "job")));
        Assert.Equal(2, Sum(KvMetrics.AttemptsFailed, ("error.type", "System.InvalidOperationException")));
        Assert.Equal(1, Sum(KvMetrics.MessagesRetried, ("messaging.system", "efkv")));
        Assert.Equal(1, Sum(KvMetrics.MessagesDeadLettered, ("messaging.destination.name", "job")));
        Assert.Equal(4, Count(KvMetrics.ProcessDuration));
        Assert.Equal(2, Count(KvMetrics.ProcessDuration, ("error.type", "System.InvalidOperationException")));
        Assert.Equal(0, Sum(KvMetrics.LeasesLost));
    }

    [Fact]
    public async Task A_lease_that_was_lost_is_counted()
    {
        await BuildAsync(async (_, _) => await StealAsync());
        await Store.EnqueueAsync(new Job(1));

        await SettleAsync(rounds: 1);

        Assert.Equal(1, Sum(KvMetrics.LeasesLost, ("messaging.destination.name", "job")));
    }

    [Fact]
    public async Task Calls_transactions_conflicts_and_sweeps_are_measured()
    {
        await BuildAsync();
        await Store.SetAsync(["a"], 1, TimeSpan.FromMinutes(1));
        await Store.GetAsync(["a"]);
        await Store.GetManyAsync([["a"], ["b"]]);
        await Store.ListAsync(KvRange.All).ToListAsync();
        Assert.False((await Store.Atomic().Check(["a"], null).Set(["a"], 2).CommitAsync()).Succeeded);
        await Assert.ThrowsAsync<KvException>(() => Store.SumAsync(["a"], 1).AsTask());
        _time.Advance(TimeSpan.FromMinutes(20));
        await Engine.Sweeper.SweepAsync(CancellationToken.None);
        _time.Advance(TimeSpan.FromMinutes(20));
        await Engine.Sweeper.SweepAsync(CancellationToken.None);

        Assert.Equal(1, Count(KvMetrics.OperationDuration, ("db.operation.name", "get"), ("db.collection.name", "kv")));
        Assert.Equal(1, Count(KvMetrics.OperationDuration, ("db.operation.name", "get_many")));
        Assert.Equal(1, Count(KvMetrics.OperationDuration, ("db.operation.name", "list")));
        Assert.Equal(3, Count(KvMetrics.OperationDuration, ("db.operation.name", "commit")));
        Assert.Equal(1, Count(KvMetrics.OperationDuration, ("error.type", "Kv.KvException")));
        Assert.Equal(1, Sum(KvMetrics.Conflicts));

        // The store's own sweeper may find the entry at the same moment, and tell of it a moment later.
        await UntilAsync(() => Sum(KvMetrics.EntriesSwept) >= 1);
        Assert.InRange(Sum(KvMetrics.EntriesSwept), 1, 2);
        Assert.InRange(Count(KvMetrics.TransactionDuration), 2, 3);
        Assert.Equal(Count(KvMetrics.TransactionDuration), Count(KvMetrics.TransactionSize));
    }

    [Fact]
    public async Task Transactions_that_are_tried_again_are_counted()
    {
        await BuildAsync();
        await Store.SetAsync(["a"], 1);
        var failures = 1;
        _services!.GetRequiredService<FailPoints>().OnHit = point =>
            point == FailPoints.BeforeCommit && failures-- > 0 ? throw new TimeoutException("Once.") : ValueTask.CompletedTask;

        await Store.SetAsync(["a"], 2);

        Assert.Equal(1, Sum(KvMetrics.Retries, ("db.operation.name", "transaction")));
    }

    [Fact]
    public async Task The_queue_is_looked_at_while_somebody_listens()
    {
        await BuildAsync();
        await Store.EnqueueAsync(new Job(1));
        await Store.EnqueueAsync(new Job(2), new KvEnqueueOptions { Delay = TimeSpan.FromHours(1) });
        await Store.EnqueueAsync(new Job(3), new KvEnqueueOptions { Topic = "other", GroupKey = "g" });
        await Store.EnqueueAsync(new Job(4), new KvEnqueueOptions { Topic = "other", GroupKey = "g" });
        _time.Advance(TimeSpan.FromSeconds(30));

        await new QueueSampler(Of).SampleAsync(CancellationToken.None);

        Assert.Equal((1, 1, 0, 0), Depth("job"));
        Assert.Equal((1, 0, 1, 0), Depth("other"));
        Assert.Equal(30, Gauge(KvMetrics.QueueOldestAge, ("messaging.destination.name", "job")));

        (double Due, double Delayed, double Blocked, double Running) Depth(string topic) =>
            (InState(topic, "due"), InState(topic, "delayed"), InState(topic, "blocked"), InState(topic, "running"));

        double InState(string topic, string state) =>
            Gauge(KvMetrics.QueueMessages, ("messaging.destination.name", topic), (KvMetrics.QueueStateTag, state));
    }

    [Fact]
    public async Task A_worker_looks_at_the_queue_every_fifteen_seconds()
    {
        await BuildAsync();
        await Worker.StartAsync(CancellationToken.None);
        await Store.EnqueueAsync(new Job(2), new KvEnqueueOptions { Delay = TimeSpan.FromDays(29) });

        await UntilAsync(() =>
        {
            _time.Advance(QueueSampler.Interval);
            return Gauge(KvMetrics.QueueMessages, (KvMetrics.QueueStateTag, "delayed")) == 1;
        });

        await Worker.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Watches_and_connections_are_told_as_they_are()
    {
        await BuildAsync();
        await Store.GetAsync(["a"]);
        var watch = Store.WatchAsync([["a"]]).GetAsyncEnumerator();
        await watch.MoveNextAsync();
        Assert.Equal(1, Sum(KvMetrics.Watches));
        var idle = Sum(KvMetrics.Connections, ("db.client.connection.state", "idle"), ("db.client.connection.pool.name", _name));
        Assert.InRange(idle + Sum(KvMetrics.Connections, ("db.client.connection.state", "used")), 1, 100);

        await watch.DisposeAsync();
        Assert.Equal(0, Sum(KvMetrics.Watches));
    }

    [Fact]
    public async Task One_line_collects_traces_too()
    {
        await BuildAsync();

        await Store.GetAsync(["a"]);
        _services!.GetRequiredService<TracerProvider>().ForceFlush();

        Assert.Contains(_spans, span => span.DisplayName == "get kv" && (string?)span.GetTagItem(KvDiagnostics.StoreTag) == _name);
    }

    private KvStore Of => _services!.GetRequiredKeyedService<KvStore>(_name);

    private Engine.KvEngine Engine => Of.Engine;

    private async Task BuildAsync(Func<Job, KvMessageContext, Task>? handle = null)
    {
        var address = await database.CreateMigratedAsync();
        var services = new ServiceCollection();
        services.AddLogging().AddSingleton<TimeProvider>(_time).AddSingleton(new FailPoints());
        services.AddKvStore(_name, (_, db) => database.Configure(db, address), static options => options.Clock = KvClockSource.Injected);
        services.AddKvWorker(_name).Handle<Job>((job, context, _) => handle?.Invoke(job, context) ?? Task.CompletedTask);
        services.AddOpenTelemetry().AddKvInstrumentation()
            .WithMetrics(metrics => metrics.AddInMemoryExporter(_metrics))
            .WithTracing(tracing => tracing.AddInMemoryExporter(_spans));
        _services = services.BuildServiceProvider();
        _ = _services.GetRequiredService<TracerProvider>();
        _ = _services.GetRequiredService<MeterProvider>();
    }

    private async Task SettleAsync(int rounds = int.MaxValue)
    {
        while (rounds-- > 0 && await Worker.RunRoundAsync(CancellationToken.None) == TimeSpan.Zero)
        {
            await Worker.WhenIdleAsync().WaitAsync(WorkerTesting.Patience);
        }

        await Worker.WhenIdleAsync().WaitAsync(WorkerTesting.Patience);
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        using var patience = new CancellationTokenSource(WorkerTesting.Patience);
        while (!holds())
        {
            patience.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private async Task StealAsync()
    {
        await using var context = Of.Engine.CreateContext();
        await context.Database.ExecuteSqlRawAsync("update queue_running set owner = 'thief'");
    }

    private double Sum(string metric, params (string Name, string Value)[] tags) =>
        Points(metric, tags).Sum(static p => (double)p.GetSumLong());

    private double Gauge(string metric, params (string Name, string Value)[] tags) =>
        Points(metric, tags).Sum(p => metric == KvMetrics.QueueOldestAge ? p.GetGaugeLastValueDouble() : p.GetGaugeLastValueLong());

    private long Count(string metric, params (string Name, string Value)[] tags) =>
        Points(metric, tags).Sum(static p => p.GetHistogramCount());

    private List<MetricPoint> Points(string metric, (string Name, string Value)[] tags)
    {
        _metrics.Clear();
        _services!.GetRequiredService<MeterProvider>().ForceFlush();
        return _metrics.Where(m => m.Name == metric).SelectMany(static m => m.MetricPoints)
            .Where(p => tags.Append((KvDiagnostics.StoreTag, _name)).All(tag => Tag(p, tag.Item1) == tag.Item2)).ToList();
    }

    private static string? Tag(MetricPoint point, string name)
    {
        foreach (var (key, value) in point.Tags)
        {
            if (key == name)
            {
                return value as string;
            }
        }

        return null;
    }
}

[Collection(Listening.Name)]
public sealed class SqliteMetricsTests(SqliteDatabase database) : MetricsSpec(database), IClassFixture<SqliteDatabase>;

[Collection(Listening.Name)]
public sealed class PostgresMetricsTests(PostgresDatabase database) : MetricsSpec(database), IClassFixture<PostgresDatabase>;
