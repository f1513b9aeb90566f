using System.Collections.Concurrent;
using Kv.TestKit;

namespace Kv.Tests.PostgreSql;

/// <summary>A server dies, and the standby that has all that was answered takes its place.</summary>
public sealed class PostgresFailoverTests(PostgresPair pair) : IClassFixture<PostgresPair>
{
    private const int WentBack = 184;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task Under_synchronous_replication_nothing_that_was_answered_is_lost_and_all_go_on_by_themselves()
    {
        const int Callers = 16;
        var (logs, handled, written) = (new LogCollector(), new ConcurrentDictionary<int, int>(), new ConcurrentDictionary<int, int>());
        var address = await pair.CreateMigratedAsync();
        await pair.SynchronizeAsync();
        await using var test = await pair.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (job, context, token) =>
            {
                handled.AddOrUpdate(job.Number, 1, static (_, count) => count + 1);
                await context.CompleteAsync(write => write.Sum(["handled"], 1).Set(["done", job.Number], 1), token);
            }),
            connectionString: pair.OnBoth(address),
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
        await pair.Server.KillAsync();
        await pair.Standby.PromoteAsync();
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
        test.AssertQueueEmpty();
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
}
