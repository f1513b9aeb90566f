using System.Data.Common;
using Kv.Messages;
using Kv.PostgreSql;
using Kv.Schema;
using Kv.Sql;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Migrations.Operations;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Kv.Tests.Specs;

public abstract class MigrationSpec(KvDatabase database)
{
    private const int Starters = 8;

    [Fact]
    public async Task The_migrations_are_the_model()
    {
        await using var test = await database.CreateStoreAsync();
        await using var context = test.CreateContext();

        Assert.False(context.Database.HasPendingModelChanges());
    }

    [Fact]
    public async Task The_model_that_is_made_ahead_is_the_model()
    {
        await using var test = await database.CreateStoreAsync();
        await using var context = test.CreateContext();
        var made = context.GetService<IDesignTimeModel>().Model;

        Assert.NotSame(made, context.Model);
        Assert.Equal(Text(made), Text(context.Model));

        // What queries and commands are made of; the rest matters to migrations alone, which do not see it.
        static string Text(IReadOnlyModel model) =>
            string.Join('\n', model.GetEntityTypes().OrderBy(static e => e.Name, StringComparer.Ordinal).SelectMany(static e =>
            e.GetProperties().OrderBy(static p => p.Name, StringComparer.Ordinal)
                .Select(static p => $"{p.DeclaringType.Name}.{p.Name}: {p.GetColumnName()} {p.GetColumnType()} {p.ClrType} {p.IsNullable} {p.ValueGenerated} {p.GetDefaultValue()}")
                .Append($"{e.GetTableName()} {e.FindPrimaryKey()}")
                .Concat(e.GetIndexes().Select(static i => $"{i.GetDatabaseName()} {i.IsUnique} {i.GetFilter()} {string.Join(',', i.Properties.Select(static p => p.Name))}").Order(StringComparer.Ordinal))));
    }

    [Fact]
    public async Task An_upgrade_keeps_what_is_there_and_gives_new_columns_their_defaults()
    {
        await using var test = await CreateAtAsync("Initial");
        await using var context = test.CreateContext();
        byte[] key = KvKey.Create(["a", 1]).Encoded.ToArray();
        byte[] value = KvValue.FromUInt64(7).Bytes.ToArray();
        byte[] message = [0xff, 0x0f, 0x49, 0x02];
        await context.Database.ExecuteSqlAsync($"insert into kv (k, v, v_encoding, version) values ({key}, {value}, 2, 3)");
        await context.Database.ExecuteSqlAsync($"update data_version set version = 3 where k = 0");
        await context.Database.ExecuteSqlAsync(
            $"insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered) values (5, 'waiting', {message}, '[100]', '[[2,97,0]]')");
        await context.Database.ExecuteSqlAsync(
            $"insert into queue_running (deadline, id, data, backoff_schedule, keys_if_undelivered) values (6, 'running', {message}, '[]', '[]')");

        var applied = await test.Services.MigrateKvStoreAsync();

        Assert.Equal(["Expiry", "Messages", "Delivery", "Place", "Scope", "Changes"], applied.Select(NameOf));
        var entry = await test.Store.GetAsync(["a", 1]);
        Assert.Equal(7ul, entry!.As<ulong>());
        Assert.Equal("00000000000000030000", entry.Versionstamp.ToString());
        Assert.Equal(-1, (await context.Entries.SingleAsync()).ExpiresAt);
        var waiting = await context.QueuedMessages.SingleAsync();
        Assert.Equal(("waiting", 5, "", "", KvEncoding.V8, 0, 0, 0), (waiting.Id, waiting.DueAt, waiting.Topic, waiting.Type, waiting.Encoding, waiting.Attempt, waiting.Crashes, waiting.Claim));
        Assert.Equal(
            ("[100]", "[[2,97,0]]", 0, null), (waiting.BackoffSchedule, waiting.KeysIfUndelivered, waiting.EnqueuedAt, waiting.Trace));
        var running = await context.RunningMessages.SingleAsync();
        Assert.Equal(
            ("running", 6, null, "", KvEncoding.V8), (running.Id, running.Deadline, running.DueAt, running.Owner, running.Encoding));
        Assert.Equal(message, running.Data);
        Assert.Equal("00000000000000040000", (await test.Store.SetAsync(["b"], 1)).ToString());

        // What was running belongs to nobody and is long overdue, so the first worker to look takes both. Since when it was due nobody
        // knows.
        var claimed = await test.Engine.Queue.ClaimAsync(
            new ClaimWork([new TopicClaim("", 10, TimeSpan.FromMinutes(1))], 10, "me") { Recover = true }, default);
        Assert.Equal(["waiting", "running"], claimed.Select(static m => m.Fence.Id));
    }

    [Fact]
    public async Task Of_many_starters_one_migrates_and_the_others_wait()
    {
        var empty = await database.CreateEmptyAsync();

        var applied = await MigrateTogetherAsync(empty);

        Assert.Equal(["Changes", "Delivery", "Expiry", "Initial", "Messages", "Place", "Scope"], applied.SelectMany(static names => names).Select(NameOf).Order(StringComparer.Ordinal));
        await using var test = await database.CreateStoreAsync(connectionString: empty);
        await test.Store.SetAsync(["a"], 1);
        await using var context = test.CreateContext();
        Assert.Equal(7, (await context.Database.GetAppliedMigrationsAsync()).Count());
        Assert.Single(await context.Versions.Where(static v => v.Key == 0).ToListAsync());
    }

    [Fact]
    public async Task Many_starters_create_a_database_that_is_absent()
    {
        var absent = await AbsentAsync();

        var applied = await MigrateTogetherAsync(absent);

        Assert.Equal(7, applied.Sum(static names => names.Count));
    }

    [Fact]
    public async Task Migrating_twice_does_nothing()
    {
        await using var test = await database.CreateStoreAsync();

        Assert.Empty(await test.Services.MigrateKvStoreAsync());
    }

    [Theory]
    [InlineData("0")]
    [InlineData("Initial")]
    [InlineData("Expiry")]
    public async Task A_schema_that_is_behind_is_named_with_the_remedy(string at)
    {
        await using var test = await CreateAtAsync(at);

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.GetAsync(["a"]).AsTask());

        Assert.Equal(KvErrorKind.Schema, error.Kind);
        Assert.Contains("_Messages", error.Message, StringComparison.Ordinal);
        Assert.Equal(at != "Expiry", error.Message.Contains("_Expiry", StringComparison.Ordinal));
        Assert.Equal(at == "0", error.Message.Contains("_Initial", StringComparison.Ordinal));
        Assert.Contains("MigrateKvStoreAsync()", error.Message, StringComparison.Ordinal);
        Assert.Contains("dotnet ef database update", error.Message, StringComparison.Ordinal);

        await test.Services.MigrateKvStoreAsync();
        Assert.Null(await test.Store.GetAsync(["a"]));
    }

    [Fact]
    public async Task An_absent_database_is_named_and_not_created()
    {
        var absent = await AbsentAsync();
        await using var test = await database.CreateStoreAsync(connectionString: absent);

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.GetAsync(["a"]).AsTask());

        Assert.Equal(KvErrorKind.Schema, error.Kind);
        Assert.Contains("_Initial", error.Message, StringComparison.Ordinal);
        await using var context = test.CreateContext();
        Assert.False(await context.Database.CanConnectAsync());
    }

    [Fact]
    public async Task A_schema_that_is_ahead_is_refused_by_use_and_by_migration()
    {
        await using var test = await database.CreateStoreAsync();
        await using var context = test.CreateContext();
        await context.Database.ExecuteSqlAsync($"insert into __kv_migrations values ('29990101000000_Later', '99.0.0')");

        foreach (var use in new[] { () => test.Store.GetAsync(["a"]).AsTask(), () => (Task)test.Services.MigrateKvStoreAsync() })
        {
            var error = await Assert.ThrowsAsync<KvException>(use);
            Assert.Equal(KvErrorKind.Schema, error.Kind);
            Assert.Contains("29990101000000_Later", error.Message, StringComparison.Ordinal);
            Assert.Contains("Update", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_schema_with_a_newer_migration_that_lets_this_version_go_on_is_used_and_said_once()
    {
        var logs = new LogCollector();
        await using var test = await database.CreateStoreAsync(services: services => services.AddLogging(
            logging => logging.SetMinimumLevel(LogLevel.Information).AddProvider(logs.CreateProvider())));
        await using (var context = test.CreateContext())
        {
            await context.Database.ExecuteSqlAsync($"insert into __kv_migrations values ({NewerVersion.Migration}, '99.0.0')");
        }

        await test.Store.SetAsync(["a"], 1);

        Assert.Empty(await test.Services.MigrateKvStoreAsync());
        Assert.Equal(1, await test.Store.GetAsync<int>(["a"]));
        var (level, _, text) = Assert.Single(logs.Entries, static e => e.Event == 20);
        Assert.Equal(LogLevel.Information, level);
        Assert.Contains(NewerVersion.Migration, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_schema_with_a_newer_migration_and_without_one_of_this_version_is_refused_and_not_changed()
    {
        await using var test = await CreateAtAsync("Place");
        await using var context = test.CreateContext();
        await context.Database.ExecuteSqlAsync($"insert into __kv_migrations values ('29990101000000_Tags_Beside_Place', '99.0.0')");

        foreach (var use in new[] { () => test.Store.GetAsync(["a"]).AsTask(), () => (Task)test.Services.MigrateKvStoreAsync() })
        {
            var error = await Assert.ThrowsAsync<KvException>(use);
            Assert.Equal(KvErrorKind.Schema, error.Kind);
            Assert.Contains("_Changes_Beside_Scope of this one are not applied", error.Message, StringComparison.Ordinal);
        }

        Assert.Equal(6, (await context.Database.GetAppliedMigrationsAsync()).Count());
    }

    [Fact]
    public async Task A_migration_that_lets_older_versions_go_on_names_one_before_it_and_only_adds()
    {
        await using var test = await database.CreateStoreAsync(services: NewerVersion.Use);
        await using var context = test.CreateContext();
        var assembly = context.GetService<IMigrationsAssembly>();
        var harm = assembly.Migrations.ToDictionary(
            static m => m.Key, m => Harm(assembly.CreateMigration(m.Value, context.Database.ProviderName!)));
        var ids = harm.Keys.Order(StringComparer.Ordinal).ToList();

        var faults = ids.Where(static id => SchemaVersions.OldestBeside(id) is not null)
            .Where(id => harm[id].Count > 0
                || !ids.TakeWhile(before => before != id).Any(before => NameOf(before) == SchemaVersions.OldestBeside(id)));

        Assert.Empty(faults);
        Assert.Contains(NewerVersion.Migration, ids);

        // What older versions cannot stand is found: another index in the place of one, one that refuses what they write, and unknown SQL.
        Assert.Contains(nameof(DropIndexOperation), harm.Single(static m => NameOf(m.Key) == "Delivery").Value);
        Assert.Contains(nameof(CreateIndexOperation), harm.Single(static m => NameOf(m.Key) == "Messages").Value);
        Assert.Contains(nameof(SqlOperation), harm.Single(static m => NameOf(m.Key) == "Initial").Value);

        static List<string> Harm(Migration migration) =>
        [
            .. migration.UpOperations
                .Where(static operation => operation is not (CreateTableOperation or CreateIndexOperation { IsUnique: false }
                    or AddColumnOperation { IsNullable: true } or AddColumnOperation { DefaultValue: not null }))
                .Select(static operation => operation.GetType().Name),
        ];
    }

    [Fact]
    public async Task Each_migration_can_be_taken_back_and_applied_again()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["a"], "kept");
        await using var context = test.CreateContext();
        var migrator = context.GetService<IMigrator>();

        await migrator.MigrateAsync("Expiry");
        await migrator.MigrateAsync("Initial");
        var applied = await test.Services.MigrateKvStoreAsync();

        Assert.Equal(["Expiry", "Messages", "Delivery", "Place", "Scope", "Changes"], applied.Select(NameOf));
        Assert.Equal("kept", await test.Store.GetAsync<string>(["a"]));

        await migrator.MigrateAsync("0");
        Assert.Empty(await context.Database.GetAppliedMigrationsAsync());
        Assert.Equal(7, (await test.Services.MigrateKvStoreAsync()).Count);
    }

    [Fact]
    public async Task A_migrator_that_died_with_the_lock_holds_up_nobody()
    {
        await using var test = await database.CreateStoreAsync(connectionString: await database.CreateEmptyAsync());
        var (holder, die) = await HoldMigrationLockAsync(test.ConnectionString);
        await using (holder)
        {
            var waiting = Task.Run(() => test.Services.MigrateKvStoreAsync());

            await die();

            Assert.Equal(7, (await waiting.WaitAsync(TimeSpan.FromSeconds(30))).Count);
        }
    }

    protected static string NameOf(string migration) => SchemaVersions.NameOf(migration);

    /// <summary>To a database that is not there.</summary>
    protected abstract Task<string> AbsentAsync();

    /// <summary>Takes the lock as a migrator does, in a process of its own as far as the database can tell.</summary>
    /// <returns>The connection, and how its process dies.</returns>
    protected abstract Task<(DbConnection Holder, Func<Task> Die)> HoldMigrationLockAsync(string connectionString);

    private async Task<KvTestStore> CreateAtAsync(string migration)
    {
        var test = await database.CreateStoreAsync(connectionString: await database.CreateEmptyAsync());
        await using var context = test.CreateContext();
        if (migration != "0")
        {
            await context.GetService<IMigrator>().MigrateAsync(migration);
        }

        return test;
    }

    private async Task<IReadOnlyList<string>[]> MigrateTogetherAsync(string connectionString)
    {
        var stores = await Task.WhenAll(
            Enumerable.Range(0, Starters).Select(_ => database.CreateStoreAsync(connectionString: connectionString)));
        try
        {
            return await Task.WhenAll(stores.Select(static store => Task.Run(() => store.Services.MigrateKvStoreAsync())));
        }
        finally
        {
            foreach (var store in stores)
            {
                await store.DisposeAsync();
            }
        }
    }
}

public sealed class PostgresMigrationTests(PostgresDatabase database) : MigrationSpec(database), IClassFixture<PostgresDatabase>
{
    private readonly PostgresDatabase _database = database;

    protected override async Task<string> AbsentAsync()
    {
        var builder = new NpgsqlConnectionStringBuilder(await _database.CreateEmptyAsync());
        await _database.ExecuteAsync($"drop database {builder.Database} with (force)");
        return builder.ConnectionString;
    }

    protected override async Task<(DbConnection Holder, Func<Task> Die)> HoldMigrationLockAsync(string connectionString)
    {
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(new PostgreSqlSql(TableNames.Default, serverClock: true).BeginMigration, connection);
        await command.ExecuteNonQueryAsync();
        return (connection, () => _database.ExecuteAsync($"select pg_terminate_backend({connection.ProcessID})"));
    }
}
