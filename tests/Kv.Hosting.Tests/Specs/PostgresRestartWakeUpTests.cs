using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>On a server that these tests alone use, and crash.</summary>
public sealed class PostgresRestartWakeUpTests(PrivatePostgresDatabase database) : IClassFixture<PrivatePostgresDatabase>
{
    [Fact]
    public async Task A_worker_hears_again_after_a_crash_of_the_server_and_misses_nothing()
    {
        var seen = new SemaphoreSlim(0);
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, _) => Task.FromResult(seen.Release())), options: static worker => worker.PollInterval = TimeSpan.FromMinutes(1));
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await test.StartAsync();
        await test.WhenItHearsAsync();

        await database.Server.RestartImmediateAsync();
        await other.Store.EnqueueAsync(new Job(1));
        Assert.True(await seen.WaitAsync(WorkerTesting.Patience));
        await test.WhenItHearsAsync();
        await other.Store.EnqueueAsync(new Job(2));
        Assert.True(await seen.WaitAsync(WorkerTesting.Patience));
    }
}
