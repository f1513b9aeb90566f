using System.Text.Json;
using Kv.Messages;
using Kv.PostgreSql;
using Kv.Sql;
using Kv.TestKit;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>What is gone stays in the tables of PostgreSQL while any transaction may see it, and is not walked past again and again.</summary>
public sealed class PostgresHorizonTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>, IAsyncDisposable
{
    private static readonly PostgreSqlSql Sql = new(TableNames.Default, serverClock: true);
    private const int Messages = 31_000;
    private const int Gone = 30_000;
    private const int AtOnce = 10;
    private const int Little = 20 * AtOnce;
    private const int Much = 5 * Little;
    private readonly List<NpgsqlConnection> _open = [];
    private readonly string[] _owners = [""];
    private readonly long[] _claims = [0];

    [Fact]
    public async Task While_a_transaction_is_left_open_a_search_that_goes_on_reads_no_more_than_it_takes()
    {
        await using var test = await database.CreateStoreAsync();
        await using var connection = await FillAsync(test, "queue (ts", "delete from queue where ts <=");

        var anew = await BlocksAsync(connection, Sql.Claims.ClaimAll, Claim(new ClaimFloor(int.MinValue, long.MinValue, "")));
        var onwards = await BlocksAsync(connection, Sql.Claims.ClaimAll, Claim(new ClaimFloor(0, Gone + AtOnce, $"m{Gone + AtOnce}")));

        Assert.True(anew > Much, $"A search from the beginning reads {anew} blocks: nothing has to be walked past.");
        Assert.True(onwards < Little, $"A search that goes on reads {onwards} blocks for {AtOnce} messages.");
        Assert.Equal(2 * AtOnce, await CountAsync(connection, "queue_running"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task While_a_transaction_is_left_open_a_completion_reads_no_more_than_it_takes_out(bool many)
    {
        await using var test = await database.CreateStoreAsync();
        await using var connection = await FillAsync(test, "queue_running (deadline", "delete from queue_running where deadline <=");
        var ids = Enumerable.Range(Gone + 1, AtOnce).Select(static i => $"m{i}").ToArray();

        var blocks = await BlocksAsync(
            connection, many ? Sql.CompleteMany : Sql.CompleteAll, ("ids", ids), ("owners", Array.ConvertAll(ids, static _ => "")), ("claims", Array.ConvertAll(ids, static _ => 0L)), ("one", 1));

        Assert.True(blocks < Little, $"It reads {blocks} blocks for {AtOnce} messages.");
        Assert.Equal(Messages - Gone - AtOnce, await CountAsync(connection, "queue_running"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_message_whose_lease_is_extended_meanwhile_is_still_found(bool many)
    {
        foreach (var text in new[] { many ? Sql.CompleteMany : Sql.CompleteAll, many ? Sql.EndMany : Sql.EndAll })
        {
            await using var test = await database.CreateStoreAsync();
            await using var connection = await FillAsync(test, "queue_running (deadline", "delete from queue_running where deadline <=");
            await using var heartbeat = new NpgsqlConnection(test.ConnectionString);
            await heartbeat.OpenAsync();
            await ExecuteAsync(heartbeat, $"begin; update queue_running set deadline = deadline + 1 where id = 'm{Messages}'");
            await using var command = new NpgsqlCommand(text, connection);
            command.Parameters.AddWithValue("ids", new[] { $"m{Messages}" });
            command.Parameters.AddWithValue("owners", _owners);
            command.Parameters.AddWithValue("claims", _claims);
            command.Parameters.AddWithValue("one", 1);
            var found = command.ExecuteScalarAsync();
            await Rows.UntilAsync(() => CountWaiting(test.ConnectionString) == 1);

            await ExecuteAsync(heartbeat, "commit");

            Assert.Equal($"m{Messages}", await found);
        }
    }

    [Fact]
    public async Task What_was_planned_for_an_empty_table_is_not_kept()
    {
        await using var test = await database.CreateStoreAsync();
        await using var connection = new NpgsqlConnection(test.ConnectionString);
        await connection.OpenAsync();
        await ExecuteAsync(connection, "set enable_seqscan = off");
        var ids = Enumerable.Range(0, 500).Select(static i => $"m{i}").ToArray();
        (string Name, object Value)[] held = [("ids", ids), ("owners", Array.ConvertAll(ids, static _ => "")), ("claims", Array.ConvertAll(ids, static _ => 0L)), ("one", 1)];
        foreach (var (text, values) in new[] { (Sql.CompleteMany, held), (Sql.EndMany, held), (Sql.Claims.ClaimAll, Claim(new ClaimFloor(0, 0, ""))) })
        {
            await using var command = new NpgsqlCommand(text, connection);
            foreach (var (name, value) in values)
            {
                command.Parameters.AddWithValue(name, value);
            }

            await command.PrepareAsync();
            for (var i = 0; i < 20; i++)
            {
                await command.ExecuteNonQueryAsync();
            }
        }

        await using var kept = new NpgsqlCommand("select count(*) || ' ' || sum(custom_plans) || ' ' || sum(generic_plans) from pg_prepared_statements", connection);
        Assert.Equal("3 60 0", await kept.ExecuteScalarAsync());
    }

    private static long CountWaiting(string connectionString)
    {
        using var connection = new NpgsqlConnection(connectionString);
        connection.Open();
        using var command = new NpgsqlCommand("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'", connection);
        return (long)command.ExecuteScalar()!;
    }

    /// <summary>Fills a table, and deletes from it what a transaction may still see.</summary>
    private async Task<NpgsqlConnection> FillAsync(KvTestStore test, string table, string delete)
    {
        var connection = new NpgsqlConnection(test.ConnectionString);
        await connection.OpenAsync();
        await ExecuteAsync(connection, $"insert into {table}, id, data, backoff_schedule, keys_if_undelivered, topic) select i, 'm' || i, '', '[]', '[]', 'a' from generate_series(1, {Messages}) i");
        await ExecuteAsync(connection, "analyze");
        var open = new NpgsqlConnection(test.ConnectionString);
        _open.Add(open);
        await open.OpenAsync();
        await ExecuteAsync(open, "begin isolation level repeatable read");
        await ExecuteAsync(open, "select 1 from queue limit 1");
        await ExecuteAsync(connection, $"{delete} {Gone}");
        return connection;
    }

    private static (string Name, object Value)[] Claim(ClaimFloor floor) =>
    [
        ("now", 0L), ("topics", new[] { "a" }), ("pauses", new[] { QueueKeys.Paused("a") }), ("rooms", new[] { AtOnce }), ("leases", new[] { 30_000L }),
        ("floorpriorities", new[] { floor.Priority }), ("floortimes", new[] { floor.DueAt }), ("floorids", new[] { floor.Id }),
        ("limit", AtOnce), ("one", 1), ("owner", "me"),
    ];

    /// <summary>How many blocks a statement looks at, run as writers run it.</summary>
    private static async Task<long> BlocksAsync(NpgsqlConnection connection, string text, params (string Name, object Value)[] values)
    {
        await ExecuteAsync(connection, "set enable_seqscan = off");
        await using var command = new NpgsqlCommand("explain (analyze, buffers, format json) " + text, connection);
        foreach (var (name, value) in values)
        {
            command.Parameters.AddWithValue(name, value);
        }

        using var plan = JsonDocument.Parse((string)(await command.ExecuteScalarAsync())!);
        var top = plan.RootElement[0].GetProperty("Plan");
        return top.GetProperty("Shared Hit Blocks").GetInt64() + top.GetProperty("Shared Read Blocks").GetInt64();
    }

    private static async Task<long> CountAsync(NpgsqlConnection connection, string table)
    {
        await using var command = new NpgsqlCommand($"select count(*) from {table}", connection);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string text)
    {
        await using var command = new NpgsqlCommand(text, connection);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var open in _open)
        {
            await open.DisposeAsync();
        }
    }
}
