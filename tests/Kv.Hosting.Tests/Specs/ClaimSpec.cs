using System.Threading.Channels;
using Kv.Diagnostics;
using Kv.Messages;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>A worker with room takes messages in the very commit that brings them.</summary>
public abstract class ClaimSpec(KvDatabase database)
{
    private readonly Channel<int> _handled = Channel.CreateUnbounded<int>();

    [Fact]
    public async Task A_message_is_running_when_the_commit_that_brought_it_is_answered()
    {
        var gate = new Gate();
        await using var test = await StartAsync((_, context, token) => gate.PassAsync(context, token));

        var commits = 0;
        test.FailPoints().OnHit = point =>
        {
            commits += point == FailPoints.BeforeCommit ? 1 : 0;
            return ValueTask.CompletedTask;
        };
        await test.Store.EnqueueAsync(new Job(1));

        Assert.Equal(1, commits);
        Assert.Empty(await test.QueuedAsync());
        Assert.Single(await test.RunningAsync());
        await gate.Begun;
        gate.Open();
        await test.StopAsync();
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task What_there_is_no_room_for_waits_until_there_is_some()
    {
        var gate = new Gate();
        await using var test = await StartAsync((_, context, token) => gate.PassAsync(context, token), concurrency: 2);

        var write = test.Store.Atomic();
        for (var i = 0; i < 5; i++)
        {
            write.Enqueue(new Job(i));
        }

        await write.CommitAsync();

        Assert.Equal(2, (await test.RunningAsync()).Count);
        Assert.Equal(3, (await test.QueuedAsync()).Count);
        gate.Open();
        Assert.Equal([0, 1, 2, 3, 4], await HandledAsync(5));
        await test.StopAsync();
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task However_many_enqueue_no_more_are_handled_at_once_than_there_is_capacity_for()
    {
        const int Callers = 16;
        const int Each = 25;
        var (running, most) = (0, 0);
        await using var test = await StartAsync(
            async (_, _, _) =>
            {
                var now = Interlocked.Increment(ref running);
                InterlockedMax(ref most, now);
                await Task.Yield();
                Interlocked.Decrement(ref running);
            },
            concurrency: 4);

        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
        {
            for (var i = 0; i < Each; i++)
            {
                await test.Store.EnqueueAsync(new Job((caller * Each) + i));
            }
        })));

        Assert.Equal(Enumerable.Range(0, Callers * Each), await HandledAsync(Callers * Each));
        await test.StopAsync();
        Assert.InRange(most, 1, 4);
        Assert.Equal(0, _handled.Reader.Count);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_commit_that_fails_with_the_claim_that_shares_it_brings_the_message_all_the_same()
    {
        await using var test = await StartAsync(static (_, _, _) => Task.CompletedTask);
        var failed = false;
        test.FailPoints().OnHit = _ =>
        {
            if (failed)
            {
                return ValueTask.CompletedTask;
            }

            failed = true;
            throw new InvalidOperationException("The commit was to fail.");
        };

        await test.Store.EnqueueAsync(new Job(1));

        Assert.Equal([1], await HandledAsync(1));
        await test.StopAsync();
        Assert.True(failed);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_worker_that_has_stopped_takes_nothing_more()
    {
        await using var test = await StartAsync(static (_, _, _) => Task.CompletedTask);
        await test.StopAsync();

        await test.Store.EnqueueAsync(new Job(1));

        Assert.Single(await test.QueuedAsync());
        Assert.Equal(0, _handled.Reader.Count);
    }

    [Fact]
    public async Task A_paused_topic_keeps_what_comes()
    {
        await using var test = await StartAsync(static (_, _, _) => Task.CompletedTask);
        await test.Queue().PauseAsync("job");

        await test.Store.EnqueueAsync(new Job(1));

        Assert.Single(await test.QueuedAsync());
        await test.Queue().ResumeAsync("job");
        Assert.Equal([1], await HandledAsync(1));
    }

    [Fact]
    public async Task What_waits_already_comes_first()
    {
        await using var test = await StartAsync(static (_, _, _) => Task.CompletedTask, concurrency: 1);

        // Put in by hand, so nobody was told of it.
        await test.ExecuteAsync(
            "insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding) "
                + "values (1, 'old', {0}, '[]', '[]', 'job', 'job', 4)",
            "{\"Number\":1}"u8.ToArray());
        await test.Store.EnqueueAsync(new Job(2));

        Assert.Equal(1, await _handled.Reader.ReadAsync().AsTask().WaitAsync(WorkerTesting.Patience));
        Assert.Equal(2, await _handled.Reader.ReadAsync().AsTask().WaitAsync(WorkerTesting.Patience));
        await test.StopAsync();
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task The_more_urgent_of_a_commit_are_taken_first()
    {
        var gate = new Gate();
        await using var test = await StartAsync((_, context, token) => gate.PassAsync(context, token), concurrency: 2);

        var write = test.Store.Atomic();
        for (var i = 0; i < 5; i++)
        {
            write.Enqueue(new Job(i), new KvEnqueueOptions { Priority = -i });
        }

        await write.CommitAsync();

        Assert.Equal([-4, -3], (await test.RunningAsync()).Select(static m => m.Priority).Order());
        gate.Open();
        await HandledAsync(5);
    }

    [Fact]
    public async Task What_is_not_due_waits()
    {
        await using var test = await StartAsync(static (_, _, _) => Task.CompletedTask);

        await test.Store.Atomic().Enqueue(new Job(1)).Enqueue(new Job(2), new KvEnqueueOptions { Delay = TimeSpan.FromDays(1) })
            .CommitAsync();

        Assert.Equal([1], await HandledAsync(1));
        await test.StopAsync();
        Assert.Single(await test.QueuedAsync());
    }

    /// <summary>Nothing that the tables or the handler are told tells how a message was taken.</summary>
    [Fact]
    public async Task A_message_that_never_waited_is_running_like_one_that_did()
    {
        var options = new KvEnqueueOptions
        {
            Priority = 3,
            RateKey = "rate",
            BackoffSchedule = [TimeSpan.FromSeconds(7)],
            KeysIfUndelivered = [["failed"]],
            UniqueFor = TimeSpan.FromMinutes(1),
        };
        var gates = new Gate[] { new(), new() };
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((job, context, token) => gates[job.Number].PassAsync(context, token)));
        await test.Store.EnqueueAsync(new Job(0), options with { UniqueKey = "0" });
        await test.StartAsync();
        await gates[0].Begun;

        await test.Store.EnqueueAsync(new Job(1), options with { UniqueKey = "1" });

        await gates[1].Begun;
        var held = test.Worker().Running.Select(static h => h.Message).OrderBy(static m => m.UniqueKey).ToList();
        Assert.Equal(2, held.Count);
        Assert.All(held, static m => Assert.True(m is { EnqueuedAt: > 0, UniqueUntil: > 0 }));
        Assert.Equal(Plain(held[0]), Plain(held[1]));
        var rows = (await test.RunningAsync()).OrderBy(static m => m.UniqueKey).ToList();
        Assert.All(rows, static m => Assert.True(m.DueAt > 0));
        Assert.Equal(Columns(rows[0]), Columns(rows[1]));
        foreach (var gate in gates)
        {
            gate.Open();
        }

        await test.StopAsync();
        test.AssertQueueEmpty();

        static ClaimedMessage Plain(ClaimedMessage message) =>
            message with { Fence = message.Fence with { Id = "" }, Data = [], EnqueuedAt = 0, UniqueKey = "", UniqueUntil = 0 };

        static IEnumerable<object?> Columns(Model.RunningMessage row) => typeof(Model.RunningMessage).GetProperties()
            .Where(static p => p.Name is not ("Id" or "Data" or "EnqueuedAt" or "DueAt" or "Deadline" or "UniqueKey" or "UniqueUntil"))
            .Select(p => p.GetValue(row));
    }

    private static void InterlockedMax(ref int most, int now)
    {
        for (var seen = Volatile.Read(ref most); now > seen; seen = Volatile.Read(ref most))
        {
            Interlocked.CompareExchange(ref most, now, seen);
        }
    }

    private async Task<KvTestStore> StartAsync(Func<Job, KvMessageContext, CancellationToken, Task> handle, int concurrency = 10)
    {
        var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (job, context, token) =>
            {
                await handle(job, context, token);
                await _handled.Writer.WriteAsync(job.Number, CancellationToken.None);
            }),
            options: o => o.Concurrency = concurrency);
        await test.StartAsync();
        await test.Worker().HasBegun.WaitAsync(WorkerTesting.Patience);
        return test;
    }

    /// <summary>Waits for so many messages, and gives their numbers in order.</summary>
    private async Task<List<int>> HandledAsync(int count)
    {
        using var patience = new CancellationTokenSource(WorkerTesting.Patience);
        List<int> numbers = [];
        while (numbers.Count < count)
        {
            numbers.Add(await _handled.Reader.ReadAsync(patience.Token));
        }

        return [.. numbers.Order()];
    }
}

public sealed class SqliteClaimTests(SqliteDatabase database) : ClaimSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresClaimTests(PostgresDatabase database) : ClaimSpec(database), IClassFixture<PostgresDatabase>;
