using System.Collections.Concurrent;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>A message that is cancelled while a worker has it.</summary>
public abstract class CancelSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly Gate _gate = new();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_running_message_that_is_cancelled_is_told_and_gone_when_its_handler_ends(bool here)
    {
        await using var test = await HoldingAsync();
        await using var other = await database.CreateStoreAsync(_time, connectionString: test.ConnectionString);
        await test.Store.EnqueueAsync(new Job(1), new() { KeysIfUndelivered = [["dead"]], GroupKey = "g" });
        await test.Store.EnqueueAsync(new Job(2), new() { GroupKey = "g" });
        await test.ClaimAsync();
        var id = (await _gate.Begun).Id;

        Assert.Equal(KvCancelResult.Requested, await (here ? test : other).Queue().CancelAsync(id));
        test.Worker().Heartbeat.Beat();
        await test.IdleAsync();

        Assert.True(_gate.Token.IsCancellationRequested);
        Assert.Empty(await test.RunningAsync());
        var next = Assert.Single(await test.QueuedAsync());
        Assert.Equal((0, Model.MessageState.Ready), (next.Attempt, next.State));
        Assert.NotEqual(id, next.Id);
        Assert.Null(await test.Store.GetAsync(["dead"]));
        Assert.Empty(await test.DeadLettersAsync());
        Assert.Equal(KvCancelResult.NotFound, await other.Queue().CancelAsync(id));
    }

    [Fact]
    public async Task Cancelling_in_this_process_does_not_wait_for_the_heartbeat()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)),
            options: static o => o.Lease = TimeSpan.FromHours(1),
            logs: _logs);
        await test.StartAsync();
        await test.Store.EnqueueAsync(new Job(1));
        var context = await _gate.Begun;

        await test.Queue().CancelAsync(context.Id);

        await test.IdleAsync();
        Assert.True(_gate.Token.IsCancellationRequested);
        test.AssertQueueEmpty();
        await test.StopAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_handler_that_fails_before_it_is_told_is_not_tried_again_and_leaves_no_dead_letter(bool last)
    {
        var runs = 0;
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (_, context, token) =>
            {
                runs++;
                await _gate.PassAsync(context, token);
                throw new InvalidOperationException("Not today.");
            }),
            _time,
            logs: _logs);
        await test.Store.EnqueueAsync(
            new Job(1), new() { BackoffSchedule = last ? [] : [TimeSpan.FromHours(1)], KeysIfUndelivered = [["dead"]] });
        await test.ClaimAsync();
        var id = (await _gate.Begun).Id;

        Assert.Equal(KvCancelResult.Requested, await test.Queue().CancelAsync(id));
        _gate.Open();
        await test.IdleAsync();
        await test.SettleAsync();

        Assert.Equal(1, runs);
        test.AssertQueueEmpty();
        Assert.Null(await test.Store.GetAsync(["dead"]));
        Assert.Empty(await test.DeadLettersAsync());
    }

    [Fact]
    public async Task A_handler_that_ends_well_has_done_its_work_though_it_was_cancelled()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (_, context, token) =>
            {
                await _gate.PassStubbornlyAsync(context, token);
                await context.CompleteAsync(static write => write.Set(["done"], true), CancellationToken.None);
            }),
            _time,
            logs: _logs);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await test.Queue().CancelAsync((await _gate.Begun).Id);
        test.Worker().Heartbeat.Beat();

        _gate.Open();
        await test.IdleAsync();

        Assert.True(await test.Store.GetAsync<bool>(["done"]));
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_cancelled_message_whose_worker_crashes_is_dropped_and_not_run_again()
    {
        await using var crashed = await HoldingAsync();
        await crashed.Store.EnqueueAsync(new Job(1));
        await crashed.ClaimAsync();
        await crashed.Queue().CancelAsync((await _gate.Begun).Id);
        var runs = 0;
        await using var other = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, _) => Task.FromResult(runs++)), _time, beside: crashed, logs: _logs);
        await other.SettleAsync();

        _time.Advance(TimeSpan.FromSeconds(30));
        await other.SettleAsync();

        Assert.Equal(0, runs);
        other.AssertQueueEmpty();
        Assert.Empty(await other.DeadLettersAsync());
        _gate.Open();
        await crashed.IdleAsync();
    }

    [Fact]
    public async Task Whichever_wins_a_race_of_cancelling_and_handling_nothing_is_lost_or_left()
    {
        const int Count = 300;
        var handled = new ConcurrentDictionary<string, int>();
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (_, context, token) =>
            {
                handled.AddOrUpdate(context.Id, 1, static (_, times) => times + 1);
                await context.CompleteAsync(write => write.Set(["done", context.Id], true), token);
            }),
            options: static o => o.PollInterval = TimeSpan.FromMilliseconds(20),
            logs: _logs);
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        List<string> ids = [];
        for (var i = 0; i < Count; i++)
        {
            var result = await test.Store.Atomic().Enqueue(new Job(i), new() { GroupKey = i % 3 == 0 ? $"g{i % 5}" : null }).CommitAsync();
            ids.AddRange(result.MessageIds);
        }

        await test.StartAsync();
        var cancelled = new ConcurrentDictionary<string, KvCancelResult>();
        await Parallel.ForEachAsync(ids.Index(), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (message, token) =>
            cancelled[message.Item] = await (message.Index % 2 == 0 ? test : other).Queue().CancelAsync(message.Item, token));
        var started = TimeProvider.System.GetTimestamp();
        while ((await test.Queue().GetStatsAsync()).Count > 0)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < WorkerTesting.Patience, "Something is left.");
            await Task.Yield();
        }

        await test.StopAsync();
        foreach (var id in ids)
        {
            var done = await test.Store.GetAsync(["done", id]) is not null;
            Assert.True(handled.GetValueOrDefault(id) <= 1);
            Assert.False(cancelled[id] == KvCancelResult.Removed && handled.ContainsKey(id), "It was taken out of the queue, and handled.");
            Assert.True(done || cancelled[id] != KvCancelResult.NotFound, "It is neither done nor cancelled.");
        }

        test.AssertQueueEmpty();
        Assert.Empty(await test.DeadLettersAsync());
    }

    private Task<KvTestStore> HoldingAsync() =>
        database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)), _time, logs: _logs);
}

public sealed class SqliteCancelTests(SqliteDatabase database) : CancelSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresCancelTests(PostgresDatabase database) : CancelSpec(database), IClassFixture<PostgresDatabase>;
