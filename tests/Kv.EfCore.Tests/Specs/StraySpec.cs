using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Rows that no claim would ever take are mended, if they can be handled.</summary>
public abstract class StraySpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task A_message_that_waits_for_a_slot_of_no_message_group_is_handled()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.PutAsync(1, "state = 1");
        await test.PutAsync(2, "state = 2, group_limit = 1");
        await test.PutAsync(3, "state = 2");
        await test.PutAsync(4, "state = 2");
        await test.Store.EnqueueAsync(new Job(5));
        Assert.Equal([5], await test.HandleAsync());

        await MendAsync(test);

        Assert.Equal([1, 2, 3, 4], (await test.HandleAsync(admit: true)).Order());
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_lease_that_ends_in_a_million_years_is_ended()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.OrphanAsync(1, _time, "deadline = 9223372036854775807, owner = 'another'");
        Assert.Empty(await test.ClaimAsync(recover: true));

        await MendAsync(test);
        _time.Advance(Claims.Lease);

        await test.CompleteAsync(Assert.Single(await test.ClaimAsync(recover: true)));
        test.AssertQueueEmpty();
    }

    private static async Task MendAsync(KvTestStore test)
    {
        var (mended, _, strays) = await test.Engine.Queue.FindStraysAsync(["job"], endless: true, CancellationToken.None);
        Assert.True(mended > 0);
        Assert.Empty(strays);
    }
}

public sealed class SqliteStrayTests(SqliteDatabase database) : StraySpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresStrayTests(PostgresDatabase database) : StraySpec(database), IClassFixture<PostgresDatabase>;
