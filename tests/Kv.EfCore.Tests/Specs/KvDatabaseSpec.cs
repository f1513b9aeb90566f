using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

public abstract class KvDatabaseSpec(KvDatabase database)
{
    [Fact]
    public async Task Every_store_has_a_database_of_its_own()
    {
        await using var one = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync();

        await one.Store.SetAsync(["a"], 1);

        Assert.Null(await other.Store.GetAsync(["a"]));
    }

    [Fact]
    public async Task Two_stores_can_share_a_database()
    {
        await using var one = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync(connectionString: one.ConnectionString);

        await one.Store.SetAsync(["a"], 1);

        Assert.Equal(1, await other.Store.GetAsync<int>(["a"]));
    }

    [Fact]
    public async Task A_migrated_database_lacks_no_migration_and_an_empty_one_lacks_all()
    {
        Assert.Empty(await PendingAsync(await database.CreateMigratedAsync()));
        Assert.NotEmpty(await PendingAsync(await database.CreateEmptyAsync()));

        async Task<IEnumerable<string>> PendingAsync(string connectionString)
        {
            await using var test = await database.CreateStoreAsync(connectionString: connectionString);
            await using var context = test.CreateContext();
            return await context.Database.GetPendingMigrationsAsync();
        }
    }
}

public sealed class SqliteKvDatabaseTests(SqliteDatabase database) : KvDatabaseSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresKvDatabaseTests(PostgresDatabase database) : KvDatabaseSpec(database), IClassFixture<PostgresDatabase>
{
    private readonly PostgresDatabase _database = database;

    [Fact]
    public async Task A_disposed_store_leaves_no_connection_behind()
    {
        var test = await _database.CreateStoreAsync();
        await test.Store.SetAsync(["a"], 1);
        await test.Store.GetAsync(["a"]);

        await test.DisposeAsync();

        // The server ends a session a moment after the client has closed it.
        var connections = 1L;
        for (var attempt = 0; connections > 0 && attempt < 1000; attempt++)
        {
            await using var connection = new Npgsql.NpgsqlConnection(_database.Server.ConnectionString);
            await connection.OpenAsync();
            var name = new Npgsql.NpgsqlConnectionStringBuilder(test.ConnectionString).Database;
            await using var command = new Npgsql.NpgsqlCommand($"select count(*) from pg_stat_activity where datname = '{name}'", connection);
            connections = (long)(await command.ExecuteScalarAsync())!;
        }

        Assert.Equal(0, connections);
    }
}
