using System.Collections.Concurrent;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.PostgreSql;

/// <summary>A server dies, and the standby that repeated it takes its place.</summary>
public sealed class PostgresFailoverTests : IAsyncLifetime
{
    private const int WentBack = 184;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private readonly PostgresPair _pair = new();

    public ValueTask InitializeAsync() => _pair.InitializeAsync();

    public ValueTask DisposeAsync() => _pair.DisposeAsync();

    [Fact]
    public async Task Under_synchronous_replication_nothing_that_was_answered_is_lost_and_all_go_on_by_themselves()
    {
        const int Callers = 16;
        var (logs, handled, written) = (new LogCollector(), new ConcurrentDictionary<int, int>(), new ConcurrentDictionary<int, int>());
        var address = await CreateAsync();
        await _pair.SynchronizeAsync();
        await using var test = await _pair.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (job, context, token) =>
            {
                handled.AddOrUpdate(job.Number, 1, static (_, count) => count + 1);
                await context.CompleteAsync(write => write.Sum(["handled"], 1).Set(["done", job.Number], 1), token);
            }),
            connectionString: _pair.OnBoth(address),
            logs: logs,
            options: static worker => (worker.Lease, worker.RecoverInterval) = (TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(1)),
            storeOptions: static store => store.CommandTimeout = TimeSpan.FromMinutes(1));
        await test.StartAsync();
        await test.WhenListeningAsync();
        using var stop = new CancellationTokenSource();
        var (next, enough) = (0, new SemaphoreSlim(0));
        await using var watch = test.Store.WatchAsync([["last"]]).GetAsyncEnumerator();
        var calling = Task.WhenAll(Enumerable.Range(0, Callers).Select(async _ =>
        {
            while (!stop.IsCancellationRequested)
            {
                var id = Interlocked.Increment(ref next);
                try
                {
                    Assert.True((await test.Store.Atomic().Set(["of", id], id).Enqueue(new Job(id)).CommitAsync()).Succeeded);
                    written[id] = id;
                    enough.Release();
                }
                catch (KvCommitUnknownException)
                {
                    // Then it may be there or not.
                }
            }
        }));

        await WaitAsync(enough, 200);
        await _pair.Server.KillAsync();
        var promoting = _pair.Standby.PromoteAsync();
        await promoting;
        while (enough.Wait(0))
        {
        }

        await WaitAsync(enough, 200);
        await stop.CancelAsync();
        await calling.WaitAsync(Patience);
        await test.WhenListeningAsync();
        await test.Store.SetAsync(["last"], 1);
        while ((await watch.MoveNextAsync().AsTask().WaitAsync(Patience)) && watch.Current[0] is null)
        {
        }

        // Each write that was answered is there, and each message is handled, once as far as its effects go.
        var there = (await test.Store.ListAsync(KvRange.Prefix(["of"])).Select(static e => e.As<int>()).ToListAsync()).ToHashSet();
        Assert.Empty(written.Keys.Except(there));
        await UntilAsync(async () => await test.Store.CountAsync(KvRange.Prefix(["done"])) >= there.Count);
        Assert.Equal((ulong)there.Count, await test.Store.GetAsync<ulong>(["handled"]));
        Assert.Equal(there.Order(), handled.Keys.Order());
        Assert.DoesNotContain(logs.Entries, static e => e.Event == WentBack);
        await test.StopAsync();
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task What_an_asynchronous_standby_had_not_received_is_lost_and_the_store_says_so_and_goes_on()
    {
        var logs = new LogCollector();
        var seen = new SemaphoreSlim(0);
        var address = await CreateAsync();
        await using var test = await _pair.CreateWorkerAsync(
            worker =>
            {
                worker.Services.AddHealthChecks().AddKvStore();
                worker.Handle<Job>((_, _, _) => Task.FromResult(seen.Release()));
            },
            connectionString: _pair.OnBoth(address),
            logs: logs,
            storeOptions: static store => store.CommandTimeout = TimeSpan.FromMinutes(1));
        await test.StartAsync();
        await test.Store.SetAsync(["k"], "kept");
        await using var watch = test.Store.WatchAsync([["k"]]).GetAsyncEnumerator();
        Assert.Equal("kept", await NextAsync(watch));
        await _pair.CaughtUpAsync();
        await _pair.Standby.StopAsync();
        var lost = await test.Store.SetAsync(["k"], "lost");
        for (var i = 0; i < 20; i++)
        {
            lost = await test.Store.SetAsync(["k"], "lost");
        }

        Assert.Equal("lost", await NextAsync(watch));

        await _pair.Server.KillAsync();
        await _pair.Standby.StartAgainAsync();
        await _pair.Standby.PromoteAsync();

        // What is not there any more is told, too.
        while (await NextAsync(watch) == "lost")
        {
        }

        Assert.Equal("kept", watch.Current[0]!.As<string>());
        await test.Store.EnqueueAsync(new Job(1));
        Assert.True(await seen.WaitAsync(Patience));
        var after = await test.Store.SetAsync(["k"], "after");
        while (await NextAsync(watch) != "after")
        {
        }

        // No version that was given out for what is lost is given out again.
        Assert.True(after > lost, $"{after} > {lost}");
        await logs.WaitForAsync(WentBack, 1);
        var said = Assert.Single(logs.Entries, static e => e.Event == WentBack);
        Assert.Equal(LogLevel.Error, said.Level);
        Assert.Contains("The database has gone back to an earlier state: this process has seen version 22 committed, and the database has version 1", said.Text, StringComparison.Ordinal);
        Assert.Contains("synchronous_standby_names", said.Text, StringComparison.Ordinal);
        var report = (await test.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Entries["kv"];
        Assert.Equal(HealthStatus.Degraded, report.Status);
        Assert.Contains(said.Text, report.Description!, StringComparison.Ordinal);
        Assert.Equal((22L, 1L), (report.Data["wentBackFrom"], report.Data["wentBackTo"]));
        await test.StopAsync();
    }

    private static async Task<string?> NextAsync(IAsyncEnumerator<IReadOnlyList<KvEntry?>> watch)
    {
        Assert.True(await watch.MoveNextAsync().AsTask().WaitAsync(Patience));
        return watch.Current[0]?.As<string>();
    }

    private static async Task WaitAsync(SemaphoreSlim signal, int times)
    {
        for (var i = 0; i < times; i++)
        {
            Assert.True(await signal.WaitAsync(Patience));
        }
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var hang = new CancellationTokenSource(Patience);
        while (!await condition())
        {
            Assert.False(hang.IsCancellationRequested, "It did not come.");
        }
    }

    private async Task<string> CreateAsync()
    {
        var address = await _pair.CreateMigratedAsync();
        await _pair.CaughtUpAsync();
        return address;
    }
}
