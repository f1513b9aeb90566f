using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>How much a worker takes of a backlog, and when it has room again.</summary>
public abstract class CapacitySpec(KvDatabase database)
{
    [Fact]
    public async Task A_worker_that_has_handled_a_message_claims_the_next_before_the_end_of_the_first_is_written()
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
        test.AssertQueueEmpty();
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
        test.AssertQueueEmpty();
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
            worker => worker.Handle<Job>((job, context, token) => gates[job.Number].PassAsync(context, token)),
            options: o => o.Concurrency = concurrency);
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
        test.AssertQueueEmpty();
    }

    /// <summary>The server may have no connection left for it.</summary>
    [Fact]
    public async Task A_worker_that_cannot_claim_beside_its_other_writes_claims_along_with_them()
    {
        Gate[] gates = [.. Enumerable.Range(0, 40).Select(static _ => new Gate())];
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((job, context, token) => gates[job.Number].PassAsync(context, token)),
            options: static o => o.Concurrency = 20);
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
        test.AssertQueueEmpty();
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

    /// <summary>
    /// Waits until the handlers of all that is held have ended and left their places, whether or not their ends are written.
    /// </summary>
    private static async Task HandledAsync(KvTestStore test)
    {
        while (test.Worker().CapacityTaken > 0)
        {
            await Task.Yield();
        }
    }

    /// <summary>Has the next commit wait until it is let go, and those that come beside it too.</summary>
    private static (Task Busy, Action Go) Block(KvTestStore test)
    {
        var busy = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        test.FailPoints().OnHit = _ =>
        {
            busy.TrySetResult();
            return new ValueTask(go.Task);
        };
        return (busy.Task.WaitAsync(WorkerTesting.Patience), go.SetResult);
    }
}

public sealed class SqliteCapacityTests(SqliteDatabase database) : CapacitySpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresCapacityTests(PostgresDatabase database) : CapacitySpec(database), IClassFixture<PostgresDatabase>;
