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
        await test.AssertEmptyAsync();
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
        await test.AssertEmptyAsync();
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
        await test.AssertEmptyAsync();
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
        await test.AssertEmptyAsync();
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
        await test.ExecuteAsync("insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding) values (1, 'old', {0}, '[]', '[]', 'job', 'job', 4)", "{\"Number\":1}"u8.ToArray());
        await test.Store.EnqueueAsync(new Job(2));

        Assert.Equal(1, await _handled.Reader.ReadAsync().AsTask().WaitAsync(WorkerTesting.Patience));
        Assert.Equal(2, await _handled.Reader.ReadAsync().AsTask().WaitAsync(WorkerTesting.Patience));
        await test.StopAsync();
        await test.AssertEmptyAsync();
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

        await test.Store.Atomic().Enqueue(new Job(1)).Enqueue(new Job(2), new KvEnqueueOptions { Delay = TimeSpan.FromDays(1) }).CommitAsync();

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
        await using var test = await database.CreateWorkerAsync(worker => worker.Handle<Job>((job, context, token) => gates[job.Number].PassAsync(context, token)));
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
        await test.AssertEmptyAsync();

        static ClaimedMessage Plain(ClaimedMessage message) =>
            message with { Fence = message.Fence with { Id = "" }, Data = [], EnqueuedAt = 0, UniqueKey = "", UniqueUntil = 0 };

        static IEnumerable<object?> Columns(Model.RunningMessage row) =>
            typeof(Model.RunningMessage).GetProperties().Where(static p => p.Name is not ("Id" or "Data" or "EnqueuedAt" or "DueAt" or "Deadline" or "UniqueKey" or "UniqueUntil")).Select(p => p.GetValue(row));
    }

    [Fact]
    public async Task A_claim_takes_what_there_is_room_for_when_its_commit_begins()
    {
        await using var test = await database.CreateWorkerAsync(static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask));
        var queue = test.Engine().Queue;
        await EnqueueAsync(test, 5);
        var (busy, go) = Block(test);
        var before = test.Store.SetAsync(["before"], true).AsTask();
        await busy;
        var room = 1;
        var claim = queue.ClaimAsync(
            new ClaimWork([], 0, "me") { Room = () => ([new TopicClaim("job", room, TimeSpan.FromMinutes(1))], room) }, CancellationToken.None);

        room = 3;
        go();

        Assert.Equal(3, (await claim).Count);
        await before;
    }

    [Fact]
    public async Task Who_has_handled_a_message_claims_the_next_before_the_end_of_the_first_is_written()
    {
        var gate = new Gate();
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => gate.PassAsync(context, token)), options: static o => o.Concurrency = 1);
        await EnqueueAsync(test, 2);
        await test.ClaimAsync();
        await gate.Begun;
        var (busy, go) = Block(test);
        var before = test.Store.SetAsync(["before"], true).AsTask();
        await busy;

        gate.Open();
        await HandledAsync(test);

        var round = test.Worker().RunRoundAsync(CancellationToken.None);
        go();

        Assert.Equal(TimeSpan.Zero, await round.WaitAsync(WorkerTesting.Patience));
        await Task.WhenAll(before, test.IdleAsync());
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task While_ends_cannot_be_written_no_more_wait_for_that_than_are_handled_at_once()
    {
        const int Messages = 20;
        var runs = 0;
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, _) =>
            {
                Interlocked.Increment(ref runs);
                throw new InvalidOperationException("Failed.");
            }),
            options: static o => o.Concurrency = 2);
        await EnqueueAsync(test, Messages);

        // A first dead letter is taken, and no other one.
        await test.ExecuteAsync("create unique index only_one on kv (v_encoding)");
        for (var i = 0; i < Messages; i++)
        {
            await test.ClaimAsync();
            await HandledAsync(test);
        }

        Assert.InRange(runs, 4, 5);
        await test.ExecuteAsync("drop index only_one");
        await test.IdleAsync();
        await test.SettleAsync();
        Assert.Equal(Messages, runs);
        Assert.Equal(Messages, (await test.DeadLettersAsync()).Count);
        await test.AssertEmptyAsync();
    }

    /// <summary>SQLite lets one write at a time, so there a claim waits for its turn like all others.</summary>
    [Fact]
    public async Task A_backlog_is_claimed_beside_other_writes_where_the_database_does_both()
    {
        await using var test = await database.CreateWorkerAsync(static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask));
        var queue = test.Engine().Queue;
        await EnqueueAsync(test, 5);
        var (busy, go) = Block(test, onlyFirst: true);
        var before = test.Store.SetAsync(["before"], true).AsTask();
        await busy;

        var claim = queue.ClaimAsync(
            new ClaimWork([new TopicClaim("job", 3, TimeSpan.FromMinutes(1))], 3, "me") { IsOfBacklog = true }, CancellationToken.None).AsTask();
        if (queue.ClaimsApart)
        {
            await claim.WaitAsync(WorkerTesting.Patience);
        }

        Assert.Equal(queue.ClaimsApart, claim.IsCompleted);
        Assert.False(before.IsCompleted);
        go();

        Assert.Equal(3, (await claim).Count);
        await before;
    }

    /// <summary>A few at a time are claimed along with the ends of those before.</summary>
    [Theory]
    [InlineData(15, 15)]
    [InlineData(16, 8)]
    [InlineData(21, 11)]
    public async Task One_half_of_a_backlog_is_handled_while_the_other_is_claimed_where_the_database_does_both(int concurrency, int half)
    {
        Gate[] gates = [.. Enumerable.Range(0, (2 * concurrency) + 5).Select(static _ => new Gate())];
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((job, context, token) => gates[job.Number].PassAsync(context, token)), options: o => o.Concurrency = concurrency);
        await EnqueueAsync(test, gates.Length);

        // Whether there is a backlog is not known before.
        await test.ClaimAsync();
        Assert.Equal(concurrency, test.Worker().Running.Count);
        foreach (var gate in gates.Take(concurrency))
        {
            gate.Open();
        }

        await test.IdleAsync();
        await test.ClaimAsync();
        Assert.Equal(test.Engine().Queue.ClaimsApart ? half : concurrency, test.Worker().Running.Count);
        await test.ClaimAsync();
        Assert.Equal(concurrency, test.Worker().Running.Count);

        foreach (var gate in gates)
        {
            gate.Open();
        }

        await test.IdleAsync();
        await test.ClaimAsync();
        await test.IdleAsync();
        await test.AssertEmptyAsync();
    }

    /// <summary>The server may have no connection left for it.</summary>
    [Fact]
    public async Task A_worker_that_cannot_claim_beside_its_other_writes_claims_along_with_them()
    {
        Gate[] gates = [.. Enumerable.Range(0, 40).Select(static _ => new Gate())];
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((job, context, token) => gates[job.Number].PassAsync(context, token)), options: static o => o.Concurrency = 20);
        await EnqueueAsync(test, gates.Length);
        await test.ClaimAsync();
        foreach (var gate in gates.Take(20))
        {
            gate.Open();
        }

        await test.IdleAsync();
        test.FailPoints().OnHit = static _ => throw new InvalidOperationException("There is no connection.");
        await Assert.ThrowsAsync<InvalidOperationException>(test.ClaimAsync);
        test.FailPoints().OnHit = null;

        await test.ClaimAsync();
        Assert.Equal(20, test.Worker().Running.Count);
        foreach (var gate in gates)
        {
            gate.Open();
        }

        await test.IdleAsync();
        await test.AssertEmptyAsync();
    }

    private static async Task EnqueueAsync(KvTestStore test, int messages)
    {
        var write = test.Store.Atomic();
        for (var i = 0; i < messages; i++)
        {
            write.Enqueue(new Job(i), WorkerTesting.Once);
        }

        await write.CommitAsync();
    }

    /// <summary>Waits until the handlers of all that is held have ended and left their places, whether or not their ends are written.</summary>
    private static async Task HandledAsync(KvTestStore test)
    {
        while (test.Worker().CapacityTaken > 0)
        {
            await Task.Yield();
        }
    }

    /// <summary>Has the next commit wait until it is let go, and those that come beside it too, unless it is only the first.</summary>
    private static (Task Busy, Action Go) Block(KvTestStore test, bool onlyFirst = false)
    {
        var hits = 0;
        var busy = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        test.FailPoints().OnHit = _ =>
        {
            busy.TrySetResult();
            return onlyFirst && Interlocked.Increment(ref hits) > 1 ? ValueTask.CompletedTask : new ValueTask(go.Task);
        };
        return (busy.Task.WaitAsync(WorkerTesting.Patience), go.SetResult);
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
