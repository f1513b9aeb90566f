using System.Collections.Concurrent;
using Kv.Messages;
using Kv.Model;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Messages with a group key run one at a time, in the order of their commits.</summary>
public abstract class GroupSpec(KvDatabase database)
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly List<int> _seen = [];

    [Fact]
    public async Task A_group_runs_one_at_a_time_in_the_order_of_commits_over_several_workers()
    {
        await using var crew = await Crew.CreateAsync(database, workers: 3, together: 1, _time);
        for (var commit = 0; commit < 20; commit++)
        {
            var write = crew.First.Store.Atomic();
            for (var group = 0; group < 5; group++)
            {
                // Some commits have two of a group, some none.
                for (var i = 0; i < (commit + group) % 3; i++)
                {
                    write.Enqueue(new Step($"g{group}", (10 * commit) + i), In($"g{group}"));
                }
            }

            await write.CommitAsync();
        }

        await crew.RunAsync((await crew.First.QueuedAsync()).Count);

        Assert.Empty(crew.Crowded);
        for (var group = 0; group < 5; group++)
        {
            var expected = Enumerable.Range(0, 20).SelectMany(commit => Enumerable.Range(0, (commit + group) % 3).Select(i => (10 * commit) + i));
            Assert.Equal(expected, crew.Begun($"g{group}"));
        }

        await crew.First.AssertEmptyAsync();
    }

    [Fact]
    public async Task Only_the_first_of_a_group_waits_for_a_worker()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a")).Enqueue(new Job(3), In("b")).CommitAsync();
        await test.Store.EnqueueAsync(new Job(4), In("b"));

        Assert.Equal(
            [MessageState.Ready, MessageState.Blocked, MessageState.Ready, MessageState.Blocked],
            (await test.QueuedAsync()).Select(static m => m.State));
        Assert.Equal(2, (await ClaimAsync(test, "one")).Count);
        Assert.Empty(await ClaimAsync(test, "two"));
    }

    [Fact]
    public async Task Who_comes_while_the_only_one_of_its_group_runs_waits_for_it()
    {
        var gate = new Gate();
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (job, context, token) =>
            {
                _seen.Add(job.Number);
                await (job.Number == 1 ? gate.PassAsync(context, token) : Task.CompletedTask);
            }),
            _time);
        await test.Store.EnqueueAsync(new Job(1), In("a"));
        await test.ClaimAsync();
        await gate.Begun;

        await test.Store.EnqueueAsync(new Job(2), In("a"));
        await test.ClaimAsync();
        Assert.Equal(MessageState.Blocked, Assert.Single(await test.QueuedAsync()).State);
        gate.Open();
        await test.IdleAsync();
        await test.SettleAsync();

        Assert.Equal([1, 2], _seen);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_head_that_fails_keeps_the_others_waiting_until_it_is_through()
    {
        await using var test = await WorkingAsync((job, context) => job.Number == 1 && context.Attempt < 3 ? throw new InvalidOperationException("Not yet.") : Task.CompletedTask);
        KvEnqueueOptions options = In("a") with { BackoffSchedule = [TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1)] };
        await test.Store.Atomic().Enqueue(new Job(1), options).Enqueue(new Job(2), options).CommitAsync();

        await test.SettleAsync();
        await test.Store.EnqueueAsync(new Job(3), options);
        await test.SettleAsync();
        Assert.Equal([1], _seen);
        _time.Advance(TimeSpan.FromSeconds(1));
        await test.SettleAsync();
        Assert.Equal([1, 1], _seen);
        _time.Advance(TimeSpan.FromSeconds(1));
        await test.SettleAsync();

        Assert.Equal([1, 1, 1, 2, 3], _seen);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_head_that_is_dead_lets_the_next_go()
    {
        await using var test = await WorkingAsync(static (job, context) =>
        {
            if (job.Number == 2)
            {
                context.DeadLetter("Enough.");
            }

            return job.Number == 1 ? throw new InvalidOperationException("Never.") : Task.CompletedTask;
        });
        await test.Store.Atomic().Enqueue(new Job(1), InOnce("a")).Enqueue("no handler", InOnce("a") with { Topic = "job" })
            .Enqueue(new Job(2), InOnce("a")).Enqueue(new Job(3), InOnce("a")).CommitAsync();

        await test.SettleAsync();

        Assert.Equal([1, 2, 3], _seen);
        Assert.Equal(3, (await test.DeadLettersAsync()).Count);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_dead_letter_that_is_replayed_goes_to_the_end_of_its_group()
    {
        var broken = true;
        await using var test = await WorkingAsync((job, _) => broken && job.Number == 1 ? throw new InvalidOperationException("Broken.") : Task.CompletedTask);
        await test.Store.EnqueueAsync(new Job(1), InOnce("a"));
        await test.SettleAsync();
        broken = false;
        await test.Store.Atomic().Enqueue(new Job(2), In("a")).Enqueue(new Job(3), In("a")).CommitAsync();

        Assert.Equal(1, await test.Queue().ReplayAllAsync());
        await test.SettleAsync();

        Assert.Equal([1, 2, 3, 1], _seen);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_head_that_is_snoozed_keeps_its_place()
    {
        var snoozed = false;
        await using var test = await WorkingAsync((job, context) =>
        {
            if (job.Number == 1 && !snoozed)
            {
                snoozed = true;
                context.Snooze(TimeSpan.FromMinutes(1));
            }

            return Task.CompletedTask;
        });
        await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a")).CommitAsync();

        await test.SettleAsync();
        Assert.Equal([1], _seen);
        _time.Advance(TimeSpan.FromMinutes(1));
        await test.SettleAsync();

        Assert.Equal([1, 1, 2], _seen);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_head_whose_worker_crashed_comes_before_the_others()
    {
        await using var test = await WorkingAsync();
        await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a")).CommitAsync();
        Assert.Single(await ClaimAsync(test, "doomed"));

        await test.SettleAsync();
        Assert.Empty(_seen);
        _time.Advance(Lease);
        await test.SettleAsync();

        Assert.Equal([1, 2], _seen);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_head_that_a_stopping_worker_gives_back_comes_before_the_others()
    {
        var gate = new Gate();
        await using var stopping = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => gate.PassAsync(context, token)), _time, static options => options.ShutdownTimeout = TimeSpan.Zero);
        await using var test = await WorkingAsync(beside: stopping);
        await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a")).CommitAsync();
        await stopping.StartAsync();
        await gate.Begun;

        await stopping.StopAsync().WaitAsync(WorkerTesting.Patience);
        await test.SettleAsync();

        Assert.Equal([1, 2], _seen);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_head_that_is_cancelled_lets_the_next_go()
    {
        var gate = new Gate();
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (job, context, token) =>
            {
                _seen.Add(job.Number);
                await (job.Number == 2 ? gate.PassAsync(context, token) : Task.CompletedTask);
            }),
            _time);
        var ids = (await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a")).Enqueue(new Job(3), In("a"))
            .Enqueue(new Job(4), In("a")).CommitAsync()).MessageIds;

        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(ids[2]));
        Assert.Equal(MessageState.Ready, (await test.QueuedAsync())[0].State);
        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(ids[0]));
        await test.ClaimAsync();
        await gate.Begun;
        Assert.Equal(KvCancelResult.Requested, await test.Queue().CancelAsync(ids[1]));
        test.Worker().Heartbeat.Beat();
        await test.IdleAsync();
        await test.SettleAsync();

        Assert.Equal([2, 4], _seen);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_head_that_waits_for_its_time_keeps_the_others_waiting()
    {
        await using var test = await WorkingAsync();
        await test.Store.EnqueueAsync(new Job(1), In("a") with { Delay = TimeSpan.FromHours(1) });
        await test.Store.EnqueueAsync(new Job(2), In("a"));
        await test.Store.EnqueueAsync(new Job(3), In("b"));

        await test.SettleAsync();
        Assert.Equal([3], _seen);
        _time.Advance(TimeSpan.FromHours(1));
        await test.SettleAsync();

        Assert.Equal([3, 1, 2], _seen);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task The_same_key_in_another_topic_is_another_group()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a") with { Topic = "other" }).Enqueue(new Job(3), In("A")).CommitAsync();

        Assert.All(await test.QueuedAsync(), static m => Assert.Equal(MessageState.Ready, m.State));
    }

    [Fact]
    public async Task A_handler_completes_and_enqueues_in_its_own_group()
    {
        await using var test = await WorkingAsync(static async (job, context) =>
        {
            if (job.Number == 1)
            {
                await context.CompleteAsync(static atomic => atomic.Enqueue(new Job(3), In("a")));
            }
        });
        await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a")).CommitAsync();

        await test.SettleAsync();

        Assert.Equal([1, 2, 3], _seen);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_handler_that_completes_in_its_own_transaction_lets_the_next_go_when_that_is_committed()
    {
        KvTestStore? shop = null;
        await using var test = await WorkingAsync(async (job, context) =>
        {
            await using var own = shop!.CreateContext();
            await using var transaction = await own.Database.BeginTransactionAsync();
            await context.CompleteAsync(own, atomic => atomic.Set(["done", (long)job.Number], true));
            await transaction.CommitAsync();
        });
        shop = test;
        await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a")).CommitAsync();

        await test.SettleAsync();

        Assert.Equal([1, 2], _seen);
        Assert.True(await test.Store.GetAsync<bool>(["done", 2L]));
        await test.AssertEmptyAsync();
    }

    [Theory]
    [InlineData(true, 1, 2)]
    [InlineData(false, 2)]
    public async Task What_is_enqueued_in_a_transaction_of_ones_own_has_its_place_by_its_commit(bool commit, params int[] expected)
    {
        await using var test = await WorkingAsync();
        await using var other = await database.CreateStoreAsync(_time, connectionString: test.ConnectionString);
        await other.Store.GetAsync(["opened"]);
        Task<KvVersionstamp> second;
        await using (var context = test.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            await test.Store.Atomic().Enqueue(new Job(1), In("a")).CommitAsync(context);
            second = other.Store.EnqueueAsync(new Job(2), In("a")).AsTask();
            await test.SettleAsync();
            Assert.Empty(_seen);
            await (commit ? transaction.CommitAsync() : transaction.RollbackAsync());
        }

        await second.WaitAsync(WorkerTesting.Patience);
        await test.SettleAsync();

        Assert.Equal(expected, _seen);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task Writers_and_workers_together_keep_the_order_and_leave_nothing_behind()
    {
        await using var crew = await Crew.CreateAsync(database, workers: 3, together: 1, _time, logs: _logs);
        var commits = new ConcurrentBag<(KvVersionstamp At, string Group, int Number)>();

        var working = crew.RunAsync(handled: 2 * 150);
        await Task.WhenAll(Enumerable.Range(0, 2).Select(writer => Task.Run(() => WriteAsync(crew, writer, 50, commits))));
        await working;

        AssertOrder(crew, commits);
        await crew.First.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_group_whose_head_was_deleted_by_hand_goes_on_at_the_next_look_for_strays()
    {
        await using var test = await WorkingAsync();
        await test.SettleAsync();
        await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a")).Enqueue(new Job(3), In("a"))
            .Enqueue(new Job(4), In("b") with { Delay = TimeSpan.FromHours(1) }).Enqueue(new Job(5), In("b")).CommitAsync();
        await test.ExecuteAsync("delete from queue where state = 0 and group_key = 'a'");

        await test.SettleAsync();
        Assert.Empty(_seen);
        _time.Advance(new KvWorkerOptions().RecoverInterval);
        await test.SettleAsync();

        Assert.Equal([2, 3], _seen);
        Assert.Equal([4, 5], (await test.QueuedAsync()).Select(static m => System.Text.Json.JsonSerializer.Deserialize<Job>(m.Data)!.Number).Order());
        Assert.Contains("'a'", Assert.Single(_logs.Entries, static e => e.Event == 129).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_look_for_groups_that_are_blocked_for_nothing_goes_on_where_the_last_one_ended()
    {
        await using var test = await database.CreateStoreAsync(_time);
        for (var first = 0; first < 1010; first += 101)
        {
            var write = test.Store.Atomic();
            foreach (var group in Enumerable.Range(first, 101))
            {
                write.Enqueue(new Job(0), In($"g{group:0000}")).Enqueue(new Job(1), In($"g{group:0000}"));
            }

            await write.CommitAsync();
        }

        await test.ExecuteAsync("delete from queue where state = 0 and (group_key = 'g0001' or group_key = 'g1005')");
        List<string[]> freed = [];
        for (var look = 0; look < 3; look++)
        {
            var found = await test.Engine().Queue.FindStraysAsync(["job", "other"], endless: false, CancellationToken.None);
            freed.Add([.. found.Freed.Select(static g => g.Key)]);
        }

        Assert.Equal([["g0001"], ["g1005"], []], freed);
        Assert.Equal(1010, (await test.QueuedAsync()).Count(static m => m.State == MessageState.Ready));
    }

    [Fact]
    public async Task The_queue_says_which_messages_wait_for_their_group()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var ids = (await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a")).CommitAsync()).MessageIds;

        Assert.Equal(KvMessageState.Due, (await test.Queue().GetAsync(ids[0]))!.State);
        Assert.Equal(KvMessageState.Blocked, (await test.Queue().GetAsync(ids[1]))!.State);
        Assert.Equal((1, 1), (Assert.Single(await test.Queue().GetStatsAsync()) is var stats ? (stats.Due, stats.Blocked) : default));
    }

    /// <summary>Three messages a commit, over a few groups.</summary>
    private protected static async Task WriteAsync(Crew crew, int writer, int count, ConcurrentBag<(KvVersionstamp At, string Group, int Number)> commits)
    {
        for (var i = 0; i < count; i++)
        {
            var write = crew.Stores[writer].Store.Atomic();
            List<Step> steps = [];
            for (var j = 0; j < 3; j++)
            {
                var step = new Step($"g{((i * 7) + (j * 3) + writer) % 8}", (writer * 1000) + (i * 3) + j);
                steps.Add(step);
                write.Enqueue(step, In(step.Group));
            }

            var at = (await write.CommitAsync()).Versionstamp;
            steps.ForEach(step => commits.Add((at, step.Group, step.Number)));
        }
    }

    private protected static void AssertOrder(Crew crew, IEnumerable<(KvVersionstamp At, string Group, int Number)> commits)
    {
        Assert.Empty(crew.Crowded);
        foreach (var group in commits.GroupBy(static c => c.Group))
        {
            Assert.Equal(group.OrderBy(static c => c.At).ThenBy(static c => c.Number).Select(static c => c.Number), crew.Begun(group.Key));
        }
    }

    protected static KvEnqueueOptions In(string group) => new() { GroupKey = group };

    private static KvEnqueueOptions InOnce(string group) => In(group) with { BackoffSchedule = [] };

    private static async Task<IReadOnlyList<ClaimedMessage>> ClaimAsync(KvTestStore test, string owner) =>
        await test.Engine().Queue.ClaimAsync(new ClaimWork([new TopicClaim("job", 100, Lease)], 100, owner), CancellationToken.None);

    private Task<KvTestStore> WorkingAsync(Func<Job, KvMessageContext, Task>? handle = null, KvTestStore? beside = null) => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((job, context, _) =>
        {
            lock (_seen)
            {
                _seen.Add(job.Number);
            }

            return handle?.Invoke(job, context) ?? Task.CompletedTask;
        }),
        _time,
        beside: beside,
        logs: _logs);
}

public sealed class SqliteGroupTests(SqliteDatabase database) : GroupSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresGroupTests(PostgresDatabase database) : GroupSpec(database), IClassFixture<PostgresDatabase>
{
    [Fact]
    public async Task Connections_that_are_cut_neither_disturb_the_order_nor_strand_a_group()
    {
        var time = new ManualTime();
        var (name, handled) = ("", 0);
        await using var crew = await Crew.CreateAsync(
            database,
            workers: 3,
            together: 1,
            time,
            (_, _) => Interlocked.Increment(ref handled) % 15 == 0 ? database.Server.TerminateBackendsAsync(name) : Task.CompletedTask,
            new LogCollector());
        name = new Npgsql.NpgsqlConnectionStringBuilder(crew.First.ConnectionString).Database!;
        var commits = new ConcurrentBag<(KvVersionstamp At, string Group, int Number)>();

        // A claim whose answer was lost holds its messages until their leases lapse.
        var working = crew.RunAsync(handled: 2 * 150, idle: () => time.Advance(TimeSpan.FromSeconds(31)));
        await Task.WhenAll(Enumerable.Range(0, 2).Select(writer => Task.Run(() => WriteAsync(crew, writer, 50, commits))));
        await working;

        AssertOrder(crew, commits);
        await crew.First.AssertEmptyAsync();
    }
}
