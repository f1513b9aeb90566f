using Kv.TestKit;

namespace Kv.Tests.PostgreSql;

/// <summary>On a server that these tests alone use, and crash.</summary>
public sealed class PostgresRestartTests(PrivatePostgresDatabase database) : IClassFixture<PrivatePostgresDatabase>
{
    [Fact]
    public async Task A_worker_listens_again_after_a_crash_of_the_server_and_misses_nothing()
    {
        var seen = new SemaphoreSlim(0);
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, _) => Task.FromResult(seen.Release())), options: static worker => worker.PollInterval = TimeSpan.FromMinutes(1));
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await test.StartAsync();
        await test.WhenListeningAsync();

        await database.Server.RestartImmediateAsync();
        await other.Store.EnqueueAsync(new Job(1));
        Assert.True(await seen.WaitAsync(WorkerTesting.Patience));
        await test.WhenListeningAsync();
        await other.Store.EnqueueAsync(new Job(2));
        Assert.True(await seen.WaitAsync(WorkerTesting.Patience));
    }

    [Fact]
    public async Task After_a_crash_of_the_server_every_caller_is_answered_each_write_counts_once_and_the_worker_goes_on()
    {
        const int Callers = 64;
        await using var test = await database.CreateWorkerAsync(
            static worker => worker.Handle<Job>(static async (_, context, token) => await context.CompleteAsync(static write => write.Sum(["handled"], 1), token)),
            options: static worker => (worker.Lease, worker.RecoverInterval) = (TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(1)),
            storeOptions: static store => store.CommandTimeout = TimeSpan.FromMinutes(1));
        await test.StartAsync();
        var answered = 0UL;

        // Every connection is open and idle, and is dead when it is used next.
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(CallAsync));
        await database.Server.RestartImmediateAsync();
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(CallAsync)).WaitAsync(WorkerTesting.Patience * 2);
        Assert.Equal(2UL * Callers, answered);

        // Every connection is in use, and some are in the middle of a commit.
        using var stop = new CancellationTokenSource();
        var calling = Task.WhenAll(Enumerable.Range(0, Callers).Select(async caller =>
        {
            while (!stop.IsCancellationRequested)
            {
                await CallAsync(caller);
            }
        }));
        await database.Server.RestartImmediateAsync();
        await stop.CancelAsync();
        await calling.WaitAsync(WorkerTesting.Patience * 2);

        Assert.Equal(answered, await test.Store.GetAsync<ulong>(["sum"]));
        using var hang = new CancellationTokenSource(WorkerTesting.Patience * 2);
        await foreach (var entries in test.Store.WatchAsync([["handled"]], hang.Token))
        {
            if (entries[0]?.As<ulong>() >= answered)
            {
                break;
            }
        }

        Assert.False(hang.IsCancellationRequested, $"Only {await test.Store.GetAsync<ulong>(["handled"])} of {answered} messages were handled.");
        await test.StopAsync();
        Assert.Equal(answered, await test.Store.GetAsync<ulong>(["handled"]));
        test.AssertQueueEmpty();

        async Task CallAsync(int caller)
        {
            await test.Store.GetAsync(["of", caller]);
            Assert.True((await test.Store.Atomic().Set(["of", caller], caller).Sum(["sum"], 1).Enqueue(new Job(caller)).CommitAsync()).Succeeded);
            Interlocked.Increment(ref answered);
            Assert.Equal([caller, caller], (await test.Store.GetManyAsync([["of", caller], ["of", caller]])).Select(static e => e!.As<int>()));
        }
    }
}
