using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>What a program sees of the queue and does with it, whether or not a worker runs.</summary>
public abstract class QueueSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task A_waiting_message_that_is_cancelled_is_gone_and_leaves_nothing()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.EnqueueAsync(new Job(1), new() { KeysIfUndelivered = [["dead"]], Delay = TimeSpan.FromHours(1) });
        var id = Assert.Single(await test.QueuedAsync()).Id;

        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(id));
        Assert.Equal(KvCancelResult.NotFound, await test.Queue().CancelAsync(id));

        test.AssertQueueEmpty();
        Assert.Null(await test.Store.GetAsync(["dead"]));
        Assert.Empty(await test.DeadLettersAsync());
    }

    [Fact]
    public async Task The_next_of_a_group_takes_the_place_of_one_that_is_cancelled()
    {
        await using var test = await database.CreateStoreAsync(_time);
        for (var i = 1; i <= 3; i++)
        {
            await test.Store.EnqueueAsync(new Job(i), new() { GroupKey = "g" });
        }

        var ids = (await test.QueuedAsync()).OrderBy(static m => m.Version).Select(static m => m.Id).ToList();
        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(ids[0]));
        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(ids[2]));

        var next = Assert.Single(await test.ClaimAsync());
        Assert.Equal(ids[1], next.Fence.Id);
        await test.CompleteAsync(next);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task The_unique_key_of_a_message_that_is_cancelled_is_free()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.EnqueueAsync(new Job(1), new() { UniqueKey = "u" });
        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(Assert.Single(await test.QueuedAsync()).Id));

        await test.Store.EnqueueAsync(new Job(2), new() { UniqueKey = "u", IfDuplicate = KvDuplicatePolicy.Refuse });

        Assert.Single(await test.QueuedAsync());
    }

    [Fact]
    public async Task A_message_can_be_looked_at_wherever_it_is()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var result = await test.Store.Atomic().Enqueue(new Job(1), new() { Priority = 3, GroupKey = "g", UniqueKey = "u" })
            .Enqueue(new Job(2), new() { GroupKey = "g" }).Enqueue(new Job(3), new() { Delay = TimeSpan.FromMinutes(1) }).CommitAsync();
        var ids = result.MessageIds;

        var due = (await test.Queue().GetAsync(ids[0]))!;
        Assert.Equal(
            (KvMessageState.Due, "job", "job", 3, "g", "u", _time.GetUtcNow()),
            (due.State, due.Topic, due.Type, due.Priority, due.GroupKey, due.UniqueKey, due.EnqueuedAt));
        Assert.Equal("""{"Number":1}""", System.Text.Encoding.UTF8.GetString(due.Payload.Bytes.Span));
        Assert.Equal(KvMessageState.Blocked, (await test.Queue().GetAsync(ids[1]))!.State);
        var delayed = (await test.Queue().GetAsync(ids[2]))!;
        Assert.Equal((KvMessageState.Delayed, _time.GetUtcNow() + TimeSpan.FromMinutes(1)), (delayed.State, delayed.DueAt));

        var claimed = Assert.Single(await test.ClaimAsync());
        var running = (await test.Queue().GetAsync(ids[0]))!;
        Assert.Equal(
            (KvMessageState.Running, "me", _time.GetUtcNow() + Claims.Lease), (running.State, running.Owner, running.LeaseEndsAt));
        await test.CompleteAsync(claimed);
        Assert.Null(await test.Queue().GetAsync(ids[0]));
        Assert.Null(await test.Queue().GetAsync("nobody"));
    }

    [Fact]
    public async Task Peeking_shows_what_comes_next_and_takes_nothing()
    {
        await using var test = await database.CreateStoreAsync(_time);
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
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.EnqueueAsync(new Job(1));
        var first = Assert.Single(await test.ClaimAsync());
        _time.Advance(TimeSpan.FromSeconds(1));
        await test.Store.EnqueueAsync(new Job(2));
        var second = Assert.Single(await test.ClaimAsync());

        var running = await test.Queue().ListRunningAsync();

        Assert.Equal([first.Fence.Id, second.Fence.Id], running.Select(static m => m.Id));
        Assert.Equal(TimeSpan.FromSeconds(1), running[1].LeaseEndsAt - running[0].LeaseEndsAt);
        Assert.Equal(first.Fence.Id, Assert.Single(await test.Queue().ListRunningAsync(1)).Id);
        await test.CompleteAsync(first);
        await test.CompleteAsync(second);
        Assert.Empty(await test.Queue().ListRunningAsync());
    }

    [Fact]
    public async Task Each_topic_is_counted_by_state_with_the_age_of_its_oldest()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.EnqueueAsync(new Job(0));
        Assert.Single(await test.ClaimAsync());
        for (var i = 0; i < 3; i++)
        {
            await test.Store.EnqueueAsync(new Job(i), new() { GroupKey = "g" });
            _time.Advance(TimeSpan.FromSeconds(10));
        }

        await test.Store.Atomic().Enqueue(new Job(5)).Enqueue(new Job(6), new() { Delay = TimeSpan.FromHours(1) })
            .Enqueue(new Job(7), new() { ConcurrencyKey = "c", Delay = TimeSpan.FromHours(1) })
            .Enqueue("x", new() { Topic = "late", Delay = TimeSpan.FromHours(1) }).CommitAsync();
        await test.Queue().PauseAsync("empty");
        await test.Queue().PauseAsync("job");

        Assert.Equal(
            [
                new KvTopicStats("empty", 0, 0, 0, 0, null, true),
                new KvTopicStats("job", 2, 2, 2, 1, TimeSpan.FromSeconds(30), true),
                new KvTopicStats("late", 0, 1, 0, 0, null, false),
            ],
            await test.Queue().GetStatsAsync());
    }

    [Fact]
    public async Task What_cannot_be_asked_for_is_refused_and_nothing_is_written()
    {
        await using var test = await database.CreateStoreAsync(_time);
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
}

public sealed class SqliteQueueTests(SqliteDatabase database) : QueueSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresQueueTests(PostgresDatabase database) : QueueSpec(database), IClassFixture<PostgresDatabase>;
