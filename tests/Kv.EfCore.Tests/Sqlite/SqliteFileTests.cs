using System.Collections.Concurrent;
using System.Data.Common;
using System.Globalization;
using Kv.Messages;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Sqlite;

/// <summary>What only SQLite has: a file that Deno can read, and connections that wait for each other.</summary>
public sealed class SqliteFileTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    /// <summary>Between its batches a listing holds nothing, and neither does a watch between two states. A snapshot is what keeps the log, as it says.</summary>
    [Fact]
    public async Task A_consumer_that_pauses_keeps_neither_writes_nor_the_log_from_being_checkpointed()
    {
        await using var test = await database.CreateStoreAsync();
        for (var i = 0; i < 30; i++)
        {
            await test.Store.SetAsync(["a", i], i);
        }

        await using var listing = test.Store.ListAsync(KvRange.Prefix(["a"]), new KvListOptions { BatchSize = 10 }).GetAsyncEnumerator();
        await using var watch = test.Store.WatchAsync([["a", 0]]).GetAsyncEnumerator();
        Assert.True(await listing.MoveNextAsync());
        Assert.True(await watch.MoveNextAsync());
        await test.Store.SetAsync(["a", 0], 100);
        Assert.Equal("0 0 0", await CheckpointAsync(test));

        var snapshot = test.Store.ListAsync(KvRange.Prefix(["a"]), new KvListOptions { BatchSize = 10, Snapshot = true }).GetAsyncEnumerator();
        Assert.True(await snapshot.MoveNextAsync());
        await test.Store.SetAsync(["a", 1], 100);
        Assert.StartsWith("1 ", await CheckpointAsync(test, patience: TimeSpan.FromMilliseconds(1)), StringComparison.Ordinal);
        await snapshot.DisposeAsync();
        Assert.Equal("0 0 0", await CheckpointAsync(test));
    }

    [Fact]
    public async Task Tables_and_stored_values_have_the_storage_classes_that_Deno_reads()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().Set(["text"], "t", TimeSpan.FromDays(1)).Sum(["n"], 1).Set(["bytes"], (byte[])[1])
            .Enqueue("m", new() { KeysIfUndelivered = [["dead"]] }).CommitAsync();
        await test.Engine.Queue.ClaimAsync(new ClaimWork([new TopicClaim(typeof(string).FullName!, 1, TimeSpan.FromSeconds(30))], 1, "owner"), default);
        await test.Store.EnqueueAsync("m");

        Assert.Equal(["blob blob integer integer integer integer"], await QueryAsync(test, "select distinct typeof(k), typeof(v), typeof(v_encoding), typeof(version), typeof(seq), typeof(expiration_ms) from kv"));
        Assert.Equal(["integer integer integer"], await QueryAsync(test, "select distinct typeof(k), typeof(version), typeof(seq) from data_version"));
        Assert.Equal(["integer text blob text text"], await QueryAsync(test, "select distinct typeof(ts), typeof(id), typeof(data), typeof(backoff_schedule), typeof(keys_if_undelivered) from queue"));
        Assert.Equal(
            ["integer text blob text text [[2,100,101,97,100,0]]"],
            await QueryAsync(test, "select distinct typeof(deadline), typeof(id), typeof(data), typeof(backoff_schedule), typeof(keys_if_undelivered), keys_if_undelivered from queue_running"));
    }

    [Fact]
    public async Task Columns_are_declared_as_Deno_declares_them()
    {
        await using var test = await database.CreateStoreAsync();

        // Deno names the columns, so their order is free.
        Assert.Equal(
            ["expiration_ms integer 1 0", "k blob 1 1", "seq integer 1 0", "v blob 1 0", "v_encoding integer 1 0", "version integer 1 0"],
            (await ColumnsAsync(test, "kv")).Order(StringComparer.Ordinal));
        Assert.Equal(["k integer 1 1", "version integer 1 0", "seq integer 1 0"], await ColumnsAsync(test, "data_version"));
        Assert.Equal(
            ["ts integer 1 1", "id text 1 2", "data blob 1 0", "backoff_schedule text 1 0", "keys_if_undelivered blob 1 0"],
            (await ColumnsAsync(test, "queue")).Take(5));
        Assert.Equal(
            ["deadline integer 1 1", "id text 1 2", "data blob 1 0", "backoff_schedule text 1 0", "keys_if_undelivered blob 1 0"],
            (await ColumnsAsync(test, "queue_running")).Take(5));
        Assert.Contains("without rowid", Assert.Single(await QueryAsync(test, "select lower(sql) from sqlite_master where name = 'kv'")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Data Source=file::memory:", "The store cannot be in the memory of this connection (data source 'file::memory:')")]
    [InlineData("Data Source='file:x?mode=memory'", "The store cannot be in the memory of this connection (data source 'file:x?mode=memory')")]
    [InlineData("Data Source=x;Mode=Memory;Cache=Shared", "The store cannot be in the memory of this connection (data source '")]
    [InlineData("Data Source=x.db;Cache=Shared", "Cache=Shared makes readers wait for writers")]
    [InlineData("Data Source='file:x.db?cache=shared'", "Cache=Shared makes readers wait for writers")]
    public async Task Memory_of_a_connection_and_shared_caches_are_refused_with_what_to_do_instead(string connectionString, string message)
    {
        await using var test = await database.CreateStoreAsync(connectionString: connectionString);

        var read = await Assert.ThrowsAsync<NotSupportedException>(() => test.Store.GetAsync(["k"]).AsTask());
        var migration = await Assert.ThrowsAsync<NotSupportedException>(() => test.Services.MigrateKvStoreAsync());

        Assert.StartsWith(message, read.Message, StringComparison.Ordinal);
        Assert.Equal(read.Message, migration.Message);
    }

    [Theory]
    [InlineData(KvDurability.Full, "2")]
    [InlineData(KvDurability.Relaxed, "1")]
    public async Task Every_connection_of_the_engine_is_as_durable_as_asked_whatever_it_was_before(KvDurability durability, string synchronous)
    {
        var time = new ManualTime();
        var careless = new Careless();
        var connectionString = await database.CreateMigratedAsync();
        await using (var plain = new SqliteConnection($"{connectionString};Pooling=False"))
        {
            await plain.OpenAsync();
            Assert.Equal("delete", await Careless.ReadAsync(plain, "journal_mode = delete"));
        }

        await using var test = await database.CreateStoreAsync(
            time,
            options => options.Durability = durability,
            connectionString,
            services => services.ConfigureDbContext<KvDbContext>(db => db.AddInterceptors(careless)));
        await test.Store.SetAsync(["k"], 1);
        await test.Store.GetManyAsync([["k"], ["l"]]);
        using var leases = test.Engine.Queue.OpenLeaseKeeper();

        // Then the sweeper rests, and nobody uses the connections but this test.
        await time.WhenNextTimerAsync(static next => next is not null);
        var open = careless.Opened.Where(static c => c.State == System.Data.ConnectionState.Open).ToList();
        Assert.InRange(open.Count, 3, 10);
        foreach (var connection in open)
        {
            Assert.Equal((synchronous, "wal"), (await Careless.ReadAsync(connection, "synchronous"), await Careless.ReadAsync(connection, "journal_mode")));
        }
    }

    [Fact]
    public async Task Two_processes_and_a_third_program_that_holds_the_lock_never_see_a_locked_database()
    {
        await using var test = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await using var raw = new SqliteConnection(test.ConnectionString);
        await raw.OpenAsync();
        await Careless.ExecuteAsync(raw, "create table rival (n integer)");

        var writers = Task.WhenAll(Enumerable.Range(0, 32).Select(writer => Task.Run(async () =>
        {
            var store = (writer % 2 == 0 ? test : other).Store;
            for (var i = 0; i < 80; i++)
            {
                await store.Atomic().Sum(["n"], 1).Set(["w", writer, i], i).CommitAsync();
                if (i % 16 == 0)
                {
                    Assert.NotNull(await store.GetAsync(["w", writer, i]));
                }
            }
        })));
        var held = 0;
        while (!writers.IsCompleted)
        {
            await Careless.ExecuteAsync(raw, "begin immediate");
            await Careless.ExecuteAsync(raw, "with recursive c (n) as (select 1 union all select n + 1 from c where n < 20000) insert into rival select n from c");
            await Careless.ExecuteAsync(raw, "commit");
            held++;
            await test.Store.GetAsync(["n"]);
        }

        await writers;
        Assert.Equal(2560UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Equal(2560, await other.Store.CountAsync(KvRange.Prefix(["w"])));
        Assert.True(held > 0);
    }

    /// <summary>Moves the log into the file and empties it. Waits for readings under way (the watch and the sweeper look when they like), not for one that has no end.</summary>
    /// <returns>Whether one was in the way, the pages of the log, and how many of them are in the file.</returns>
    private static async Task<string> CheckpointAsync(KvTestStore test, TimeSpan? patience = null)
    {
        var milliseconds = (int)(patience ?? TimeSpan.FromSeconds(30)).TotalMilliseconds;
        return (await QueryAsync(test, string.Create(CultureInfo.InvariantCulture, $"pragma busy_timeout = {milliseconds}; pragma wal_checkpoint(truncate)")))[^1];
    }

    private static async Task<List<string>> ColumnsAsync(KvTestStore test, string table) =>
        await QueryAsync(test, $"select name, lower(type), \"notnull\", pk from pragma_table_info('{table}')");

    private static async Task<List<string>> QueryAsync(KvTestStore test, string sql)
    {
        await using var connection = new SqliteConnection(test.ConnectionString);
        await connection.OpenAsync();
        await using var command = new SqliteCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync();
        List<string> rows = [];
        do
        {
            while (await reader.ReadAsync())
            {
                var values = new object[reader.FieldCount];
                reader.GetValues(values);
                rows.Add(string.Join(' ', values));
            }
        }
        while (await reader.NextResultAsync());

        return rows;
    }

    /// <summary>Makes each connection careless when it opens, as other users of a pool may leave it.</summary>
    private sealed class Careless : DbConnectionInterceptor
    {
        public ConcurrentBag<DbConnection> Opened { get; } = [];

        public static async Task<string?> ReadAsync(DbConnection connection, string pragma)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = $"pragma {pragma}";
            return Convert.ToString(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
        }

        public static async Task ExecuteAsync(DbConnection connection, string sql)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = sql;
            await command.ExecuteNonQueryAsync();
        }

        public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData) =>
            ConnectionOpenedAsync(connection, eventData).GetAwaiter().GetResult();

        public override Task ConnectionOpenedAsync(DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
        {
            Opened.Add(connection);
            return ExecuteAsync(connection, "pragma synchronous = off");
        }
    }
}
