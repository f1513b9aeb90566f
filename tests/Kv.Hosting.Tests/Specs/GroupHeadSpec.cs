using Kv.Messages;
using Kv.Model;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>The first message of a group has its slot, whatever becomes of it, until it is through.</summary>
public abstract class GroupHeadSpec(KvDatabase database)
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly List<int> _seen = [];

    [Fact]
    public async Task A_head_that_fails_keeps_the_others_waiting_until_it_is_through()
    {
        await using var test = await WorkingAsync(
            (job, context) => job.Number == 1 && context.Attempt < 3
                ? throw new InvalidOperationException("Not yet.")
                : Task.CompletedTask);
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
        test.AssertQueueEmpty();
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
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_dead_letter_that_is_replayed_goes_to_the_end_of_its_group()
    {
        var broken = true;
        await using var test = await WorkingAsync(
            (job, _) => broken && job.Number == 1 ? throw new InvalidOperationException("Broken.") : Task.CompletedTask);
        await test.Store.EnqueueAsync(new Job(1), InOnce("a"));
        await test.SettleAsync();
        broken = false;
        await test.Store.Atomic().Enqueue(new Job(2), In("a")).Enqueue(new Job(3), In("a")).CommitAsync();

        Assert.Equal(1, await test.Queue().ReplayAllAsync());
        await test.SettleAsync();

        Assert.Equal([1, 2, 3, 1], _seen);
        test.AssertQueueEmpty();
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
        test.AssertQueueEmpty();
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
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_head_that_a_stopping_worker_gives_back_comes_before_the_others()
    {
        var gate = new Gate();
        await using var stopping = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => gate.PassAsync(context, token)),
            _time,
            static options => options.ShutdownTimeout = TimeSpan.Zero);
        await using var test = await WorkingAsync(beside: stopping);
        await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a")).CommitAsync();
        await stopping.StartAsync();
        await gate.Begun;

        await stopping.StopAsync().WaitAsync(WorkerTesting.Patience);
        await test.SettleAsync();

        Assert.Equal([1, 2], _seen);
        test.AssertQueueEmpty();
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
        test.AssertQueueEmpty();
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
        var left = await test.QueuedAsync();
        Assert.Equal([4, 5], left.Select(static m => System.Text.Json.JsonSerializer.Deserialize<Job>(m.Data)!.Number).Order());
        Assert.Contains("'a'", Assert.Single(_logs.Entries, static e => e.Event == 129).Text, StringComparison.Ordinal);
    }

    private static KvEnqueueOptions In(string group) => new() { GroupKey = group };

    private static KvEnqueueOptions InOnce(string group) => In(group) with { BackoffSchedule = [] };

    private static async Task<IReadOnlyList<ClaimedMessage>> ClaimAsync(KvTestStore test, string owner) =>
        await test.Engine().Queue.ClaimAsync(new ClaimWork([new TopicClaim("job", 100, Lease)], 100, owner), CancellationToken.None);

    private Task<KvTestStore> WorkingAsync(
        Func<Job, KvMessageContext, Task>? handle = null, KvTestStore? beside = null) => database.CreateWorkerAsync(
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

public sealed class SqliteGroupHeadTests(SqliteDatabase database) : GroupHeadSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresGroupHeadTests(PostgresDatabase database) : GroupHeadSpec(database), IClassFixture<PostgresDatabase>;
