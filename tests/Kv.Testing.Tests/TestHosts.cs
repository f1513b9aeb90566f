using Kv.TestKit;
using Npgsql;

namespace Kv.Tests;

/// <summary>Hosts as users start them, on the kind of database that a specification runs on.</summary>
internal static class TestHosts
{
    public static KvTestDatabase Source(this KvDatabase database) =>
        database is PostgresDatabase postgres ? KvTestDatabase.PostgreSql(postgres.Server.ConnectionString) : KvTestDatabase.Sqlite;

    public static Task<KvTestHost> StartAsync(
        this KvDatabase database, Action<KvWorkerBuilder> app, Action<KvTestOptions>? options = null) =>
        KvTestHost.StartAsync(app, database.Source(), options, TestContext.Current.CancellationToken);

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

[KvMessage("order-placed")]
internal sealed record OrderPlaced(int Id);

[KvMessage("mail")]
internal sealed record Mail(string To);

internal sealed class OrderHandler : IKvMessageHandler<OrderPlaced>
{
    public Task HandleAsync(OrderPlaced message, KvMessageContext context, CancellationToken cancellationToken) =>
        context.CompleteAsync(write => write.Set(["orders", message.Id], message).Enqueue(new Mail("ada")), cancellationToken).AsTask();
}
