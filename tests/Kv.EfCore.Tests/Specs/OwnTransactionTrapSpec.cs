using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

/// <summary>A write of the store that waits for a transaction of its own process, and perhaps of its own caller, is told so soon.</summary>
public abstract class OwnTransactionTrapSpec(KvDatabase database)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(15);

    [Fact]
    public async Task A_write_beside_an_open_transaction_that_locks_the_store_ends_with_its_context_and_what_was_meant()
    {
        await using var shop = await Shop.OpenAsync(database);
        await shop.Store.SetAsync(["k"], 0);
        await using var db = shop.Open();
        await using (var transaction = await db.Database.BeginTransactionAsync())
        {
            await shop.Store.Atomic().Set(["joined"], 1).CommitAsync(db);

            var error = await Assert.ThrowsAsync<KvException>(() => shop.Store.SetAsync(["k"], 1).AsTask()).WaitAsync(Soon);

            Assert.Equal(KvErrorKind.Unavailable, error.Kind);
            Assert.Contains("the context ShopContext began it", error.Message, StringComparison.Ordinal);
            Assert.Contains("Did you mean db.Kv()", error.Message, StringComparison.Ordinal);
            await transaction.CommitAsync();
        }

        await shop.Store.SetAsync(["k"], 2);
        Assert.Equal((2, 1), (await shop.Store.GetAsync<int>(["k"]), await shop.Store.GetAsync<int>(["joined"])));
    }

    [Fact]
    public async Task A_transaction_that_was_left_without_a_commit_is_no_longer_blamed()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using (var db = shop.Open())
        {
            await using var transaction = await db.Database.BeginTransactionAsync();
            await shop.Store.Atomic().Set(["joined"], 1).CommitAsync(db);
        }

        await shop.Store.SetAsync(["k"], 2);

        Assert.Null(await shop.Store.GetAsync(["joined"]));
    }

    [Fact]
    public async Task A_write_that_waits_less_than_a_second_is_committed()
    {
        await using var shop = await Shop.OpenAsync(database);
        await shop.Store.SetAsync(["k"], 0);
        for (var commits = 1; ; commits++)
        {
            await using var db = shop.Open();
            await using var transaction = await db.Database.BeginTransactionAsync();
            await shop.Store.Atomic().Set(["joined"], commits).CommitAsync(db);

            var started = TimeProvider.System.GetTimestamp();
            var waiting = shop.Store.SetAsync(["k"], commits).AsTask();
            await transaction.CommitAsync();
            if (TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(0.8))
            {
                await waiting.WaitAsync(Soon);
                Assert.Equal((commits, commits), (await shop.Store.GetAsync<int>(["k"]), await shop.Store.GetAsync<int>(["joined"])));
                return;
            }

            // The machine was busy elsewhere: it says nothing about shorter waits.
            Assert.True(commits < 20, "No commit came in time.");
            await Record.ExceptionAsync(() => waiting);
        }
    }
}

public sealed class SqliteOwnTransactionTrapTests(SqliteDatabase database)
    : OwnTransactionTrapSpec(database), IClassFixture<SqliteDatabase>
{
    /// <summary>On SQLite every transaction of the file keeps its writers waiting.</summary>
    [Fact]
    public async Task A_transaction_with_entities_alone_is_named_too()
    {
        await using var shop = await Shop.OpenAsync(database);
        await shop.Store.SetAsync(["k"], 0);
        await using var db = shop.Open();
        await using var transaction = await db.Database.BeginTransactionAsync();
        db.Orders.Add(new ShopOrder { Name = "lamp" });
        await db.SaveChangesAsync();

        var error = await Assert.ThrowsAsync<KvException>(() => shop.Store.EnqueueAsync(new Job(1)).AsTask())
            .WaitAsync(TimeSpan.FromSeconds(15));

        Assert.Contains("the context ShopContext began it", error.Message, StringComparison.Ordinal);
        await transaction.CommitAsync();
        Assert.Equal(["lamp"], await shop.OrdersAsync());
        Assert.Empty(await shop.MessagesAsync());
    }

    [Fact]
    public async Task A_transaction_on_another_file_is_not_blamed()
    {
        await using var other = await Shop.OpenAsync(database);
        await using var shop = await Shop.OpenAsync(database, store: static options => options.CommandTimeout = TimeSpan.FromSeconds(3));
        await shop.Store.SetAsync(["k"], 0);
        await using var elsewhere = other.Open();
        await using var open = await elsewhere.Database.BeginTransactionAsync();
        await using var holder = new Microsoft.Data.Sqlite.SqliteConnection(shop.Test.ConnectionString);
        await holder.OpenAsync();
        await using var held = await holder.BeginTransactionAsync();

        var error = await Assert.ThrowsAsync<KvException>(() => shop.Store.SetAsync(["k"], 1).AsTask());

        Assert.DoesNotContain("ShopContext", error.Message, StringComparison.Ordinal);
    }
}

public sealed class PostgresOwnTransactionTrapTests(PostgresDatabase database)
    : OwnTransactionTrapSpec(database), IClassFixture<PostgresDatabase>
{
    /// <summary>The driver uses its transaction object again: what is left of one must not be taken for another.</summary>
    [Fact]
    public async Task A_transaction_that_was_left_is_not_blamed_for_one_on_its_connection()
    {
        await using var shop = await Shop.OpenAsync(database, store: static options => options.CommandTimeout = TimeSpan.FromSeconds(3));
        await shop.Store.SetAsync(["k"], 0);
        await using var db = shop.Open();
        await db.Database.OpenConnectionAsync();
        var connection = (Npgsql.NpgsqlConnection)db.Database.GetDbConnection();
        await using (var left = await db.Database.BeginTransactionAsync())
        {
            await shop.Store.Atomic().Set(["joined"], 1).CommitAsync(db);
        }

        await using var other = await connection.BeginTransactionAsync();
        await using var hold = new Npgsql.NpgsqlCommand("select 1 from data_version where k = 0 for update", connection);
        await hold.ExecuteNonQueryAsync();

        var error = await Assert.ThrowsAsync<KvException>(() => shop.Store.SetAsync(["k"], 1).AsTask()).WaitAsync(TimeSpan.FromSeconds(15));

        Assert.DoesNotContain("ShopContext", error.Message, StringComparison.Ordinal);
        Assert.Contains($"process {connection.ProcessID} ", error.Message, StringComparison.Ordinal);
    }

    /// <summary>On PostgreSQL such a transaction keeps no write of the store waiting: it is committed apart.</summary>
    [Fact]
    public async Task A_write_beside_a_transaction_with_entities_alone_is_committed_apart()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        await using var transaction = await db.Database.BeginTransactionAsync();
        db.Orders.Add(new ShopOrder { Name = "lamp" });
        await db.SaveChangesAsync();

        await shop.Store.SetAsync(["k"], 1);

        await transaction.RollbackAsync();
        Assert.Equal(1, await shop.Store.GetAsync<int>(["k"]));
    }
}
