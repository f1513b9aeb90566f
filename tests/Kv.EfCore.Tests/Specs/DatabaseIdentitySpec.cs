using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.Tests.Specs;

/// <summary>A store knows its database: no write of one store gets into another database by the context that it is joined to.</summary>
public abstract class DatabaseIdentitySpec(KvDatabase database)
{
    protected KvDatabase Database { get; } = database;

    [Fact]
    public async Task A_write_joined_to_another_database_is_refused_and_the_transaction_goes_on()
    {
        await using var test = await Database.CreateStoreAsync();
        await using var other = await Database.CreateStoreAsync();
        await using var context = await NotesAsync(other.ConnectionString);
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            context.Notes.Add(new Note { Text = "before" });
            await context.SaveChangesAsync();

            // What depends on nothing that is stored goes another way than what does.
            await AssertRefusedAsync(test, context);
            await AssertRefusedAsync(test, context, static write => write.Check(["k"], null).Sum(["n"], 1));
            await AssertRefusedAsync(test, context);

            Assert.True((await other.Store.Atomic().Set(["own"], 1).CommitAsync(context)).Succeeded);
            await AssertRefusedAsync(test, context);
            context.Notes.Add(new Note { Text = "after" });
            await context.SaveChangesAsync();
            await transaction.CommitAsync();
        }

        Assert.Equal(2, await context.Notes.CountAsync());
        Assert.Equal([["own"]], await other.KeysAsync());
        Assert.Empty(await test.KeysAsync());
    }

    [Fact]
    public async Task A_write_joined_to_a_copy_of_the_stores_database_is_refused()
    {
        var original = await Database.CreateMigratedAsync();
        await using (var before = await Database.CreateStoreAsync(connectionString: original))
        {
            await before.Store.SetAsync(["k"], 1);
        }

        var copy = await Database.CopyAsync(original);
        await using var test = await Database.CreateStoreAsync(connectionString: original);
        await using var ofCopy = await Database.CreateStoreAsync(connectionString: copy);
        await using var contextOfCopy = await NotesAsync(copy);
        await using var context = await NotesAsync(original);
        await using var inCopy = await contextOfCopy.Database.BeginTransactionAsync();
        await using var inOriginal = await context.Database.BeginTransactionAsync();

        await AssertRefusedAsync(test, contextOfCopy);
        await AssertRefusedAsync(ofCopy, context);
        Assert.True((await ofCopy.Store.Atomic().Set(["copy"], 1).CommitAsync(contextOfCopy)).Succeeded);
        Assert.True((await test.Store.Atomic().Set(["original"], 1).CommitAsync(context)).Succeeded);
        await inCopy.CommitAsync();
        await inOriginal.CommitAsync();

        Assert.Equal([["k"], ["original"]], await test.KeysAsync());
        Assert.Equal([["copy"], ["k"]], await ofCopy.KeysAsync());
    }

    [Fact]
    public async Task A_write_joined_to_a_database_without_the_tables_is_refused_and_the_transaction_goes_on()
    {
        await using var test = await Database.CreateStoreAsync();
        await using var context = await NotesAsync(await Database.CreateEmptyAsync());
        await using var transaction = await context.Database.BeginTransactionAsync();

        await AssertRefusedAsync(test, context);
        await AssertRefusedAsync(test, context, static write => write.Check(["k"], null).Sum(["n"], 1).Enqueue("m"));

        context.Notes.Add(new Note { Text = "after" });
        await context.SaveChangesAsync();
        await transaction.CommitAsync();
        Assert.Equal(1, await context.Notes.CountAsync());
    }

    [Fact]
    public async Task A_write_is_joined_through_every_spelling_of_the_connection_string()
    {
        await using var test = await Database.CreateStoreAsync();
        await (await NotesAsync(test.ConnectionString)).DisposeAsync();
        var number = 0;
        foreach (var spelling in Spellings(test.ConnectionString))
        {
            await using var context = Context(spelling);
            await using var transaction = await context.Database.BeginTransactionAsync();
            Assert.True((await test.Store.Atomic().Set([++number], spelling).CommitAsync(context)).Succeeded, spelling);
            Assert.True((await test.Store.Atomic().Sum(["n"], 1).CommitAsync(context)).Succeeded, spelling);
            await transaction.CommitAsync();
        }

        Assert.Equal((ulong)number, await test.Store.GetAsync<ulong>(["n"]));
        Assert.InRange(number, 2, 20);
    }

    [Fact]
    public async Task Temporary_tables_by_the_names_of_the_stores_are_noticed()
    {
        await using var test = await Database.CreateStoreAsync();
        await using var context = await NotesAsync(test.ConnectionString);
        await context.Database.OpenConnectionAsync();
        await using var transaction = await context.Database.BeginTransactionAsync();
        Assert.True((await test.Store.Atomic().Set(["k"], 1).CommitAsync(context)).Succeeded);
        await context.Database.ExecuteSqlRawAsync("create temporary table kv as select * from kv");

        var error = await AssertRefusedAsync(test, context);

        Assert.Contains("temporary", error.Message, StringComparison.Ordinal);
        await transaction.CommitAsync();
        Assert.Equal([["k"]], await test.KeysAsync());
    }

    [Fact]
    public async Task A_write_that_is_refused_before_it_began_takes_nothing_back()
    {
        await using var test = await Database.CreateStoreAsync();
        await using var other = await Database.CreateStoreAsync();
        await using var context = await NotesAsync(test.ConnectionString);
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            Assert.False((await test.Store.Atomic().Check(["absent"], KvVersionstamp.Parse("00000000000000010000")).Set(["k"], 1).CommitAsync(context)).Succeeded);
            context.Notes.Add(new Note { Text = "between" });
            await context.SaveChangesAsync();
            await AssertRefusedAsync(other, context);
            using var cancelled = new CancellationTokenSource();
            await cancelled.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => test.Store.Atomic().Set(["k"], 1).CommitAsync(context, cancelled.Token).AsTask());
            await transaction.CommitAsync();
        }

        Assert.Equal(1, await context.Notes.CountAsync());
    }

    protected static async Task<InvalidOperationException> AssertRefusedAsync(KvTestStore test, DbContext context, Action<KvAtomic>? write = null)
    {
        var atomic = test.Store.Atomic();
        (write ?? (static w => w.Set(["wrong"], 1).Enqueue("wrong")))(atomic);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => atomic.CommitAsync(context).AsTask());
        Assert.Contains("one commit spans one database", error.Message, StringComparison.Ordinal);
        Assert.Contains(NameOf(test.ConnectionString), error.Message, StringComparison.Ordinal);
        Assert.Contains(NameOf(context.Database.GetConnectionString()!), error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("Password", error.Message, StringComparison.OrdinalIgnoreCase);
        return error;
    }

    protected abstract IEnumerable<string> Spellings(string connectionString);

    protected NotesContext Context(string connectionString)
    {
        var options = new DbContextOptionsBuilder<NotesContext>();
        Database.Configure(options, connectionString);
        return new NotesContext(options.Options);
    }

    /// <summary>A context on a database that has a table of its own.</summary>
    protected async Task<NotesContext> NotesAsync(string connectionString)
    {
        var context = Context(connectionString);
        await context.Database.ExecuteSqlRawAsync(context.Database.GenerateCreateScript());
        return context;
    }

    private static string NameOf(string connectionString) => connectionString.Contains("Host=", StringComparison.Ordinal)
        ? new NpgsqlConnectionStringBuilder(connectionString).Database!
        : Path.GetFileName(new SqliteConnectionStringBuilder(connectionString).DataSource);

    protected sealed class NotesContext(DbContextOptions<NotesContext> options) : DbContext(options)
    {
        public DbSet<Note> Notes => Set<Note>();
    }

    protected sealed class Note
    {
        public int Id { get; private set; }

        public required string Text { get; init; }
    }
}

public sealed class SqliteDatabaseIdentityTests(SqliteDatabase database) : DatabaseIdentitySpec(database), IClassFixture<SqliteDatabase>
{
    [Fact]
    public async Task A_file_that_is_attached_to_another_one_is_not_the_contexts_database()
    {
        await using var test = await Database.CreateStoreAsync();
        await using var context = await NotesAsync(await Database.CreateEmptyAsync());
        await context.Database.OpenConnectionAsync();
        await context.Database.ExecuteSqlRawAsync("attach database {0} as store", new SqliteConnectionStringBuilder(test.ConnectionString).DataSource);
        await using var transaction = await context.Database.BeginTransactionAsync();

        await AssertRefusedAsync(test, context);

        await transaction.CommitAsync();
        Assert.Empty(await test.KeysAsync());
    }

    [Fact]
    public async Task A_file_that_is_attached_to_the_stores_changes_nothing()
    {
        await using var test = await Database.CreateStoreAsync();
        await using var other = await Database.CreateStoreAsync();
        await using var context = await NotesAsync(test.ConnectionString);
        await context.Database.OpenConnectionAsync();
        await context.Database.ExecuteSqlRawAsync("attach database {0} as other", new SqliteConnectionStringBuilder(other.ConnectionString).DataSource);
        await using var transaction = await context.Database.BeginTransactionAsync();

        Assert.True((await test.Store.Atomic().Set(["k"], 1).CommitAsync(context)).Succeeded);

        await transaction.CommitAsync();
        Assert.Equal([["k"]], await test.KeysAsync());
        Assert.Empty(await other.KeysAsync());
    }

    [Fact]
    public async Task A_write_joined_to_a_file_that_took_the_place_of_the_stores_is_refused()
    {
        await using var test = await Database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);
        var file = new SqliteConnectionStringBuilder(test.ConnectionString).DataSource;
        var another = new SqliteConnectionStringBuilder(await Database.CreateMigratedAsync()).DataSource;
        File.Move(another, file, overwrite: true);
        File.Delete($"{file}-wal");
        File.Delete($"{file}-shm");
        await using var context = await NotesAsync(test.ConnectionString);
        await using var transaction = await context.Database.BeginTransactionAsync();

        var error = await AssertRefusedAsync(test, context);

        Assert.Contains("replaced", error.Message, StringComparison.Ordinal);
    }

    protected override IEnumerable<string> Spellings(string connectionString)
    {
        var file = new SqliteConnectionStringBuilder(connectionString).DataSource;
        yield return connectionString;
        yield return $"Data Source={Path.GetRelativePath(Environment.CurrentDirectory, file)};Pooling=False";
        yield return $"Data Source=file:{file}";
        yield return $"Data Source={Path.Combine(Path.GetDirectoryName(file)!, ".", "..", Path.GetFileName(Path.GetDirectoryName(file))!, Path.GetFileName(file))}";
        if (!OperatingSystem.IsWindows())
        {
            var link = Path.ChangeExtension(file, ".link");
            File.CreateSymbolicLink(link, file);
            yield return $"Data Source={link}";
            var folder = Path.ChangeExtension(file, ".folder");
            Directory.CreateSymbolicLink(folder, Path.GetDirectoryName(file)!);
            yield return $"Data Source={Path.Combine(folder, Path.GetFileName(file))}";
        }
    }
}

public sealed class PostgresDatabaseIdentityTests(PostgresDatabase database) : DatabaseIdentitySpec(database), IClassFixture<PostgresDatabase>
{
    private PostgresDatabase Postgres => (PostgresDatabase)Database;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_write_joined_to_another_schema_of_the_same_database_is_refused_and_the_transaction_goes_on(bool pooling)
    {
        var address = await Postgres.CreateMigratedAsync();
        await using var test = await Database.CreateStoreAsync(connectionString: address, options: o => o.TransactionPooling = pooling);
        var tenant = new NpgsqlConnectionStringBuilder(address) { SearchPath = "tenant" }.ConnectionString;
        await using var context = await NotesAsync(address);
        await context.Database.ExecuteSqlRawAsync("create schema tenant");
        await context.Database.ExecuteSqlRawAsync("create schema bare");
        await using var ofTenant = await Database.CreateStoreAsync(connectionString: tenant);
        await ofTenant.Services.MigrateKvStoreAsync();
        await context.Database.OpenConnectionAsync();

        // All on one session of the server, which has the statements of the right schema prepared.
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            Assert.True((await test.Store.Atomic().Set(["right"], 1).CommitAsync(context)).Succeeded);
            foreach (var path in new[] { "tenant, public", "bare", "tenant", "bare" })
            {
                await context.Database.ExecuteSqlAsync($"select set_config('search_path', {path}, false)");
                await AssertRefusedAsync(test, context);
                await AssertRefusedAsync(test, context, static write => write.Set(["wrong"], 1));
                await AssertRefusedAsync(test, context, static write => write.Check(["right"], null).Min(["n"], 1).Enqueue("m"));
            }

            await context.Database.ExecuteSqlRawAsync("set search_path to bare, public");
            Assert.True((await test.Store.Atomic().Set(["right", 2], 1).CommitAsync(context)).Succeeded);
            await transaction.CommitAsync();
        }

        Assert.Equal([["right"], ["right", 2]], await test.KeysAsync());
        Assert.Empty(await ofTenant.KeysAsync());
    }

    [Fact]
    public async Task A_table_of_the_application_that_comes_first_in_the_search_path_is_noticed()
    {
        var address = await Postgres.CreateMigratedAsync();
        await using var test = await Database.CreateStoreAsync(connectionString: address);
        await using var context = await NotesAsync(address);
        await context.Database.ExecuteSqlRawAsync("create schema app; create table app.queue (like public.queue including all)");
        await context.Database.OpenConnectionAsync();
        await context.Database.ExecuteSqlRawAsync("set search_path to app, public");
        await using var transaction = await context.Database.BeginTransactionAsync();

        await AssertRefusedAsync(test, context);

        await transaction.CommitAsync();
    }

    [Fact]
    public async Task A_write_is_joined_to_a_database_that_was_made_anew_under_the_store()
    {
        var address = await Postgres.CreateMigratedAsync();
        await using var test = await Database.CreateStoreAsync(connectionString: address);
        await JoinAsync("before");
        var name = new NpgsqlConnectionStringBuilder(address).Database!;
        var other = new NpgsqlConnectionStringBuilder(await Postgres.CreateMigratedAsync()).Database!;
        await Postgres.ExecuteAsync($"drop database {name} with (force)");
        await Postgres.ExecuteAsync($"alter database {other} rename to {name}");
        Database.Release(address);

        await JoinAsync("after");

        Assert.Equal([["after"]], await test.KeysAsync());

        async Task JoinAsync(string key)
        {
            await using var context = Context(address);
            await using var transaction = await context.Database.BeginTransactionAsync();
            Assert.True((await test.Store.Atomic().Set([key], 1).CommitAsync(context)).Succeeded);
            await transaction.CommitAsync();
        }
    }

    [Fact]
    public async Task A_write_is_joined_through_a_data_source_and_with_the_users_own_prepared_statements()
    {
        var address = await Postgres.CreateMigratedAsync();
        await using var test = await Database.CreateStoreAsync(connectionString: address);
        await using var source = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(address) { MaxAutoPrepare = 20, AutoPrepareMinUsages = 1 }.ConnectionString);
        var options = new DbContextOptionsBuilder<NotesContext>().UseNpgsql(source).Options;
        for (var i = 0; i < 4; i++)
        {
            await using var context = new NotesContext(options);
            await using var transaction = await context.Database.BeginTransactionAsync();
            Assert.True((await test.Store.Atomic().Set(["k", i], 1).Enqueue("m").CommitAsync(context)).Succeeded);
            await transaction.CommitAsync();
        }

        Assert.Equal(4, await test.Store.CountAsync(KvRange.Prefix(["k"])));
    }

    protected override IEnumerable<string> Spellings(string connectionString)
    {
        yield return connectionString;
        yield return connectionString;
        yield return new NpgsqlConnectionStringBuilder(connectionString) { Host = "localhost", ApplicationName = "shop", Pooling = false }.ConnectionString;
        yield return new NpgsqlConnectionStringBuilder(connectionString) { SearchPath = "public" }.ConnectionString;
    }
}
