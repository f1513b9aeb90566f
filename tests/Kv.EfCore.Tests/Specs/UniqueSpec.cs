using Kv.TestKit;
using static Kv.TestKit.UniqueMessages;

namespace Kv.Tests.Specs;

/// <summary>Of the messages of a topic with a unique key one waits or runs: what a write that brings another one does.</summary>
public abstract class UniqueSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task What_is_kept_is_the_message_that_is_there_and_the_write_takes_effect()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var first = await test.EnqueueUniqueAsync(1, Keep);

        var result = await test.Store.Atomic().Set(["a"], 1).Enqueue(new Job(2), Keep).Enqueue(new Job(3)).CommitAsync();

        Assert.Equal(first, result.MessageIds[0]);
        Assert.Equal([first, result.MessageIds[1]], (await test.QueuedAsync()).Select(static m => m.Id));
        Assert.Equal(1, await test.Store.GetAsync<int>(["a"]));
        Assert.Equal([1, 3], await test.HandleAsync());
    }

    [Fact]
    public async Task What_is_refused_leaves_nothing_of_its_write_and_says_what_is_there()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var first = await test.EnqueueUniqueAsync(1, Keep);

        var error = await Assert.ThrowsAsync<KvException>(
            () => test.Store.Atomic().Set(["a"], 1).Enqueue(new Job(3)).Enqueue(new Job(2), Refuse).CommitAsync().AsTask());

        Assert.Equal(KvErrorKind.Duplicate, error.Kind);
        Assert.Contains("'u'", error.Message, StringComparison.Ordinal);
        Assert.Contains(first, error.Message, StringComparison.Ordinal);
        Assert.Null(await test.Store.GetAsync(["a"]));
        Assert.Equal(first, Assert.Single(await test.QueuedAsync()).Id);
    }

    [Fact]
    public async Task A_refusal_harms_no_write_that_shares_its_transaction()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.EnqueueUniqueAsync(1, Keep);

        var writes = Enumerable.Range(0, 50).Select(i => i % 2 == 0
            ? (Task)Assert.ThrowsAsync<KvException>(() => test.Store.EnqueueAsync(new Job(2), Refuse).AsTask())
            : test.Store.SetAsync(["k", (long)i], i).AsTask()).ToList();
        await Task.WhenAll(writes);

        Assert.Equal(25, await test.Store.CountAsync(KvRange.Prefix(["k"])));
        Assert.Single(await test.QueuedAsync());
    }

    [Fact]
    public async Task What_replaces_a_waiting_message_comes_with_its_own_payload_and_time()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.EnqueueUniqueAsync(1, Keep with { Delay = TimeSpan.FromHours(1) });

        var second = await test.EnqueueUniqueAsync(2, Replace with { Delay = TimeSpan.FromMinutes(1) });

        var row = Assert.Single(await test.QueuedAsync());
        Assert.Equal((second, _time.Milliseconds() + 60_000), (row.Id, row.DueAt));
        Assert.Equal(second, await test.EnqueueUniqueAsync(3, Keep));
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal([2], await test.HandleAsync());
        await test.AssertFreeAsync();
    }

    [Fact]
    public async Task What_replaces_the_head_of_a_group_goes_to_its_end()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.EnqueueUniqueAsync(1, Replace with { GroupKey = "g" });
        await test.EnqueueUniqueAsync(2, new() { GroupKey = "g" });
        await test.EnqueueUniqueAsync(3, Replace with { GroupKey = "g" });

        Assert.Equal([2, 3], await test.HandleAsync());
        await test.AssertFreeAsync();
    }

    [Fact]
    public async Task The_key_stays_taken_for_its_time_after_the_end()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var first = await test.EnqueueUniqueAsync(1, Keep with { UniqueFor = TimeSpan.FromMinutes(10) });
        Assert.Equal([1], await test.HandleAsync());
        test.AssertQueueEmpty();

        _time.Advance(TimeSpan.FromMinutes(10) - TimeSpan.FromMilliseconds(1));
        await test.AssertTakenAsync(first, KvDuplicatePolicy.Keep);
        await test.AssertTakenAsync(first, KvDuplicatePolicy.Refuse);
        _time.Advance(TimeSpan.FromMilliseconds(1));

        await test.EnqueueUniqueAsync(2, Refuse);
        Assert.Equal([2], await test.HandleAsync());
    }

    [Fact]
    public async Task A_message_that_takes_longer_than_its_time_has_the_key_to_its_end()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var first = await test.EnqueueUniqueAsync(1, Keep with { UniqueFor = TimeSpan.FromMinutes(1), Delay = TimeSpan.FromHours(1) });
        _time.Advance(TimeSpan.FromMinutes(30));

        await test.AssertTakenAsync(first, KvDuplicatePolicy.Keep);
        _time.Advance(TimeSpan.FromMinutes(30));
        Assert.Equal([1], await test.HandleAsync());

        await test.AssertFreeAsync();
    }

    [Fact]
    public async Task Within_its_time_a_message_that_is_done_can_be_replaced()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.EnqueueUniqueAsync(1, Keep with { UniqueFor = TimeSpan.FromMinutes(10) });
        Assert.Equal([1], await test.HandleAsync());

        var second = await test.EnqueueUniqueAsync(2, Replace);
        Assert.Equal(second, await test.EnqueueUniqueAsync(3, Keep));

        Assert.Equal([2], await test.HandleAsync());
        await test.AssertFreeAsync();
    }

    [Theory]
    [InlineData(KvDuplicatePolicy.Keep, 1)]
    [InlineData(KvDuplicatePolicy.Replace, 2)]
    public async Task Two_in_one_write_are_one(KvDuplicatePolicy ifDuplicate, int survivor)
    {
        await using var test = await database.CreateStoreAsync(_time);
        KvEnqueueOptions options = Keep with { IfDuplicate = ifDuplicate };

        var ids = (await test.Store.Atomic().Enqueue(new Job(1), options).Enqueue(new Job(2), options).CommitAsync()).MessageIds;

        Assert.Equal(ids[survivor - 1], Assert.Single(await test.QueuedAsync()).Id);
        Assert.Equal(survivor == 1, ids[0] == ids[1]);
        Assert.Equal([survivor], await test.HandleAsync());
        await test.AssertFreeAsync();
    }

    [Fact]
    public async Task Two_in_one_write_that_are_to_be_refused_leave_nothing()
    {
        await using var test = await database.CreateStoreAsync(_time);

        await Assert.ThrowsAsync<KvException>(
            () => test.Store.Atomic().Enqueue(new Job(1), Refuse).Enqueue(new Job(2), Refuse).CommitAsync().AsTask());

        test.AssertQueueEmpty();
        await test.AssertFreeAsync();
    }

    [Fact]
    public async Task The_same_key_in_another_topic_is_another_key()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.EnqueueUniqueAsync(1, Refuse);
        await test.EnqueueUniqueAsync(2, Refuse with { Topic = "other" });
        await test.EnqueueUniqueAsync(3, Refuse with { UniqueKey = "U" });

        Assert.Equal(3, (await test.QueuedAsync()).Count);
    }

    [Theory]
    [InlineData(KvDuplicatePolicy.Keep)]
    [InlineData(KvDuplicatePolicy.Replace)]
    [InlineData(KvDuplicatePolicy.Refuse)]
    public async Task However_many_enqueue_at_once_there_is_one_message(KvDuplicatePolicy ifDuplicate)
    {
        await using var test = await database.CreateStoreAsync(_time);
        await using var second = await database.CreateStoreAsync(_time, connectionString: test.ConnectionString);
        await using var third = await database.CreateStoreAsync(_time, connectionString: test.ConnectionString);
        KvTestStore[] stores = [test, second, third];

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 90).Select(i => Task.Run(async () =>
        {
            try
            {
                return await stores[i % 3].EnqueueUniqueAsync(i, Keep with { IfDuplicate = ifDuplicate });
            }
            catch (KvException error) when (error.Kind == KvErrorKind.Duplicate)
            {
                return null;
            }
        })));

        var id = Assert.Single(await test.QueuedAsync()).Id;
        Assert.Equal(
            ifDuplicate switch { KvDuplicatePolicy.Keep => 90, _ => 1 },
            outcomes.Count(outcome => outcome == id));
        Assert.Equal(ifDuplicate == KvDuplicatePolicy.Refuse ? 89 : 0, outcomes.Count(static outcome => outcome is null));
        Assert.Single(await test.HandleAsync());
        await test.AssertFreeAsync();
    }

    [Fact]
    public async Task A_message_that_is_enqueued_in_a_transaction_that_is_rolled_back_has_no_key()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await using (var context = test.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            await test.Store.Atomic().Enqueue(new Job(1), Refuse).CommitAsync(context);
            await transaction.RollbackAsync();
        }

        await test.AssertFreeAsync();
        await test.EnqueueUniqueAsync(2, Refuse);
    }
}

public sealed class SqliteUniqueTests(SqliteDatabase database) : UniqueSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresUniqueTests(PostgresDatabase database) : UniqueSpec(database), IClassFixture<PostgresDatabase>;
