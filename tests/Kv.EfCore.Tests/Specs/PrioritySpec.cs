using Kv.Messages;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Of due messages of a topic, those with a lower number are claimed first.</summary>
public abstract class PrioritySpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task Lower_ones_come_first_and_equal_ones_by_their_due_times()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.Atomic()
            .Enqueue(new Job(5), new() { Priority = 100 }).Enqueue(new Job(3)).Enqueue(new Job(2), new() { Priority = -1 })
            .Enqueue(new Job(1), new() { Priority = -100, Delay = TimeSpan.FromSeconds(2) }).CommitAsync();
        await test.Store.Atomic()
            .Enqueue(new Job(4), new() { Delay = TimeSpan.FromSeconds(1) })
            .Enqueue(new Job(0), new() { Priority = -100, Delay = TimeSpan.FromSeconds(1) }).CommitAsync();
        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal([0, 1, 2, 3, 4, 5], await test.HandleAsync());
    }

    [Fact]
    public async Task A_claim_takes_no_more_than_it_has_room_for_from_the_most_urgent_on()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var write = test.Store.Atomic();
        for (var i = 0; i < 60; i++)
        {
            write.Enqueue(new Job(i), new() { Priority = (i * 37 % 60) - 30 });
        }

        await write.CommitAsync();

        var claimed = await test.ClaimAsync(limit: 25);

        Assert.Equal(Enumerable.Range(-30, 25), claimed.Select(static m => m.Priority));
        Assert.Equal(35, (await test.QueuedAsync()).Count);
    }

    [Fact]
    public async Task A_message_that_is_put_back_keeps_its_priority()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.Atomic().Enqueue(new Job(2)).Enqueue(new Job(1), new() { Priority = -5 }).CommitAsync();
        var urgent = Assert.Single(await test.ClaimAsync(limit: 1));

        var back = new RequeueWork(urgent.Fence, TimeSpan.Zero, "[]", attempt: 1);
        Assert.True(await test.Engine.Queue.RequeueAsync(back, CancellationToken.None));

        Assert.Equal([1, 2], await test.HandleAsync());
    }

    [Fact]
    public async Task Messages_of_one_commit_are_delivered_in_the_order_of_their_making()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var write = test.Store.Atomic();
        for (var i = 0; i < 50; i++)
        {
            write.Enqueue(new Job(i));
        }

        await write.CommitAsync();

        Assert.Equal(Enumerable.Range(0, 50), await test.HandleAsync());
    }
}

public sealed class SqlitePriorityTests(SqliteDatabase database) : PrioritySpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresPriorityTests(PostgresDatabase database) : PrioritySpec(database), IClassFixture<PostgresDatabase>;
