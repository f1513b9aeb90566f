using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.Tests.Specs;

/// <summary>A store knows its database: no write of one store gets into another database by the context that it is joined to.</summary>
public abstract class DatabaseIdentitySpec(KvDatabase database)
{
    [Fact]
    public async Task A_write_joined_to_another_database_is_refused_and_the_transaction_goes_on()
    {
        await using var test = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync();
        await using var context = await database.NotesAsync(other.ConnectionString);
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            context.Notes.Add(new Note { Text = "before" });
            await context.SaveChangesAsync();

            // What depends on nothing that is stored goes another way than what does.
            await test.AssertRefusedAsync(context);
            await test.AssertRefusedAsync(context, static write => write.Check(["k"], null).Sum(["n"], 1));
            await test.AssertRefusedAsync(context);

            Assert.True((await other.Store.Atomic().Set(["own"], 1).CommitAsync(context)).Succeeded);
            await test.AssertRefusedAsync(context);
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
        var original = await database.CreateMigratedAsync();
        await using (var before = await database.CreateStoreAsync(connectionString: original))
        {
            await before.Store.SetAsync(["k"], 1);
        }

        var copy = await database.CopyAsync(original);
        await using var test = await database.CreateStoreAsync(connectionString: original);
        await using var ofCopy = await database.CreateStoreAsync(connectionString: copy);
        await using var contextOfCopy = await database.NotesAsync(copy);
        await using var context = await database.NotesAsync(original);
        await using var inCopy = await contextOfCopy.Database.BeginTransactionAsync();
        await using var inOriginal = await context.Database.BeginTransactionAsync();

        await test.AssertRefusedAsync(contextOfCopy);
        await ofCopy.AssertRefusedAsync(context);
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
        await using var test = await database.CreateStoreAsync();
        await using var context = await database.NotesAsync(await database.CreateEmptyAsync());
        await using var transaction = await context.Database.BeginTransactionAsync();

        await test.AssertRefusedAsync(context);
        await test.AssertRefusedAsync(context, static write => write.Check(["k"], null).Sum(["n"], 1).Enqueue("m"));

        context.Notes.Add(new Note { Text = "after" });
        await context.SaveChangesAsync();
        await transaction.CommitAsync();
        Assert.Equal(1, await context.Notes.CountAsync());
    }

    [Fact]
    public async Task A_write_is_joined_through_every_spelling_of_the_connection_string()
    {
        await using var test = await database.CreateStoreAsync();
        await (await database.NotesAsync(test.ConnectionString)).DisposeAsync();
        var number = 0;
        foreach (var spelling in Spellings(test.ConnectionString))
        {
            await using var context = database.Notes(spelling);
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
        await using var test = await database.CreateStoreAsync();
        await using var context = await database.NotesAsync(test.ConnectionString);
        await context.Database.OpenConnectionAsync();
        await using var transaction = await context.Database.BeginTransactionAsync();
        Assert.True((await test.Store.Atomic().Set(["k"], 1).CommitAsync(context)).Succeeded);
        await context.Database.ExecuteSqlRawAsync("create temporary table kv as select * from kv");

        var error = await test.AssertRefusedAsync(context);

        Assert.Contains("temporary", error.Message, StringComparison.Ordinal);
        await transaction.CommitAsync();
        Assert.Equal([["k"]], await test.KeysAsync());
    }

    [Fact]
    public async Task A_write_that_is_refused_before_it_began_takes_nothing_back()
    {
        await using var test = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync();
        await using var context = await database.NotesAsync(test.ConnectionString);
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            var refused = await test.Store.Atomic().Check(["absent"], KvVersionstamp.Parse("00000000000000010000")).Set(["k"], 1)
                .CommitAsync(context);
            Assert.False(refused.Succeeded);
            context.Notes.Add(new Note { Text = "between" });
            await context.SaveChangesAsync();
            await other.AssertRefusedAsync(context);
            using var cancelled = new CancellationTokenSource();
            await cancelled.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                () => test.Store.Atomic().Set(["k"], 1).CommitAsync(context, cancelled.Token).AsTask());
            await transaction.CommitAsync();
        }

        Assert.Equal(1, await context.Notes.CountAsync());
    }

    protected abstract IEnumerable<string> Spellings(string connectionString);
}

public sealed class SqliteDatabaseIdentityTests(SqliteDatabase database) : DatabaseIdentitySpec(database), IClassFixture<SqliteDatabase>
{
    protected override IEnumerable<string> Spellings(string connectionString)
    {
        var file = new SqliteConnectionStringBuilder(connectionString).DataSource;
        yield return connectionString;
        yield return $"Data Source={Path.GetRelativePath(Environment.CurrentDirectory, file)};Pooling=False";
        yield return $"Data Source=file:{file}";
        var folderOfIt = Path.GetDirectoryName(file)!;
        yield return $"Data Source={Path.Combine(folderOfIt, ".", "..", Path.GetFileName(folderOfIt), Path.GetFileName(file))}";
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

public sealed class PostgresDatabaseIdentityTests(PostgresDatabase database)
    : DatabaseIdentitySpec(database), IClassFixture<PostgresDatabase>
{
    protected override IEnumerable<string> Spellings(string connectionString)
    {
        yield return connectionString;
        yield return connectionString;
        var other = new NpgsqlConnectionStringBuilder(connectionString) { Host = "localhost", ApplicationName = "shop", Pooling = false };
        yield return other.ConnectionString;
        yield return new NpgsqlConnectionStringBuilder(connectionString) { SearchPath = "public" }.ConnectionString;
    }
}
