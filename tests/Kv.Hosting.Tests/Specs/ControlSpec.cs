using System.Collections.Concurrent;
using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class ControlSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly Gate _gate = new();

    [Fact]
    public async Task Messages_of_a_paused_topic_stay_and_what_runs_goes_on()
    {
        await using var test = await HoldingAsync();
        await using var other = await database.CreateStoreAsync(_time, connectionString: test.ConnectionString);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;

        await other.Queue().PauseAsync("job");
        await test.Store.EnqueueAsync(new Job(2));
        await test.ClaimAsync();
        Assert.Single(test.Worker().Running);
        Assert.False(_gate.Token.IsCancellationRequested);
        _gate.Open();
        await test.IdleAsync();
        await test.SettleAsync();
        Assert.Single(await test.QueuedAsync());

        await other.Queue().ResumeAsync("job");
        await test.SettleAsync();
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_pause_concerns_its_topic_alone()
    {
        await using var test = await HoldingAsync();
        await test.Queue().PauseAsync("other");
        await test.Queue().PauseAsync("");
        await test.Store.EnqueueAsync(new Job(1));
        _gate.Open();

        await test.SettleAsync();

        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_pause_with_a_duration_ends_by_itself_and_can_be_made_longer()
    {
        await using var test = await HoldingAsync();
        _gate.Open();
        await test.Queue().PauseAsync("job", TimeSpan.FromMinutes(1));
        await test.Queue().PauseAsync("job", TimeSpan.FromMinutes(2));
        await test.Store.EnqueueAsync(new Job(1));

        _time.Advance(TimeSpan.FromMinutes(2) - TimeSpan.FromMilliseconds(1));
        await test.SettleAsync();
        Assert.Single(await test.QueuedAsync());
        Assert.True(Assert.Single(await test.Queue().GetStatsAsync()).IsPaused);

        _time.Advance(TimeSpan.FromMilliseconds(1));
        await test.SettleAsync();
        await test.AssertEmptyAsync();
        Assert.Empty(await test.Queue().GetStatsAsync());
    }

    [Fact]
    public async Task Resuming_wakes_the_worker_of_this_process_at_once()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)), options: static o => o.PollInterval = TimeSpan.FromMinutes(1), logs: _logs);
        await test.Queue().PauseAsync("job");
        await test.StartAsync();
        await test.Store.EnqueueAsync(new Job(1));

        await test.Queue().ResumeAsync("job");

        await _gate.Begun;
        _gate.Open();
        await test.StopAsync();
    }

    [Fact]
    public async Task Resuming_in_another_process_is_seen_when_the_worker_next_looks()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)), options: static o => o.PollInterval = TimeSpan.FromMilliseconds(50), logs: _logs);
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await other.Queue().PauseAsync("job");
        await test.StartAsync();
        await test.Store.EnqueueAsync(new Job(1));

        await other.Queue().ResumeAsync("job");
        await other.Queue().ResumeAsync("job");

        await _gate.Begun;
        _gate.Open();
        await test.StopAsync();
    }

    [Fact]
    public async Task A_waiting_message_that_is_cancelled_is_gone_and_leaves_nothing()
    {
        await using var test = await HoldingAsync();
        await test.Store.EnqueueAsync(new Job(1), new() { KeysIfUndelivered = [["dead"]], Delay = TimeSpan.FromHours(1) });
        var id = Assert.Single(await test.QueuedAsync()).Id;

        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(id));
        Assert.Equal(KvCancelResult.NotFound, await test.Queue().CancelAsync(id));

        await test.AssertEmptyAsync();
        Assert.Null(await test.Store.GetAsync(["dead"]));
        Assert.Empty(await test.DeadLettersAsync());
    }

    [Fact]
    public async Task The_next_of_a_group_takes_the_place_of_one_that_is_cancelled()
    {
        await using var test = await HoldingAsync();
        for (var i = 1; i <= 3; i++)
        {
            await test.Store.EnqueueAsync(new Job(i), new() { GroupKey = "g" });
        }

        var ids = (await test.QueuedAsync()).OrderBy(static m => m.Version).Select(static m => m.Id).ToList();
        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(ids[0]));
        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(ids[2]));

        await test.ClaimAsync();
        Assert.Equal(ids[1], Assert.Single(test.Worker().Running).Message.Fence.Id);
        _gate.Open();
        await test.IdleAsync();
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task The_unique_key_of_a_message_that_is_cancelled_is_free()
    {
        await using var test = await HoldingAsync();
        await test.Store.EnqueueAsync(new Job(1), new() { UniqueKey = "u" });
        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(Assert.Single(await test.QueuedAsync()).Id));

        await test.Store.EnqueueAsync(new Job(2), new() { UniqueKey = "u", IfDuplicate = KvDuplicatePolicy.Refuse });

        Assert.Single(await test.QueuedAsync());
    }

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
            worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)), options: static o => o.Lease = TimeSpan.FromHours(1), logs: _logs);
        await test.StartAsync();
        await test.Store.EnqueueAsync(new Job(1));
        var context = await _gate.Begun;

        await test.Queue().CancelAsync(context.Id);

        await test.IdleAsync();
        Assert.True(_gate.Token.IsCancellationRequested);
        await test.AssertEmptyAsync();
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
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = last ? [] : [TimeSpan.FromHours(1)], KeysIfUndelivered = [["dead"]] });
        await test.ClaimAsync();
        var id = (await _gate.Begun).Id;

        Assert.Equal(KvCancelResult.Requested, await test.Queue().CancelAsync(id));
        _gate.Open();
        await test.IdleAsync();
        await test.SettleAsync();

        Assert.Equal(1, runs);
        await test.AssertEmptyAsync();
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
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_cancelled_message_whose_worker_crashes_is_dropped_and_not_run_again()
    {
        await using var crashed = await HoldingAsync();
        await crashed.Store.EnqueueAsync(new Job(1));
        await crashed.ClaimAsync();
        await crashed.Queue().CancelAsync((await _gate.Begun).Id);
        var runs = 0;
        await using var other = await database.CreateWorkerAsync(worker => worker.Handle<Job>((_, _, _) => Task.FromResult(runs++)), _time, beside: crashed, logs: _logs);
        await other.SettleAsync();

        _time.Advance(TimeSpan.FromSeconds(30));
        await other.SettleAsync();

        Assert.Equal(0, runs);
        await other.AssertEmptyAsync();
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

        await test.AssertEmptyAsync();
        Assert.Empty(await test.DeadLettersAsync());
    }

    [Fact]
    public async Task A_message_can_be_looked_at_wherever_it_is()
    {
        await using var test = await HoldingAsync();
        var result = await test.Store.Atomic().Enqueue(new Job(1), new() { Priority = 3, GroupKey = "g", UniqueKey = "u" })
            .Enqueue(new Job(2), new() { GroupKey = "g" }).Enqueue(new Job(3), new() { Delay = TimeSpan.FromMinutes(1) }).CommitAsync();
        var ids = result.MessageIds;

        var due = (await test.Queue().GetAsync(ids[0]))!;
        Assert.Equal((KvMessageState.Due, "job", "job", 3, "g", "u", _time.GetUtcNow()), (due.State, due.Topic, due.Type, due.Priority, due.GroupKey, due.UniqueKey, due.EnqueuedAt));
        Assert.Equal("""{"Number":1}""", System.Text.Encoding.UTF8.GetString(due.Payload.Bytes.Span));
        Assert.Equal(KvMessageState.Blocked, (await test.Queue().GetAsync(ids[1]))!.State);
        var delayed = (await test.Queue().GetAsync(ids[2]))!;
        Assert.Equal((KvMessageState.Delayed, _time.GetUtcNow() + TimeSpan.FromMinutes(1)), (delayed.State, delayed.DueAt));

        await test.ClaimAsync();
        await _gate.Begun;
        var running = (await test.Queue().GetAsync(ids[0]))!;
        Assert.Equal((KvMessageState.Running, 32, _time.GetUtcNow() + TimeSpan.FromSeconds(28.5)), (running.State, running.Owner!.Length, running.LeaseEndsAt));
        _gate.Open();
        await test.IdleAsync();
        Assert.Null(await test.Queue().GetAsync(ids[0]));
        Assert.Null(await test.Queue().GetAsync("nobody"));
    }

    [Fact]
    public async Task Peeking_shows_what_comes_next_and_takes_nothing()
    {
        await using var test = await HoldingAsync();
        for (var i = 0; i < 5; i++)
        {
            await test.Store.EnqueueAsync(new Job(i), new() { Priority = i == 4 ? -1 : 0 });
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        var next = await test.Queue().PeekAsync("job", 3);

        Assert.Equal([4, 0, 1], next.Select(static m => System.Text.Json.JsonSerializer.Deserialize<Job>(m.Payload.Bytes.Span)!.Number));
        Assert.Equal(5, (await test.Queue().PeekAsync("job")).Count);
        Assert.Empty(await test.Queue().PeekAsync("other"));
        Assert.Equal(5, (await test.QueuedAsync()).Count);
    }

    [Fact]
    public async Task What_runs_is_listed_with_the_first_lease_to_end_in_front()
    {
        await using var test = await HoldingAsync();
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        _time.Advance(TimeSpan.FromSeconds(1));
        await test.Store.EnqueueAsync(new Job(2));
        await test.ClaimAsync();

        var running = await test.Queue().ListRunningAsync();

        Assert.Equal(2, running.Count);
        Assert.Equal(TimeSpan.FromSeconds(1), running[1].LeaseEndsAt - running[0].LeaseEndsAt);
        Assert.Equal(running[0].Id, Assert.Single(await test.Queue().ListRunningAsync(1)).Id);
        _gate.Open();
        await test.IdleAsync();
        Assert.Empty(await test.Queue().ListRunningAsync());
    }

    [Fact]
    public async Task Each_topic_is_counted_by_state_with_the_age_of_its_oldest()
    {
        await using var test = await HoldingAsync();
        await test.Store.EnqueueAsync(new Job(0));
        await test.ClaimAsync();
        await _gate.Begun;
        for (var i = 0; i < 3; i++)
        {
            await test.Store.EnqueueAsync(new Job(i), new() { GroupKey = "g" });
            _time.Advance(TimeSpan.FromSeconds(10));
        }

        await test.Store.Atomic().Enqueue(new Job(5)).Enqueue(new Job(6), new() { Delay = TimeSpan.FromHours(1) })
            .Enqueue(new Job(7), new() { ConcurrencyKey = "c", Delay = TimeSpan.FromHours(1) }).Enqueue("x", new() { Topic = "late", Delay = TimeSpan.FromHours(1) }).CommitAsync();
        await test.Queue().PauseAsync("empty");
        await test.Queue().PauseAsync("job");

        Assert.Equal(
            [
                new KvTopicStats("empty", 0, 0, 0, 0, null, true),
                new KvTopicStats("job", 2, 2, 2, 1, TimeSpan.FromSeconds(30), true),
                new KvTopicStats("late", 0, 1, 0, 0, null, false),
            ],
            await test.Queue().GetStatsAsync());
        _gate.Open();
        await test.IdleAsync();
    }

    [Fact]
    public async Task What_cannot_be_asked_for_is_refused_and_nothing_is_written()
    {
        await using var test = await HoldingAsync();
        await test.Store.EnqueueAsync(new Job(1));
        var before = await test.QueuedAsync();
        var queue = test.Queue();
        foreach (var topic in new[] { "a\nb", "a\0", new string('t', 201), "\ud800", "x\udc00y" })
        {
            await RefusedAsync(() => queue.PauseAsync(topic).AsTask());
            await RefusedAsync(() => queue.ResumeAsync(topic).AsTask());
            await RefusedAsync(() => queue.PeekAsync(topic).AsTask());
            await RefusedAsync(() => test.Store.EnqueueAsync(new Job(2), new() { Topic = topic }).AsTask());
        }

        foreach (var id in new[] { "", "a\0", "\ud800" })
        {
            await RefusedAsync(() => queue.CancelAsync(id).AsTask());
            await RefusedAsync(() => queue.GetAsync(id).AsTask());
        }

        await RefusedAsync(() => queue.PauseAsync(null!).AsTask());
        await RefusedAsync(() => queue.CancelAsync(null!).AsTask());
        await RefusedAsync(() => queue.GetAsync(null!).AsTask());
        await RefusedAsync(() => queue.PeekAsync(null!).AsTask());
        await RefusedAsync(() => queue.PauseAsync("job", TimeSpan.Zero).AsTask());
        await RefusedAsync(() => queue.PauseAsync("job", TimeSpan.FromDays(-1)).AsTask());
        await RefusedAsync(() => queue.PauseAsync("job", TimeSpan.MaxValue).AsTask());
        await RefusedAsync(() => queue.PeekAsync("job", 0).AsTask());
        await RefusedAsync(() => queue.PeekAsync("job", 1001).AsTask());
        await RefusedAsync(() => queue.ListRunningAsync(-1).AsTask());
        await RefusedAsync(() => queue.ListRunningAsync(1001).AsTask());
        Assert.Equal(KvCancelResult.NotFound, await queue.CancelAsync(new string('x', 100_000)));

        Assert.Equivalent(before, await test.QueuedAsync());
        Assert.False(Assert.Single(await queue.GetStatsAsync()).IsPaused);
        Assert.Empty(await test.Store.ListKeysAsync(KvRange.Prefix([])).ToListAsync());

        static async Task RefusedAsync(Func<Task> call)
        {
            var error = await Assert.ThrowsAnyAsync<ArgumentException>(call);
            Assert.NotNull(error.ParamName);
            Assert.True(error is ArgumentNullException || error.Message.Length > 30, error.Message);
        }
    }

    private Task<KvTestStore> HoldingAsync() =>
        database.CreateWorkerAsync(worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)), _time, logs: _logs);
}

public sealed class SqliteControlTests(SqliteDatabase database) : ControlSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresControlTests(PostgresDatabase database) : ControlSpec(database), IClassFixture<PostgresDatabase>;
