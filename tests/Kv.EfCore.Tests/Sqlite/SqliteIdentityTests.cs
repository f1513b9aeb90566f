using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Sqlite;

/// <summary>A file that is attached to another one, or that takes its place, is not the store's.</summary>
public sealed class SqliteIdentityTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    [Fact]
    public async Task A_file_that_is_attached_to_another_one_is_not_the_contexts_database()
    {
        await using var test = await database.CreateStoreAsync();
        await using var context = await database.NotesAsync(await database.CreateEmptyAsync());
        await context.Database.OpenConnectionAsync();
        await context.Database.ExecuteSqlRawAsync(
            "attach database {0} as store", new SqliteConnectionStringBuilder(test.ConnectionString).DataSource);
        await using var transaction = await context.Database.BeginTransactionAsync();

        await test.AssertRefusedAsync(context);

        await transaction.CommitAsync();
        Assert.Empty(await test.KeysAsync());
    }

    [Fact]
    public async Task A_message_gets_into_the_files_table_whatever_temporary_ones_there_are()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        await db.Database.OpenConnectionAsync();
        await db.Database.ExecuteSqlRawAsync("create temporary table queue as select * from queue");
        db.Orders.Add(new ShopOrder { Name = "first" });
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync();

        Assert.Equal(db.Kv().LastCommit!.MessageIds, await shop.MessagesAsync());
        Assert.Equal(["first"], await shop.OrdersAsync());
        Assert.Equal(0, (await db.Database.SqlQuery<int>($"select count(*) as Value from temp.queue").ToListAsync()).Single());
    }

    [Fact]
    public async Task A_file_that_is_attached_to_the_stores_changes_nothing()
    {
        await using var test = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync();
        await using var context = await database.NotesAsync(test.ConnectionString);
        await context.Database.OpenConnectionAsync();
        await context.Database.ExecuteSqlRawAsync(
            "attach database {0} as other", new SqliteConnectionStringBuilder(other.ConnectionString).DataSource);
        await using var transaction = await context.Database.BeginTransactionAsync();

        Assert.True((await test.Store.Atomic().Set(["k"], 1).CommitAsync(context)).Succeeded);

        await transaction.CommitAsync();
        Assert.Equal([["k"]], await test.KeysAsync());
        Assert.Empty(await other.KeysAsync());
    }

    [Fact]
    public async Task A_write_joined_to_a_file_that_took_the_place_of_the_stores_is_refused()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);
        var file = new SqliteConnectionStringBuilder(test.ConnectionString).DataSource;
        var another = new SqliteConnectionStringBuilder(await database.CreateMigratedAsync()).DataSource;
        File.Move(another, file, overwrite: true);
        File.Delete($"{file}-wal");
        File.Delete($"{file}-shm");
        await using var context = await database.NotesAsync(test.ConnectionString);
        await using var transaction = await context.Database.BeginTransactionAsync();

        var error = await test.AssertRefusedAsync(context);

        Assert.Contains("replaced", error.Message, StringComparison.Ordinal);
    }
}
