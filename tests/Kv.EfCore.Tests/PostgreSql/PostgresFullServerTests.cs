using System.Data.Common;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>A server that takes no further connection is waited for, whatever is asked of it.</summary>
public sealed class PostgresFullServerTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private const int Limit = 3;

    [Fact]
    public async Task A_server_that_is_full_is_waited_for_by_opening_reads_writes_listings_and_the_queue()
    {
        var address = await database.CreateMigratedAsync();
        var name = new NpgsqlConnectionStringBuilder(address).Database!;
        var role = $"{name}_few";
        var few = new NpgsqlConnectionStringBuilder(address) { Username = role }.ConnectionString;
        await using var owner = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(address) { Pooling = false }.ConnectionString);
        await owner.OpenAsync();
        await ExecuteAsync(owner, $"create role {role} login connection limit {Limit}");
        await ExecuteAsync(owner, $"grant all on schema public to {role}; grant all on all tables in schema public to {role}");
        try
        {
            var refusals = new Refusals();
            await using var test = await database.CreateStoreAsync(
                connectionString: few,
                options: static o => (o.CommandTimeout, o.Notifications) = (TimeSpan.FromSeconds(20), false),
                services: services => services.ConfigureDbContext<KvDbContext>(db => db.AddInterceptors(refusals)));
            Func<Task>[] calls =
            [
                () => test.Store.GetAsync(["opens"]).AsTask(),
                () => test.Store.GetAsync(["k"]).AsTask(),
                () => test.Store.SetAsync(["k"], 1).AsTask(),
                () => test.Store.ListAsync(KvRange.Prefix([])).ToListAsync().AsTask(),
                () => test.Store.ListAsync(KvRange.Prefix([]), new() { Snapshot = true }).ToListAsync().AsTask(),
                () => test.Queue().GetStatsAsync().AsTask(),
                () => test.ClaimAsync(),
            ];
            foreach (var call in calls)
            {
                var held = await FillAsync(owner, role, few);
                var refused = refusals.NextAsync();
                var answer = call();

                // The server has room again when the call has met that it has none.
                await refused.WaitAsync(Rows.Patience);
                held.ForEach(static connection => connection.Dispose());
                await answer.WaitAsync(Rows.Patience);
            }
        }
        finally
        {
            await database.Server.TerminateBackendsAsync(name);
            await database.ExecuteAsync($"drop database {name} with (force)");
            await database.ExecuteAsync($"drop role {role}");
        }
    }

    /// <summary>Takes all connections that the role may have; those that the store keeps open are ended.</summary>
    private static async Task<List<NpgsqlConnection>> FillAsync(NpgsqlConnection owner, string role, string address)
    {
        List<NpgsqlConnection> held = [];
        while (held.Count < Limit)
        {
            var own = string.Join(',', held.Select(static connection => connection.ProcessID));
            await ExecuteAsync(
                owner,
                $"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}' and pid <> all('{{{own}}}'::int[])");
            var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(address) { Pooling = false }.ConnectionString);
            try
            {
                await connection.OpenAsync();
                held.Add(connection);
            }
            catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.TooManyConnections)
            {
                // One that is ended has its place for a moment still.
                await connection.DisposeAsync();
            }
        }

        return held;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string text)
    {
        await using var command = new NpgsqlCommand(text, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Hears of connections that the server refused since it is full.</summary>
    private sealed class Refusals : DbConnectionInterceptor
    {
        private volatile TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task NextAsync() => (_next = new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

        public override void ConnectionFailed(DbConnection connection, ConnectionErrorEventData eventData)
        {
            if (eventData.Exception is PostgresException { SqlState: PostgresErrorCodes.TooManyConnections })
            {
                _next.TrySetResult();
            }
        }

        public override Task ConnectionFailedAsync(
            DbConnection connection, ConnectionErrorEventData eventData, CancellationToken cancellationToken = default)
        {
            ConnectionFailed(connection, eventData);
            return Task.CompletedTask;
        }
    }
}
