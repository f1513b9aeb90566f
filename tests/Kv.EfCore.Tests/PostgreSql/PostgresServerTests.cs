using Kv.TestKit;
using Npgsql;

namespace Kv.Tests.PostgreSql;

public sealed class PostgresServerTests(PrivatePostgresDatabase database) : IClassFixture<PrivatePostgresDatabase>
{
    [Fact]
    public async Task A_cluster_of_ours_is_as_durable_as_one_in_production()
    {
        Assert.Equal("on", await AskAsync(database.Server.ConnectionString, "show fsync"));
        Assert.Equal("on", await AskAsync(database.Server.ConnectionString, "show synchronous_commit"));
        Assert.Equal("300", await AskAsync(database.Server.ConnectionString, "show max_connections"));
    }

    [Fact]
    public async Task What_was_committed_survives_a_crash_of_the_server()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["a"], 1);
        await using var cut = new NpgsqlConnection(test.ConnectionString);
        await cut.OpenAsync();

        await database.Server.RestartImmediateAsync();

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => new NpgsqlCommand("select 1", cut).ExecuteScalarAsync());
        database.Release(test.ConnectionString);
        await using var again = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        Assert.Equal(1, await again.Store.GetAsync<int>(["a"]));
    }

    [Fact]
    public async Task Backends_of_one_database_are_ended_and_no_others()
    {
        var ended = await database.CreateEmptyAsync();
        var spared = await database.CreateEmptyAsync();
        await using var first = new NpgsqlConnection(ended);
        await using var second = new NpgsqlConnection(spared);
        await first.OpenAsync();
        await second.OpenAsync();

        await database.Server.TerminateBackendsAsync(first.Database);

        var error = await Assert.ThrowsAsync<PostgresException>(() => new NpgsqlCommand("select 1", first).ExecuteScalarAsync());
        Assert.Equal(PostgresErrorCodes.AdminShutdown, error.SqlState);
        Assert.Equal(1, await new NpgsqlCommand("select 1", second).ExecuteScalarAsync());
    }

    private static async Task<object?> AskAsync(string connectionString, string question)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync();
        return await new NpgsqlCommand(question, connection).ExecuteScalarAsync();
    }
}
