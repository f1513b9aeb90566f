using System.Collections.Concurrent;
using Kv.TestKit;

namespace Kv.Tests;

/// <summary>A worker beside whose messages a test puts rows that no store writes.</summary>
internal sealed class StrayWorker(KvDatabase database)
{
    public ManualTime Time { get; } = new();

    public LogCollector Logs { get; } = new();

    /// <summary>The numbers of the messages that were handled, in order.</summary>
    public ConcurrentQueue<int> Handled { get; } = new();

    public Task<KvTestStore> CreateAsync() => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((job, _, _) =>
        {
            Handled.Enqueue(job!.Number);
            return Task.CompletedTask;
        }),
        Time,
        logs: Logs);

    /// <summary>Puts a bad row beside good ones and an orphan, and has the worker run.</summary>
    /// <param name="test">The worker.</param>
    /// <param name="put">Puts the bad row in: a message with a number below 10.</param>
    /// <param name="what">What it is, for a test that fails.</param>
    /// <param name="isDue">Whether the row is to end somewhere: handled, or as a letter.</param>
    public async Task BesideAsync(KvTestStore test, Func<Task> put, string what, bool isDue)
    {
        var before = Handled.Count(static n => n >= 10);
        await test.Store.EnqueueAsync(new Job(10));
        await test.OrphanAsync(11, Time);
        await put();
        await test.Store.EnqueueAsync(new Job(12));
        await test.Store.EnqueueAsync(new Job(13), new() { Delay = TimeSpan.FromSeconds(45) });

        // Every look sees them all.
        _ = await test.Queue().GetStatsAsync();
        _ = await test.Queue().ListRunningAsync();
        _ = await test.Queue().PeekAsync("job");

        await SettleAsync(test);
        Time.Advance(TimeSpan.FromSeconds(45));
        await SettleAsync(test);
        Time.Advance(TimeSpan.FromSeconds(45));
        await SettleAsync(test);

        Assert.True(
            Handled.Count(static n => n >= 10) == before + 4,
            $"With {what}: of 10, 11, 12 and 13 {string.Join(", ", Handled.Where(static n => n >= 10).Skip(before))} were handled.");
        var stats = await test.Queue().GetStatsAsync();
        var left = stats.Sum(static s => s.Due + s.Blocked + s.Running);
        Assert.True(!isDue || left + stats.Sum(static s => s.Delayed) == 0, $"With {what}: {string.Join("; ", stats)} is left.");
        await test.ExecuteAsync("delete from queue");
        await test.ExecuteAsync("delete from queue_running");
    }

    /// <summary>Has the worker handle what is due, and see to what no claim takes.</summary>
    public async Task SettleAsync(KvTestStore test)
    {
        for (var i = 0; i < 4; i++)
        {
            // A round that finds nothing more does not wait for what the one before has begun.
            await test.SettleAsync();
            await test.IdleAsync();
            test.Worker().Heartbeat.Beat();
            Time.Advance(TimeSpan.FromSeconds(1));
        }
    }
}
