using Kv.TestKit;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>Behind a pooler of transactions a session of the server is anybody's: what a store leaves there, others find.</summary>
public sealed class PostgresPoolingTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private const string Remains = """
        select (select count(*) from pg_prepared_statements), current_setting('jit'), current_setting('enable_seqscan'),
            current_setting('idle_in_transaction_session_timeout'), (select count(*) from pg_listening_channels())
        """;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_store_leaves_nothing_in_a_session_that_is_shared_and_what_it_needs_in_its_own(bool pooling)
    {
        // The driver's pool hands out the store's own connections afterwards, as they were left.
        var address = new NpgsqlConnectionStringBuilder(await database.CreateMigratedAsync()) { NoResetOnClose = true, MaxPoolSize = 40 }.ConnectionString;
        await using var test = await database.CreateStoreAsync(options: o => o.TransactionPooling = pooling, connectionString: address);
        using (test.Engine.Listener.Listen(watches: true))
        {
            for (var i = 0; i < 3; i++)
            {
                await test.Store.Atomic().Check(["k"], (await test.Store.GetAsync(["k"]))?.Versionstamp).Set(["k"], i).Sum(["n"], 1).Enqueue($"m{i}").CommitAsync();
            }

            Assert.Equal(2, await test.Store.GetAsync<int>(["k"]));
            Assert.Equal(3UL, await test.Store.GetAsync<ulong>(["n"]));
            Assert.Equal(2, await test.Store.CountAsync(KvRange.Prefix([])));
        }

        await test.Engine.DisposeAsync();
        var remains = await RemainsAsync(address);

        var (prepared, settings) = (remains.Sum(static r => r.Prepared), remains.Select(static r => r.Settings).Distinct().Order().ToList());
        if (pooling)
        {
            Assert.Equal((0, "on on 0 0"), (prepared, Assert.Single(settings)));
        }
        else
        {
            Assert.InRange(prepared, 3, int.MaxValue);
            Assert.Contains(settings, static s => s.StartsWith("off off ", StringComparison.Ordinal));
        }
    }

    private static async Task<List<(int Prepared, string Settings)>> RemainsAsync(string address)
    {
        List<NpgsqlConnection> open = [];
        List<(int, string)> remains = [];
        try
        {
            for (var i = 0; i < 12; i++)
            {
                open.Add(new NpgsqlConnection(address));
                await open[^1].OpenAsync();
                await using var command = new NpgsqlCommand(Remains, open[^1]);
                await using var reader = await command.ExecuteReaderAsync();
                await reader.ReadAsync();
                remains.Add(((int)reader.GetInt64(0), $"{reader.GetString(1)} {reader.GetString(2)} {reader.GetString(3)} {reader.GetInt64(4)}"));
            }
        }
        finally
        {
            open.ForEach(static connection => connection.Dispose());
        }

        return remains;
    }
}
