using System.Data.Common;
using Kv.Messages;
using Kv.Sql;
using Kv.Sqlite;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

public sealed class SqliteMigrationTests(SqliteDatabase database) : MigrationSpec(database), IClassFixture<SqliteDatabase>
{
    private readonly SqliteDatabase _database = database;

    [Theory]
    [InlineData(4, new[] { "Messages", "Delivery", "Place", "Scope", "Changes" })]
    [InlineData(3, new[] { "Messages", "Delivery", "Place", "Scope", "Changes" })]
    [InlineData(2, new[] { "Expiry", "Messages", "Delivery", "Place", "Scope", "Changes" })]
    public async Task A_file_that_Deno_made_is_taken_over_with_its_data(int state, string[] missing)
    {
        await using var test = await _database.CreateStoreAsync(connectionString: await _database.CreateEmptyAsync());
        KvKey[] keys = [["a"], ["a", "b"], ["a", 1], ["a", 2], ["b"]];
        await MakeDenoFileAsync(test.ConnectionString, state, keys);

        var applied = await test.Services.MigrateKvStoreAsync();

        Assert.Equal(missing, applied.Select(NameOf));
        var listed = await test.Store.ListAsync(KvRange.Prefix(KvKey.Empty)).ToListAsync();
        Assert.Equal(keys.Order(), listed.Select(static e => e.Key));
        Assert.All(listed, static e => Assert.Equal(KvEncoding.UInt64, e.Value.Encoding));
        Assert.Equal([1, 2, 3, 4, 5], keys.Select(key => (int)listed.Single(e => e.Key == key).As<ulong>()));
        Assert.Equal("00000000000000060000", (await test.Store.SetAsync(["c"], 1UL)).ToString());
        var claimed = await test.Engine.Queue.ClaimAsync(
            new ClaimWork([new TopicClaim("", 10, TimeSpan.FromMinutes(1))], 10, "me") { Recover = true }, default);
        Assert.Equal(["running", "waiting"], claimed.Select(static m => m.Fence.Id).Order(StringComparer.Ordinal));
        Assert.Equal("[[2,97,0]]", claimed.Single(static m => m.Fence.Id == "waiting").Undelivered);

        // Deno goes by its own number, and would make the columns of its step 3 again if the number were behind them.
        await using var context = test.CreateContext();
        var number = (await context.Database.SqlQuery<int>($"select version as Value from migration_state").ToListAsync()).Single();
        Assert.Equal(Math.Max(3, state), number);
        Assert.Empty(await test.Services.MigrateKvStoreAsync());
    }

    [Fact]
    public async Task A_file_of_a_Deno_without_queues_is_taken_over_with_its_data()
    {
        await using var test = await _database.CreateStoreAsync(connectionString: await _database.CreateEmptyAsync());
        KvKey[] keys = [["a"], ["b", 1]];
        await MakeDenoFileAsync(test.ConnectionString, 1, keys);

        Assert.Equal(
            ["Expiry", "Messages", "Delivery", "Place", "Scope", "Changes"], (await test.Services.MigrateKvStoreAsync()).Select(NameOf));

        Assert.Equal(keys.Order(), await test.Store.ListKeysAsync(KvRange.Prefix(KvKey.Empty)).ToListAsync());
        Assert.Equal(
            "00000000000000060000", (await test.Store.SetAsync(["c"], new KvValue(new byte[] { 1 }, KvEncoding.Bytes))).ToString());
        await AssertTakenOverAsync(test);
    }

    [Theory]
    [InlineData("")]
    [InlineData("insert into migration_state values (0, 0)")]
    public async Task A_file_of_which_a_Deno_of_2023_had_only_begun_to_make_the_tables_is_taken_over(string row)
    {
        await using var test = await _database.CreateStoreAsync(connectionString: await _database.CreateEmptyAsync());
        await ExecuteAsync(
            test.ConnectionString, $"create table migration_state (k integer not null primary key, version integer not null); {row}");

        Assert.Equal(
            ["Expiry", "Messages", "Delivery", "Place", "Scope", "Changes"], (await test.Services.MigrateKvStoreAsync()).Select(NameOf));

        await AssertTakenOverAsync(test);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_file_in_which_messages_that_run_have_an_id_in_common_is_taken_over_with_all_of_them(int state)
    {
        await using var test = await _database.CreateStoreAsync(connectionString: await _database.CreateEmptyAsync());
        await MakeDenoFileAsync(test.ConnectionString, state, []);
        await ExecuteAsync(test.ConnectionString, "insert into queue_running values (7, 'running', x'ff0f4904', '[]', '[]'), (8, 'running', x'ff0f4906', '[]', '[]')");

        await test.Services.MigrateKvStoreAsync();

        var claimed = await test.Engine.Queue.ClaimAsync(
            new ClaimWork([new TopicClaim("", 10, TimeSpan.FromMinutes(1))], 10, "me") { Recover = true }, default);
        Assert.Equal(["02", "02", "04", "06"], claimed.Select(static m => Convert.ToHexString(m.Data)[6..]).Order(StringComparer.Ordinal));
        Assert.Equal(4, claimed.Select(static m => m.Fence.Id).Distinct().Count());
        await AssertTakenOverAsync(test);
    }

    [Fact]
    public async Task What_Deno_could_not_read_is_refused_in_a_file_that_it_made_before_anything_is_written()
    {
        await using var test = await _database.CreateStoreAsync(connectionString: await _database.CreateEmptyAsync());
        await MakeDenoFileAsync(test.ConnectionString, 3, [["a"]]);
        await test.Services.MigrateKvStoreAsync();

        var json = new KvValue("{}"u8, KvEncoding.Json);
        var asJson = new KvSetOptions { Encoding = KvEncoding.Json };
        var value = await RefusedAsync(test.Store.Atomic().Sum(["n"], 1).Set(["orders", 42], new { Number = 1 }, asJson));
        var suffix = await RefusedAsync(test.Store.Atomic().SetVersionstamped(["log"], json));
        var message = await RefusedAsync(test.Store.Atomic().Sum(["n"], 1).Enqueue(json));
        var merged = await RefusedAsync(test.Store.Atomic().Sum(["n"], 1).Merge(["log"], KvMerge.Append, 1));
        await using (var context = test.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            await Assert.ThrowsAsync<KvException>(() => test.Store.Atomic().Set(["joined"], json).CommitAsync(context).AsTask());
            await transaction.CommitAsync();
        }

        Assert.All([value, suffix, message, merged], static error => Assert.Equal(KvErrorKind.Encoding, error.Kind));
        Assert.All(
            ["[\"orders\", 42]", "JSON", "Deno", "byte[]", "V8"], part => Assert.Contains(part, value.Message, StringComparison.Ordinal));
        Assert.All(["JSON", "Deno", "byte[]", "V8"], part => Assert.Contains(part, message.Message, StringComparison.Ordinal));
        Assert.False(await test.Store.ExistsAsync(["n"]));
        await test.Store.Atomic().Set(["bytes"], new byte[] { 1 })
            .Set(["v8"], new KvValue(new byte[] { 0xFF, 0x0F, 0x49, 2 }, KvEncoding.V8)).Sum(["n"], 1)
            .Enqueue(new KvValue(new byte[] { 0xFF, 0x0F, 0x49, 2 }, KvEncoding.V8)).CommitAsync();
        await using var read = test.CreateContext();
        Assert.Empty(await read.Set<Model.StoredEntry>().Where(static e => e.Encoding == KvEncoding.Json).ToListAsync());
        Assert.Equal(2, await read.Set<Model.QueuedMessage>().CountAsync());

        static Task<KvException> RefusedAsync(KvAtomic write) => Assert.ThrowsAsync<KvException>(() => write.CommitAsync().AsTask());
    }

    [Fact]
    public async Task A_file_that_EfKv_made_takes_JSON()
    {
        await using var test = await _database.CreateStoreAsync();

        await test.Store.SetAsync(["a"], new { Number = 1 });

        Assert.Equal(KvEncoding.Json, (await test.Store.GetAsync(["a"]))!.Value.Encoding);
    }

    [Fact]
    public async Task A_use_of_an_absent_file_makes_none()
    {
        var absent = await AbsentAsync();
        await using var test = await _database.CreateStoreAsync(connectionString: absent);

        await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["a"], 1).AsTask());

        Assert.False(File.Exists(new SqliteConnectionStringBuilder(absent).DataSource));
    }

    [Fact]
    public async Task A_file_that_another_starter_makes_between_two_looks_is_migrated()
    {
        var absent = await AbsentAsync();
        var rival = new Rival(new SqliteConnectionStringBuilder(absent).DataSource);
        await using var test = await _database.CreateStoreAsync(
            connectionString: absent, services: services => services.ConfigureDbContext<KvDbContext>(db => db.AddInterceptors(rival)));

        Assert.Equal(7, (await test.Services.MigrateKvStoreAsync()).Count);

        Assert.True(rival.IsDone);
    }

    protected override Task<string> AbsentAsync() => _database.CreateEmptyAsync();

    protected override async Task<(DbConnection Holder, Func<Task> Die)> HoldMigrationLockAsync(string connectionString)
    {
        var connection = await OpenAsync(connectionString);
        await ExecuteAsync(connection, new SqliteSql(TableNames.Default).BeginMigration);
        return (connection, () => connection.DisposeAsync().AsTask());
    }

    /// <summary>It works, and Deno opens it: it goes by its own number.</summary>
    private static async Task AssertTakenOverAsync(KvTestStore test)
    {
        await using var context = test.CreateContext();
        Assert.Equal(
            3, (await context.Database.SqlQuery<int>($"select version as Value from migration_state where k = 0").ToListAsync()).Single());
        await test.Store.Atomic().Sum(["n"], 1).CommitAsync();
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Empty(await test.Services.MigrateKvStoreAsync());
    }

    private static async Task MakeDenoFileAsync(string connectionString, int state, KvKey[] keys)
    {
        await using var connection = await OpenAsync(connectionString);
        await ExecuteAsync(connection, """
            pragma journal_mode = wal;
            create table migration_state (k integer not null primary key, version integer not null);
            create table data_version (k integer primary key, version integer not null);
            insert into data_version (k, version) values (0, 0);
            create table kv (k blob primary key, v blob not null, v_encoding integer not null, version integer not null) without rowid;
            """);
        if (state > 1)
        {
            await ExecuteAsync(connection, """
                create table queue (ts integer not null, id text not null, data blob not null, backoff_schedule text not null,
                    keys_if_undelivered blob not null, primary key (ts, id));
                create table queue_running (deadline integer not null, id text not null, data blob not null, backoff_schedule text not null,
                    keys_if_undelivered blob not null, primary key (deadline, id));
                """);
        }

        if (state > 2)
        {
            await ExecuteAsync(connection, """
                alter table kv add column seq integer not null default 0;
                alter table data_version add column seq integer not null default 0;
                alter table kv add column expiration_ms integer not null default -1;
                create index kv_expiration_ms_idx on kv (expiration_ms);
                """);
        }

        await ExecuteAsync(connection, $"insert into migration_state values (0, {state}); update data_version set version = 5");
        if (state > 1)
        {
            await ExecuteAsync(connection, """
                insert into queue values (5, 'waiting', x'ff0f4902', '[100]', '[[2,97,0]]');
                insert into queue_running values (6, 'running', x'ff0f4902', '[]', x'5b5d')
                """);
        }

        for (var i = 0; i < keys.Length; i++)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = "insert into kv (k, v, v_encoding, version) values ($k, $v, 2, $version)";
            command.Parameters.AddWithValue("$k", keys[i].Encoded.ToArray());
            command.Parameters.AddWithValue("$v", KvValue.FromUInt64((ulong)i + 1).Bytes.ToArray());
            command.Parameters.AddWithValue("$version", i + 1);
            await command.ExecuteNonQueryAsync();
        }
    }

    private static async Task ExecuteAsync(string connectionString, string text)
    {
        await using var connection = await OpenAsync(connectionString);
        await ExecuteAsync(connection, text);
    }

    private static async Task ExecuteAsync(SqliteConnection connection, string text)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = text;
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<SqliteConnection> OpenAsync(string connectionString)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        return connection;
    }

    /// <summary>Another starter, which makes the file when this one has seen that there is none.</summary>
    private sealed class Rival(string file) : DbConnectionInterceptor
    {
        public bool IsDone { get; private set; }

        public override void ConnectionFailed(DbConnection connection, ConnectionErrorEventData eventData)
        {
            if (!IsDone)
            {
                File.Create(file).Dispose();
                IsDone = true;
            }
        }

        public override Task ConnectionFailedAsync(
            DbConnection connection, ConnectionErrorEventData eventData, CancellationToken cancellationToken = default)
        {
            ConnectionFailed(connection, eventData);
            return Task.CompletedTask;
        }
    }

    [KvMessage("order")]
    private sealed record Order(int Number);
}
