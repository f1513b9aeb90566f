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
            var result = await context.CompleteAsync(write => write.Set(["done"], true).Sum(["count"], 1).Enqueue("next", new() { Topic = "next" }));
            versionstamp = result.Versionstamp;
        });
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Equal(versionstamp, (await test.Store.GetAsync(["done"]))!.Versionstamp);
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["count"]));
        Assert.Equal("next", Assert.Single(await test.QueuedAsync()).Topic);
        Assert.Empty(await test.RunningAsync());
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
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_write_that_cannot_be_done_leaves_the_message_to_its_schedule()
    {
        await using var test = await HandlingAsync(async context => await context.CompleteAsync(write => write.Set(["a"], 1).Sum(["text"], 1)));
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
            error = await Assert.ThrowsAsync<KvException>(() => context.CompleteAsync(write => write.Set(["a"], 1).Enqueue("next")).AsTask());
        });
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await gate.Begun;
        await test.ExecuteAsync("update queue_running set owner = 'another', claim = claim + 1");
        var taken = await test.RunningAsync();

        gate.Open();
        await test.IdleAsync();

        Assert.Equal(KvError.LeaseLost, error!.Kind);
        Assert.Null(await test.Store.GetAsync(["a"]));
        Assert.Empty(await test.QueuedAsync());
        Assert.Equivalent(taken, await test.RunningAsync());
        Assert.Contains(_logs.Entries, static e => e.Event == 106);
    }

    [Fact]
    public async Task Completing_twice_is_an_error_and_changes_nothing()
    {
        InvalidOperationException? error = null;
        await using var test = await HandlingAsync(async context =>
        {
            await context.CompleteAsync(write => write.Sum(["count"], 1));
            error = await Assert.ThrowsAsync<InvalidOperationException>(() => context.CompleteAsync(write => write.Sum(["count"], 1)).AsTask());
        });
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Contains("one CompleteAsync", error!.Message, StringComparison.Ordinal);
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["count"]));
        await test.AssertEmptyAsync();
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
        await test.AssertEmptyAsync();
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
                    error = await Assert.ThrowsAnyAsync<KvException>(() => context.CompleteAsync(static write => write.Sum(["count"], 1)).AsTask());
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

        Assert.Equal(KvError.CommitUnknown, error!.Kind);
        Assert.Equal(committed ? 1 : 2, runs);
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["count"]));
        Assert.DoesNotContain(_logs.Entries, static e => e.Event is 104 or 105 or 106);
        await test.AssertEmptyAsync();
    }

    /// <summary>
    /// The line is cut when the next commit has happened, and whoever asks what became of it meets a lock. The lock's holder may undo what the
    /// commit did: then it is as if the line had been cut before.
    /// </summary>
    private static async Task CutAfterCommitAsync(KvTestStore test, DbContext rival, bool committed)
    {
        await test.ExecuteAsync("create table saved as select * from queue_running");
        test.FailPoints().OnHit = async point =>
        {
            if (point == Engine.FailPoints.AfterCommit)
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
        database.CreateWorkerAsync(worker => worker.Handle<Job>((_, context, _) => handle(context)), _time, logs: _logs, storeOptions: storeOptions);
}

public sealed class SqliteCompletionTests(SqliteDatabase database) : CompletionSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresCompletionTests(PostgresDatabase database) : CompletionSpec(database), IClassFixture<PostgresDatabase>;
