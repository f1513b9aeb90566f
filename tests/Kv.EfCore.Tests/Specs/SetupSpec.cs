using Kv.Store;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.Tests.Specs;

/// <summary>What goes wrong when a store is set up is named, with the database and the remedy.</summary>
public abstract class SetupSpec(KvDatabase database)
{
    protected KvDatabase Database { get; } = database;

    /// <summary>A connection string of the other provider, which is never opened.</summary>
    protected abstract Action<DbContextOptionsBuilder> OtherProvider { get; }

    [Fact]
    public async Task Of_several_calls_the_last_one_chooses_the_database_whatever_the_provider()
    {
        var address = await Database.CreateMigratedAsync();
        var services = new ServiceCollection();
        services.AddKvStore(OtherProvider, static o => o.MaxReadRanges = 3);
        services.AddKvStore("named", (_, db) => OtherProvider(db));
        services.AddKvStore(db => Database.Configure(db, address));
        services.AddKvStore("named", (_, db) => Database.Configure(db, address));
        await using var provider = services.BuildServiceProvider();

        await provider.GetRequiredService<IKvStore>().SetAsync(["k"], 1);

        Assert.Equal(1, await provider.GetRequiredKeyedService<IKvStore>("named").GetAsync<int>(["k"]));
        Assert.Equal(3, provider.GetRequiredService<KvStore>().Engine.Options.MaxReadRanges);
        await using var context = provider.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();
        Assert.Equal(1, await context.Entries.CountAsync());
        Database.Release(address);
    }

    [Fact]
    public async Task Migrating_tables_of_the_applications_own_model_is_refused_and_says_that_they_are()
    {
        var address = await Database.CreateEmptyAsync();
        await using (var own = new OwnContext(OptionsOf<OwnContext>(address)))
        {
            await own.Database.ExecuteSqlRawAsync(own.Database.GenerateCreateScript());
        }

        await using var test = await Database.CreateStoreAsync(connectionString: address);

        var error = await Assert.ThrowsAsync<KvException>(() => test.Services.MigrateKvStoreAsync());

        Assert.Equal(KvErrorKind.Schema, error.Kind);
        Assert.Contains("of your own model's migrations (UseKv", error.Message, StringComparison.Ordinal);
        await test.Store.SetAsync(["k"], 1);
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
    }

    [Theory]
    [InlineData("create table queue (name text)", "table 'queue'")]
    [InlineData("create view kv as select 1 as one", "view 'kv'")]
    public async Task A_name_of_the_application_that_is_in_the_way_is_named_by_migrating(string make, string what)
    {
        await using var test = await Database.CreateStoreAsync(connectionString: await Database.CreateEmptyAsync());
        await using (var context = test.CreateContext())
        {
            await context.Database.ExecuteSqlRawAsync(make);
        }

        var error = await Assert.ThrowsAsync<KvException>(() => test.Services.MigrateKvStoreAsync());

        Assert.Equal(KvErrorKind.Schema, error.Kind);
        Assert.Contains(what, error.Message, StringComparison.Ordinal);
        Assert.Contains("of its own", error.Message, StringComparison.Ordinal);
        await using var after = test.CreateContext();
        Assert.Empty(await after.Database.GetAppliedMigrationsAsync());
    }

    [Fact]
    public async Task A_database_that_refuses_to_be_migrated_says_so_as_an_error_of_the_store()
    {
        await using var test = await Database.CreateStoreAsync(connectionString: await Database.CreateEmptyAsync());
        await using (var context = test.CreateContext())
        {
            // The name of an index that the last migrations make.
            await context.Database.ExecuteSqlRawAsync("create table queue_running_id_idx (name text)");
        }

        var error = await Assert.ThrowsAsync<KvException>(() => test.Services.MigrateKvStoreAsync());

        Assert.Equal(KvErrorKind.Schema, error.Kind);
        Assert.Contains("queue_running_id_idx", error.Message, StringComparison.Ordinal);
        Assert.NotNull(error.InnerException);
    }

    protected DbContextOptions<T> OptionsOf<T>(string connectionString)
        where T : DbContext
    {
        var options = new DbContextOptionsBuilder<T>();
        Database.Configure(options, connectionString);
        return options.Options;
    }

    protected sealed class OwnContext(DbContextOptions<OwnContext> options) : DbContext(options)
    {
        protected override void OnModelCreating(ModelBuilder modelBuilder) => modelBuilder.UseKv();
    }

    protected sealed class SalesContext(DbContextOptions<SalesContext> options) : DbContext(options)
    {
        protected override void OnModelCreating(ModelBuilder modelBuilder) => modelBuilder.HasDefaultSchema("sales").UseKv();
    }
}

public sealed class SqliteSetupTests(SqliteDatabase database) : SetupSpec(database), IClassFixture<SqliteDatabase>
{
    protected override Action<DbContextOptionsBuilder> OtherProvider => static db => db.UseNpgsql("Host=nowhere.invalid;Database=never");

    [Fact]
    public async Task A_folder_that_is_missing_is_named_by_use_and_by_migrating()
    {
        var file = FileOf(await Database.CreateEmptyAsync());
        var folder = Path.ChangeExtension(file, ".missing");
        await using var test = await Database.CreateStoreAsync(connectionString: $"Data Source={Path.Combine(folder, "app.db")}");

        foreach (var use in Uses(test))
        {
            var error = await Assert.ThrowsAsync<KvException>(use);
            Assert.Equal(KvErrorKind.Schema, error.Kind);
            Assert.Contains($"the folder '{folder}'", error.Message, StringComparison.Ordinal);
            Assert.Contains("Create the folder", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_file_that_is_missing_is_named_and_the_mode_that_creates_none()
    {
        var file = FileOf(await Database.CreateEmptyAsync());
        await using var test = await Database.CreateStoreAsync(connectionString: $"Data Source={file};Mode=ReadWrite");

        foreach (var use in Uses(test))
        {
            var error = await Assert.ThrowsAsync<KvException>(use);
            Assert.Equal(KvErrorKind.Schema, error.Kind);
            Assert.Contains($"the file '{file}' does not exist, and Mode=ReadWrite creates none", error.Message, StringComparison.Ordinal);
        }

        Assert.False(File.Exists(file));
    }

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public async Task A_read_only_file_is_read_and_writes_are_refused(string journal)
    {
        var address = await Database.CreateMigratedAsync();
        await using (var before = await Database.CreateStoreAsync(connectionString: address))
        {
            await before.Store.SetAsync(["k"], 1);
        }

        await using (var connection = new SqliteConnection(new SqliteConnectionStringBuilder(address) { Pooling = false }.ConnectionString))
        {
            await connection.OpenAsync();
            await using var command = connection.CreateCommand();
            command.CommandText = $"pragma journal_mode = {journal}";
            await command.ExecuteNonQueryAsync();
        }

        await using var test = await Database.CreateStoreAsync(connectionString: $"{address};Mode=ReadOnly");

        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
        Assert.Equal([["k"]], await test.KeysAsync());
        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["k"], 2).AsTask());
        Assert.Equal(KvErrorKind.Unavailable, error.Kind);
        Assert.Contains("read-only", error.Message, StringComparison.Ordinal);
        Assert.Contains(FileOf(address), error.Message, StringComparison.Ordinal);
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
    }

    private static string FileOf(string connectionString) => new SqliteConnectionStringBuilder(connectionString).DataSource;

    private static Func<Task>[] Uses(KvTestStore test) =>
        [() => test.Store.GetAsync(["k"]).AsTask(), () => test.Services.MigrateKvStoreAsync()];
}

public sealed class PostgresSetupTests(PostgresDatabase database) : SetupSpec(database), IClassFixture<PostgresDatabase>
{
    protected override Action<DbContextOptionsBuilder> OtherProvider => static db => db.UseSqlite("Data Source=never-opened.db");

    private PostgresDatabase Postgres => (PostgresDatabase)Database;

    [Fact]
    public async Task A_database_that_is_missing_is_named_with_its_server()
    {
        var settings = new NpgsqlConnectionStringBuilder(Postgres.Server.ConnectionString) { Database = "efkv_nodb", Password = "secret" };
        await using var test = await Database.CreateStoreAsync(connectionString: settings.ConnectionString);

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["k"], 1).AsTask());

        Assert.Equal(KvErrorKind.Schema, error.Kind);
        Assert.Contains(
            $"database \"efkv_nodb\" does not exist on {settings.Host}:{settings.Port}", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_schema_that_is_behind_names_the_database_and_its_server()
    {
        var settings = new NpgsqlConnectionStringBuilder(await Database.CreateEmptyAsync());
        await using var test = await Database.CreateStoreAsync(connectionString: settings.ConnectionString);

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["k"], 1).AsTask());

        Assert.Contains($"database \"{settings.Database}\" on {settings.Host}:{settings.Port}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tables_that_a_default_schema_put_elsewhere_are_found_and_no_second_set_is_made()
    {
        var address = await Database.CreateEmptyAsync();
        await using (var own = new SalesContext(OptionsOf<SalesContext>(address)))
        {
            await own.Database.ExecuteSqlRawAsync(own.Database.GenerateCreateScript());
        }

        await using (var test = await Database.CreateStoreAsync(connectionString: address))
        {
            foreach (var use in (Func<Task>[])[() => test.Store.GetAsync(["k"]).AsTask(), () => test.Services.MigrateKvStoreAsync()])
            {
                var error = await Assert.ThrowsAsync<KvException>(use);
                Assert.Equal(KvErrorKind.Schema, error.Kind);
                Assert.Contains("in schema sales", error.Message, StringComparison.Ordinal);
                Assert.Contains("Set KvStoreOptions.Schema to 'sales'.", error.Message, StringComparison.Ordinal);
                Assert.DoesNotContain("MigrateKvStoreAsync", error.Message, StringComparison.Ordinal);
            }
        }

        var there = new NpgsqlConnectionStringBuilder(address) { SearchPath = "sales" }.ConnectionString;
        await using var found = await Database.CreateStoreAsync(connectionString: there);
        await found.Store.SetAsync(["k"], 1);
        await using var context = new SalesContext(OptionsOf<SalesContext>(address));
        Assert.Equal(1, await context.Set<Model.StoredEntry>().CountAsync());
    }

    [Fact]
    public async Task Migrating_waits_for_a_server_that_is_not_there_as_long_as_a_command_may_take_and_says_why()
    {
        var settings = new NpgsqlConnectionStringBuilder(Postgres.Server.ConnectionString) { Host = "127.0.0.1", Port = 1, Database = "shop" };
        await using var test = await Database.CreateStoreAsync(
            connectionString: settings.ConnectionString, options: static o => o.CommandTimeout = TimeSpan.FromMilliseconds(300));

        var error = await Assert.ThrowsAsync<KvException>(() => test.Services.MigrateKvStoreAsync());

        Assert.Equal(KvErrorKind.Unavailable, error.Kind);
        Assert.Contains("database \"shop\" on 127.0.0.1:1", error.Message, StringComparison.Ordinal);
        Assert.Contains("Failed to connect", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("transient", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Migrating_goes_on_when_the_server_is_there()
    {
        var settings = new NpgsqlConnectionStringBuilder(await Database.CreateEmptyAsync());
        await using var proxy = new TcpProxy(settings.Host!, settings.Port);
        proxy.Refuse();
        await using var test = await Database.CreateStoreAsync(connectionString: new NpgsqlConnectionStringBuilder(settings.ConnectionString) { Host = "127.0.0.1", Port = proxy.Port }.ConnectionString);
        var migrating = test.Services.MigrateKvStoreAsync();

        proxy.Heal();

        Assert.Equal(7, (await migrating.WaitAsync(TimeSpan.FromSeconds(30))).Count);
    }

    [Theory]
    [InlineData(null, "EfKv")]
    [InlineData("shop", "shop")]
    public async Task Sessions_have_a_name_unless_the_connection_string_gives_one(string? name, string expected)
    {
        var settings = new NpgsqlConnectionStringBuilder(await Database.CreateMigratedAsync()) { ApplicationName = name };
        await using var test = await Database.CreateStoreAsync(connectionString: settings.ConnectionString);
        using (test.Engine.Listener.Listen(watches: true))
        {
            await test.Store.SetAsync(["k"], 1);
            await test.Store.GetAsync(["k"]);

            await using var connection = new NpgsqlConnection(Postgres.Server.ConnectionString);
            await connection.OpenAsync();

            // A session that is being opened, or waits in the driver's pool for another store, has none.
            await using var command = new NpgsqlCommand($"select string_agg(distinct application_name, ',') from pg_stat_activity where datname = '{settings.Database}' and application_name <> ''", connection);
            Assert.Equal(expected, await command.ExecuteScalarAsync());
        }
    }
}
