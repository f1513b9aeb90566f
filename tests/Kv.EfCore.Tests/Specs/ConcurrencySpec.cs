using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class ConcurrencySpec(KvDatabase database)
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task No_sum_of_64_writers_is_lost_in_one_process_or_two(int processes)
    {
        await using var test = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        KvTestStore[] stores = [test, processes == 1 ? test : other];

        var stamps = await Task.WhenAll(Enumerable.Range(0, 64).Select(writer => Task.Run(async () =>
        {
            List<KvVersionstamp> own = [];
            for (var i = 0; i < 10; i++)
            {
                own.Add((await stores[writer % 2].Store.Atomic().Sum(["n"], 1).Set(["log", writer, i], 1).CommitAsync()).Versionstamp);
            }

            Assert.Equal(own.Order(), own);
            return own;
        })));

        Assert.Equal(640UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Equal(640, stamps.SelectMany(static s => s).Distinct().Count());
        Assert.Equal(640, await test.Store.CountAsync(KvRange.Prefix(["log"])));
    }

    [Fact]
    public async Task Transfers_between_accounts_keep_the_sum_that_auditors_read()
    {
        await using var test = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        KvKey[] accounts = [.. Enumerable.Range(0, 8).Select(static i => KvKey.Create(["account", i]))];
        var atomic = test.Store.Atomic();
        foreach (var account in accounts)
        {
            atomic.Set(account, 100UL);
        }

        await atomic.CommitAsync();
        var transfers = Task.WhenAll(Enumerable.Range(0, 8).Select(teller => Task.Run(async () =>
        {
            var store = (teller % 2 == 0 ? test : other).Store;
            for (var i = 0; i < 25; i++)
            {
                var (from, to) = (accounts[(teller + i) % 8], accounts[(teller + (3 * i) + 1) % 8]);
                await store.TransactAsync(async (transaction, token) =>
                {
                    var balances = await transaction.GetManyAsync([from, to], token);
                    if (from != to && balances[0]!.As<ulong>() >= 10)
                    {
                        transaction.Writes.Set(from, balances[0]!.As<ulong>() - 10).Set(to, balances[1]!.As<ulong>() + 10);
                    }
                });
            }
        })));

        var audits = 0;
        while (!transfers.IsCompleted || audits < 10)
        {
            var balances = await (audits++ % 2 == 0 ? test : other).Store.GetManyAsync(accounts);
            Assert.Equal(800UL, balances.Aggregate(0UL, static (sum, e) => sum + e!.As<ulong>()));
        }

        await transfers;
    }
}

public sealed class SqliteConcurrencyTests(SqliteDatabase database) : ConcurrencySpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresConcurrencyTests(PostgresDatabase database) : ConcurrencySpec(database), IClassFixture<PostgresDatabase>;
