using Kv.TestKit;
using Npgsql;

namespace Kv.Tests;

/// <summary>What specifications of hosts ask the server, or the folder.</summary>
internal static class TestDatabases
{
    /// <summary>Whether the database of a connection string is there.</summary>
    public static async Task<bool> IsThereAsync(this KvDatabase database, string connectionString)
    {
        if (database is not PostgresDatabase postgres)
        {
            return File.Exists(new Microsoft.Data.Sqlite.SqliteConnectionStringBuilder(connectionString).DataSource);
        }

        await using var connection = new NpgsqlConnection(postgres.Server.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("select count(*) from pg_database where datname = $1", connection)
        {
            Parameters = { new() { Value = new NpgsqlConnectionStringBuilder(connectionString).Database! } },
        };
        return await command.ExecuteScalarAsync() is 1L;
    }
}
