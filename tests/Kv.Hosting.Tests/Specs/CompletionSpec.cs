using Kv.Diagnostics;
using Kv.Messages;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

public abstract class CompletionSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();

    [Fact]
    public async Task A_handler_commits_its_writes_its_messages_and_its_acknowledgement_together()
    {
        KvVersionstamp? versionstamp = null;
        await using var test = await HandlingAsync(async context =>
        {
            var result = await context.CompleteAsync(
                write => write.Set(["done"], true).Sum(["count"], 1).Merge(["log"], KvMerge.Append, "done")
                    .Enqueue("next", new() { Topic = "next" }));
            versionstamp = result.Versionstamp;
        });
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Equal(versionstamp, (await test.Store.GetAsync(["done"]))!.Versionstamp);
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["count"]));
        Assert.Equal(["done"], await test.Store.GetAsync<List<string>>(["log"]));
        Assert.Equal("next", Assert.Single(await test.QueuedAsync()).Topic);
        Assert.Empty(await test.RunningAsync());
    }

    [Fact]
    public async Task A_write_that_shares_its_commit_with_the_recovery_of_its_own_message_has_its_effect_once()
    {
        var gate = new Gate();
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => gate.PassAsync(context, token)), _time);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await gate.Begun;
        _time.Advance(TimeSpan.FromSeconds(31));
        var (begun, released) = (new TaskCompletionSource(), new TaskCompletionSource());
        test.FailPoints().OnHit = point =>
        {
            begun.TrySetResult();
            return point == FailPoints.BeforeCommit ? new ValueTask(released.Task) : ValueTask.CompletedTask;
        };

        // While one commit is held up, the next ones wait for each other and become one.
        var before = test.Store.SetAsync(["before"], 1).AsTask();
        await begun.Task.WaitAsync(WorkerTesting.Patience);
        var completing = test.Worker().Running.Single().Handling.CompleteAsync(
            static write => write.Sum(["count"], 1), CancellationToken.None).AsTask();
        var claiming = test.Engine().Queue.ClaimAsync(
            new ClaimWork([new TopicClaim("job", 10, TimeSpan.FromSeconds(30))], 10, "another") { Recover = true },
            CancellationToken.None).AsTask();
        released.SetResult();
        await before;

        // The claim comes last: it finds the message gone.
        Assert.True((await completing.WaitAsync(WorkerTesting.Patience)).Succeeded);
        Assert.Empty(await claiming.WaitAsync(WorkerTesting.Patience));
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["count"]));
        test.AssertQueueEmpty();
        gate.Open();
        await test.IdleAsync();
    }

    [Fact]
    public async Task When_checks_refuse_the_write_the_message_is_not_completed()
    {
        List<KvCommitResult> results = [];
        await using var test = await HandlingAsync(async context =>
        {
            results.Add(await context.CompleteAsync(write => write.Check(["taken"], null).Set(["a"], 1)));
            results.Add(await context.CompleteAsync(write => write.Set(["b"], 1)));
        });
        await test.Store.SetAsync(["taken"], 1);
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Equal([false, true], results.Select(r => r.Succeeded));
        Assert.Null(await test.Store.GetAsync(["a"]));
        Assert.NotNull(await test.Store.GetAsync(["b"]));
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_write_that_cannot_be_done_leaves_the_message_to_its_schedule()
    {
        await using var test = await HandlingAsync(
            async context => await context.CompleteAsync(write => write.Set(["a"], 1).Sum(["text"], 1)));
        await test.Store.SetAsync(["text"], "not a number");
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Null(await test.Store.GetAsync(["a"]));
        Assert.Equal(1, Assert.Single(await test.QueuedAsync()).Attempt);
    }

    [Fact]
    public async Task With_a_lost_lease_nothing_is_written()
    {
        KvException? error = null;
        var gate = new Gate();
        await using var test = await HandlingAsync(async context =>
        {
            await gate.PassAsync(context, CancellationToken.None);
            error = await Assert.ThrowsAsync<KvException>(
                () => context.CompleteAsync(write => write.Set(["a"], 1).Enqueue("next")).AsTask());
        });
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await gate.Begun;
        await test.ExecuteAsync("update queue_running set owner = 'another', claim = claim + 1");
        var taken = await test.RunningAsync();

        gate.Open();
        await test.IdleAsync();

        Assert.Equal(KvErrorKind.LeaseLost, error!.Kind);
        Assert.Null(await test.Store.GetAsync(["a"]));
        Assert.Empty(await test.QueuedAsync());
        Assert.Equivalent(taken, await test.RunningAsync());
        Assert.Contains(_logs.Entries, static e => e.Event == 106);
    }

    [Theory]
    [InlineData("recovered", true)]
    [InlineData("recovered", false)]
    [InlineData("given back", true)]
    [InlineData("given back", false)]
    public async Task A_message_that_is_completed_and_put_back_at_one_moment_has_its_effect_once(string back, bool completedFirst)
    {
        var lease = TimeSpan.FromSeconds(30);
        var topics = new[] { new TopicClaim("job", 1, lease) };
        await using var test = await HandlingAsync(
            static async context => await context.CompleteAsync(static write => write.Sum(["count"], 1)));
        await test.Store.EnqueueAsync(new Job(1));
        var queue = test.Engine().Queue;
        var message = Assert.Single(await queue.ClaimAsync(new ClaimWork(topics, 1, "slow"), CancellationToken.None));
        _time.Advance(lease);

        // What waits while a commit is under way shares the next one.
        var committing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        test.FailPoints().OnHit = _ =>
        {
            committing.TrySetResult();
            return new ValueTask(go.Task);
        };
        var before = test.Store.SetAsync(["before"], true).AsTask();
        await committing.Task.WaitAsync(WorkerTesting.Patience);
        List<Task> both = completedFirst ? [CompleteAsync(), PutBackAsync()] : [PutBackAsync(), CompleteAsync()];
        go.SetResult();
        await Task.WhenAll([before, .. both]).WaitAsync(WorkerTesting.Patience);
        _time.Advance(lease);
        await test.SettleAsync();

        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["count"]));
        test.AssertQueueEmpty();

        async Task CompleteAsync()
        {
            try
            {
                var write = test.Store.Atomic().Sum(["count"], 1).TakeBack();
                write.Acknowledges = message.Fence;
                await queue.CommitAsync(write, CancellationToken.None);
            }
            catch (KvException error) when (error.Kind == KvErrorKind.LeaseLost)
            {
                // The other was first, and nothing was written.
            }
        }

        async Task PutBackAsync() => _ = back == "recovered"
            ? (await queue.ClaimAsync(new ClaimWork(topics, 1, "other") { Recover = true }, CancellationToken.None)).Count > 0
            : await queue.RequeueAsync(
                new RequeueWork(message.Fence, TimeSpan.Zero, message.Backoff, message.Attempt), CancellationToken.None);
    }

    [Fact]
    public async Task Completing_twice_is_an_error_and_changes_nothing()
    {
        InvalidOperationException? error = null;
        await using var test = await HandlingAsync(async context =>
        {
            await context.CompleteAsync(write => write.Sum(["count"], 1));
            error = await Assert.ThrowsAsync<InvalidOperationException>(
                () => context.CompleteAsync(write => write.Sum(["count"], 1)).AsTask());
        });
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Contains("one CompleteAsync", error!.Message, StringComparison.Ordinal);
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["count"]));
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_handler_that_throws_after_completing_is_not_run_again()
    {
        await using var test = await HandlingAsync(async context =>
        {
            await context.CompleteAsync(write => write.Sum(["count"], 1));
            throw new InvalidOperationException("Too late.");
        });
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["count"]));
        Assert.Contains(_logs.Entries, static e => e.Event == 108);
        test.AssertQueueEmpty();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_outcome_that_nobody_knows_is_not_a_failed_attempt(bool committed)
    {
        var runs = 0;
        KvException? error = null;
        Func<Task> block = () => Task.CompletedTask, release = () => Task.CompletedTask;
        await using var test = await HandlingAsync(
            async context =>
            {
                if (runs++ == 0)
                {
                    await block();
                    error = await Assert.ThrowsAnyAsync<KvException>(
                        () => context.CompleteAsync(static write => write.Sum(["count"], 1)).AsTask());
                    await release();
                    throw error;
                }

                await context.CompleteAsync(static write => write.Sum(["count"], 1));
            },
            static options => options.CommandTimeout = TimeSpan.FromSeconds(1));
        await using var rival = test.CreateContext();
        block = () => CutAfterCommitAsync(test, rival, committed);
        release = async () => await rival.Database.CommitTransactionAsync();
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Equal(KvErrorKind.CommitUnknown, error!.Kind);
        Assert.Equal(committed ? 1 : 2, runs);
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["count"]));
        Assert.DoesNotContain(_logs.Entries, static e => e.Event is 104 or 105 or 106);
        test.AssertQueueEmpty();
    }

    /// <summary>
    /// The line is cut when the next commit has happened, and a session that asks what became of it meets a lock. The lock's holder may
    /// undo what the commit did: then it is as if the line had been cut before.
    /// </summary>
    private static async Task CutAfterCommitAsync(KvTestStore test, DbContext rival, bool committed)
    {
        await test.ExecuteAsync("create table saved as select * from queue_running");
        test.FailPoints().OnHit = async point =>
        {
            if (point == FailPoints.AfterCommit)
            {
                test.FailPoints().OnHit = null;
                await rival.Database.BeginTransactionAsync();
                await rival.Database.ExecuteSqlRawAsync("update data_version set version = version");
                if (!committed)
                {
                    await rival.Database.ExecuteSqlRawAsync("insert into queue_running select * from saved; delete from kv");
                }

                throw new IOException("The line is cut.");
            }
        };
    }

    private Task<KvTestStore> HandlingAsync(Func<KvMessageContext, Task> handle, Action<KvStoreOptions>? storeOptions = null) =>
        database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, _) => handle(context)), _time, logs: _logs, storeOptions: storeOptions);
}

public sealed class SqliteCompletionTests(SqliteDatabase database) : CompletionSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresCompletionTests(PostgresDatabase database) : CompletionSpec(database), IClassFixture<PostgresDatabase>;
