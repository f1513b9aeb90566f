using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class AtomicSpec(KvDatabase database)
{
    [Fact]
    public async Task A_write_that_fails_halfway_leaves_nothing_behind()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["count"], "not a number");

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.Atomic().Set(["a"], 1).Sum(["count"], 1).Set(["b"], 2).CommitAsync().AsTask());

        Assert.Equal(KvError.Type, error.Kind);
        Assert.Null(await test.Store.GetAsync(["a"]));
        Assert.Null(await test.Store.GetAsync(["b"]));
    }
}

public sealed class SqliteAtomicTests(SqliteDatabase database) : AtomicSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresAtomicTests(PostgresDatabase database) : AtomicSpec(database), IClassFixture<PostgresDatabase>;
