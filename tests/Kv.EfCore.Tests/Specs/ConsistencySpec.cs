using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Reads that say how fresh they have to be, of a store that has no replica.</summary>
public abstract class ConsistencySpec(KvDatabase database)
{
    private static readonly KvRange All = KvRange.Prefix([]);

    [Theory]
    [InlineData(KvConsistency.Strong)]
    [InlineData(KvConsistency.Eventual)]
    public async Task Without_a_replica_every_read_is_of_the_stores_own_database(KvConsistency consistency)
    {
        await using var test = await database.CreateStoreAsync();
        var options = new KvReadOptions { Consistency = consistency };
        for (var i = 1; i <= 20; i++)
        {
            await test.Store.SetAsync(["k"], i);

            Assert.Equal(i, await test.Store.GetAsync<int>(["k"], options));
            Assert.Equal(i, (await test.Store.GetAsync(["k"], options))!.As<int>());
            Assert.Equal([i, null], (await test.Store.GetManyAsync([["k"], ["l"]], options)).Select(static e => e?.As<int>()));
            Assert.True(await test.Store.ExistsAsync(["k"], options));
            Assert.Equal(1, await test.Store.CountAsync(All, options));
            KvListOptions listed = new() { Consistency = consistency };
            Assert.Equal([i], await test.Store.ListAsync(All, listed).Select(static e => e.As<int>()).ToListAsync());
            Assert.Equal(i, Assert.Single((await test.Store.ListPageAsync(All, listed with { Snapshot = true })).Entries).As<int>());
        }

        Assert.Null(await test.Store.GetAsync(["l"], options));
        Assert.Equal(0, await test.Store.GetAsync<int>(["l"], options));
        Assert.False(await test.Store.ExistsAsync(["l"], options));
        Assert.Equal([["k"]], await test.Store.ListKeysAsync(All, new() { Consistency = consistency }).ToListAsync());
    }

    [Fact]
    public async Task What_is_refused_of_a_strong_read_is_refused_of_every_read()
    {
        await using var test = await database.CreateStoreAsync();
        var (store, eventual, none) = (test.Store, KvReadOptions.Eventual, new KvReadOptions { Consistency = (KvConsistency)7 });
        KvKey huge = [new byte[3000]];
        var many = Enumerable.Repeat(KvKey.Create(["k"]), 1001).ToArray();

        await Assert.ThrowsAsync<ArgumentException>("key", () => store.GetAsync(huge, eventual).AsTask());
        await Assert.ThrowsAsync<ArgumentException>("key", () => store.ExistsAsync(huge, eventual).AsTask());
        await Assert.ThrowsAsync<ArgumentException>("keys", () => store.GetManyAsync(many, eventual).AsTask());
        await Assert.ThrowsAsync<ArgumentNullException>("options", () => store.GetAsync(["k"], (KvReadOptions)null!).AsTask());
        foreach (var call in (Func<Task>[])[
            () => store.GetAsync(["k"], none).AsTask(),
            () => store.GetAsync<int>(["k"], none).AsTask(),
            () => store.GetManyAsync([["k"]], none).AsTask(),
            () => store.ExistsAsync(["k"], none).AsTask(),
            () => store.CountAsync(All, none).AsTask(),
            () => store.ListAsync(All, new() { Consistency = none.Consistency }).ToListAsync().AsTask(),
            () => store.ListPageAsync(All, new() { Consistency = none.Consistency }).AsTask()])
        {
            var error = await Assert.ThrowsAsync<ArgumentException>("options", call);
            Assert.StartsWith("Consistency is 7; use Strong or Eventual.", error.Message, StringComparison.Ordinal);
        }
    }
}

public sealed class SqliteConsistencyTests(SqliteDatabase database) : ConsistencySpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresConsistencyTests(PostgresDatabase database) : ConsistencySpec(database), IClassFixture<PostgresDatabase>;
