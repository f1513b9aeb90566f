using System.Collections.Concurrent;
using Kv.Model;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Messages with a group key run one at a time, in the order of their commits, over any number of workers.</summary>
public abstract class GroupSpec(KvDatabase database)
{
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
            var expected = Enumerable.Range(0, 20).SelectMany(
                commit => Enumerable.Range(0, (commit + group) % 3).Select(i => (10 * commit) + i));
            Assert.Equal(expected, crew.Begun($"g{group}"));
        }

        crew.First.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_message_that_comes_while_the_only_one_of_its_group_runs_waits_for_it()
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
        test.AssertQueueEmpty();
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
        test.AssertQueueEmpty();
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
        test.AssertQueueEmpty();
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
        crew.First.AssertQueueEmpty();
    }

    /// <summary>Three messages a commit, over a few groups.</summary>
    private protected static async Task WriteAsync(
        Crew crew, int writer, int count, ConcurrentBag<(KvVersionstamp At, string Group, int Number)> commits)
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

    private Task<KvTestStore> WorkingAsync(
        Func<Job, KvMessageContext, Task>? handle = null) => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((job, context, _) =>
        {
            lock (_seen)
            {
                _seen.Add(job.Number);
            }

            return handle?.Invoke(job, context) ?? Task.CompletedTask;
        }),
        _time,
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
        crew.First.AssertQueueEmpty();
    }
}
