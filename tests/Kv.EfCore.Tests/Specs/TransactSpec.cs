using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class TransactSpec(KvDatabase database)
{
    [Fact]
    public async Task No_update_of_64_writers_is_lost()
    {
        await using var test = await database.CreateStoreAsync();

        await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => Task.Run(() => test.Store.TransactAsync(async (transaction, token) =>
        {
            var count = await transaction.GetAsync<int>(["n"], token);
            transaction.Writes.Set(["n"], count + 1);
        }))));

        Assert.Equal(64, await test.Store.GetAsync<int>(["n"]));
    }

    [Fact]
    public async Task What_a_run_read_is_checked_when_it_commits_also_what_was_absent()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["there"], 1);
        Func<IKvStore, Task>[] rivals = [s => s.SetAsync(["there"], 2).AsTask(), s => s.SetAsync(["absent"], 1).AsTask(), s => s.DeleteAsync(["there"]).AsTask(), s => s.SetAsync(["unread"], 1).AsTask()];
        foreach (var (rival, runs) in rivals.Zip((int[])[2, 2, 2, 1]))
        {
            var ran = 0;
            var result = await test.Store.TransactAsync(async (transaction, token) =>
            {
                await transaction.GetManyAsync([["there"], ["absent"]], token);
                await transaction.GetAsync(["there"], token);
                if (++ran == 1)
                {
                    await rival(test.Store);
                }

                transaction.Writes.Set(["result"], ran);
                return $"run {ran}";
            });

            Assert.Equal(runs, ran);
            Assert.Equal($"run {ran}", result);
            Assert.Equal(ran, await test.Store.GetAsync<int>(["result"]));
        }
    }

    [Fact]
    public async Task The_first_read_of_a_key_counts()
    {
        await using var test = await database.CreateStoreAsync();
        var ran = 0;

        await test.Store.TransactAsync(async (transaction, token) =>
        {
            var first = await transaction.GetAsync<int>(["n"], token);
            if (++ran == 1)
            {
                await test.Store.SetAsync(["n"], 5, cancellationToken: token);
            }

            transaction.Writes.Set(["n"], first + await transaction.GetAsync<int>(["n"], token));
        });

        Assert.Equal(2, ran);
        Assert.Equal(10, await test.Store.GetAsync<int>(["n"]));
    }

    [Fact]
    public async Task A_rival_that_always_wins_ends_it_with_a_conflict()
    {
        await using var test = await database.CreateStoreAsync(options: static options => options.CommandTimeout = TimeSpan.FromMilliseconds(500));
        var ran = 0;

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.TransactAsync(async (transaction, token) =>
        {
            await transaction.GetAsync(["n"], token);
            await test.Store.SetAsync(["n"], ++ran, cancellationToken: token);
            transaction.Writes.Set(["mine"], 1);
        }));

        Assert.Equal(KvError.Conflict, error.Kind);
        Assert.StartsWith("Other writers came between for 0.5 seconds; the last time at [\"n\"]. Nothing was written.", error.Message, StringComparison.Ordinal);
        Assert.Null(await test.Store.GetAsync(["mine"]));
    }

    [Fact]
    public async Task What_the_block_throws_comes_out_and_nothing_is_written()
    {
        await using var test = await database.CreateStoreAsync();

        await Assert.ThrowsAsync<TimeZoneNotFoundException>(() => test.Store.TransactAsync((transaction, _) =>
        {
            transaction.Writes.Set(["n"], 1);
            throw new TimeZoneNotFoundException();
        }));

        Assert.Empty(await test.KeysAsync());
    }
}

public sealed class SqliteTransactTests(SqliteDatabase database) : TransactSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresTransactTests(PostgresDatabase database) : TransactSpec(database), IClassFixture<PostgresDatabase>;
