using Kv.Model;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Of the messages of a group only the first can be claimed; their order is that of their commits.</summary>
public abstract class GroupSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task Only_the_first_of_a_group_waits_for_a_worker()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a")).Enqueue(new Job(3), In("b")).CommitAsync();
        await test.Store.EnqueueAsync(new Job(4), In("b"));

        Assert.Equal(
            [MessageState.Ready, MessageState.Blocked, MessageState.Ready, MessageState.Blocked],
            (await test.QueuedAsync()).Select(static m => m.State));
        Assert.Equal(2, (await test.ClaimAsync(owner: "one")).Count);
        Assert.Empty(await test.ClaimAsync(owner: "two"));
    }

    [Fact]
    public async Task A_head_that_waits_for_its_time_keeps_the_others_waiting()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.EnqueueAsync(new Job(1), In("a") with { Delay = TimeSpan.FromHours(1) });
        await test.Store.EnqueueAsync(new Job(2), In("a"));
        await test.Store.EnqueueAsync(new Job(3), In("b"));

        Assert.Equal([3], await test.HandleAsync());
        _time.Advance(TimeSpan.FromHours(1));

        Assert.Equal([1, 2], await test.HandleAsync());
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task The_same_key_in_another_topic_is_another_group()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.Atomic().Enqueue(new Job(1), In("a")).Enqueue(new Job(2), In("a") with { Topic = "other" })
            .Enqueue(new Job(3), In("A")).CommitAsync();

        Assert.All(await test.QueuedAsync(), static m => Assert.Equal(MessageState.Ready, m.State));
    }

    [Theory]
    [InlineData(true, 1, 2)]
    [InlineData(false, 2)]
    public async Task What_is_enqueued_in_a_transaction_of_ones_own_has_its_place_by_its_commit(bool commit, params int[] expected)
    {
        await using var test = await database.CreateStoreAsync(_time);
        await using var other = await database.CreateStoreAsync(_time, connectionString: test.ConnectionString);
        await other.Store.GetAsync(["opened"]);
        Task<KvEnqueueResult> second;
        await using (var context = test.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            await test.Store.Atomic().Enqueue(new Job(1), In("a")).CommitAsync(context);
            second = other.Store.EnqueueAsync(new Job(2), In("a")).AsTask();
            Assert.Empty(await test.Queue().PeekAsync("job"));
            await (commit ? transaction.CommitAsync() : transaction.RollbackAsync());
        }

        await second.WaitAsync(Rows.Patience);

        Assert.Equal(expected, await test.HandleAsync());
        test.AssertQueueEmpty();
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
            var found = await test.Engine.Queue.FindStraysAsync(["job", "other"], endless: false, CancellationToken.None);
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

    private static KvEnqueueOptions In(string group) => new() { GroupKey = group };
}

public sealed class SqliteGroupTests(SqliteDatabase database) : GroupSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresGroupTests(PostgresDatabase database) : GroupSpec(database), IClassFixture<PostgresDatabase>;
