using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.PostgreSql;

/// <summary>A server dies, and the standby that takes its place lacks the last commits.</summary>
public sealed class PostgresLossTests(PostgresPair pair) : IClassFixture<PostgresPair>
{
    private const int WentBack = 184;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task What_an_asynchronous_standby_had_not_received_is_lost_and_the_store_says_so_and_goes_on()
    {
        var logs = new LogCollector();
        var seen = new SemaphoreSlim(0);
        var address = await pair.CreateMigratedAsync();
        await pair.CaughtUpAsync();
        await using var test = await pair.CreateWorkerAsync(
            worker =>
            {
                worker.Services.AddHealthChecks().AddKvStore();
                worker.Handle<Job>((_, _, _) => Task.FromResult(seen.Release()));
            },
            connectionString: pair.OnBoth(address),
            logs: logs,
            storeOptions: store =>
            {
                store.CommandTimeout = TimeSpan.FromMinutes(1);
                store.ReplicaConnectionString = pair.OnStandby(address);
            });
        await test.StartAsync();
        await test.Store.SetAsync(["k"], "kept");
        await using var watch = test.Store.WatchAsync([["k"]]).GetAsyncEnumerator();
        Assert.Equal("kept", await NextAsync(watch));
        await pair.CaughtUpAsync();
        await pair.Standby.StopAsync();
        var lost = await test.Store.SetAsync(["k"], "lost");
        for (var i = 0; i < 20; i++)
        {
            lost = await test.Store.SetAsync(["k"], "lost");
        }

        Assert.Equal("lost", await NextAsync(watch));
        Assert.Equal("lost", await test.Store.GetAsync<string>(["k"], KvReadOptions.Eventual));
        Assert.StartsWith("away: ", (string)(await HealthAsync(test)).Data["replica"], StringComparison.Ordinal);

        await pair.Server.KillAsync();
        await pair.Standby.StartAgainAsync();
        await pair.Standby.PromoteAsync();

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
        Assert.Contains("this process has seen version 22 committed, and the database has version 1", said.Text, StringComparison.Ordinal);
        Assert.Contains("synchronous_standby_names", said.Text, StringComparison.Ordinal);
        var report = await HealthAsync(test);
        Assert.Equal(HealthStatus.Degraded, report.Status);
        Assert.Contains(said.Text, report.Description!, StringComparison.Ordinal);
        Assert.Equal((22L, 1L), (report.Data["wentBackFrom"], report.Data["wentBackTo"]));

        // The server that was the replica takes the writes now, and reads of the replica are reads of it.
        await UntilAsync(async () => (string)(await HealthAsync(test)).Data["replica"] == "serves");
        Assert.Equal("after", await test.Store.GetAsync<string>(["k"], KvReadOptions.Eventual));
        await test.StopAsync();
    }

    private static async Task<HealthReportEntry> HealthAsync(KvTestStore test) =>
        (await test.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Entries["kv"];

    private static async Task<string?> NextAsync(IAsyncEnumerator<IReadOnlyList<KvEntry?>> watch)
    {
        Assert.True(await watch.MoveNextAsync().AsTask().WaitAsync(Patience));
        return watch.Current[0]?.As<string>();
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var hang = new CancellationTokenSource(Patience);
        while (!await condition())
        {
            Assert.False(hang.IsCancellationRequested, "It did not come.");
        }
    }
}
