using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

/// <summary>What <c>db.Kv()</c> collects in a transaction of the context, of the driver, or of neither.</summary>
public abstract class UnitTransactionSpec(KvDatabase database)
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_transaction_commits_what_was_collected_in_it_and_before_it(bool isAsync)
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        db.Kv().Enqueue("before");
        await using var transaction = await db.Database.BeginTransactionAsync();
        db.Orders.Add(new ShopOrder { Name = "first" });
        db.Kv().Set(["k"], 1);
        await db.SaveChangesAsync();
        db.Kv().Enqueue("after");
        Assert.Null(db.Kv().LastCommit);
        Assert.Empty(await shop.Test.KeysAsync());

        if (isAsync)
        {
            await transaction.CommitAsync();
        }
        else
        {
            transaction.Commit();
        }

        Assert.Equal(["first"], await shop.OrdersAsync());
        Assert.Equal([["k"]], await shop.Test.KeysAsync());
        Assert.Equal(2, db.Kv().LastCommit!.MessageIds.Count);
        Assert.Equal(2, (await shop.MessagesAsync()).Length);
        Assert.Equal(0, db.Kv().PendingCount);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ExecuteUpdate_and_what_is_collected_are_one_commit_without_any_save(bool commits)
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "first" });
        await db.SaveChangesAsync();
        await using (var transaction = await db.Database.BeginTransactionAsync())
        {
            await db.Orders.ExecuteUpdateAsync(static set => set.SetProperty(static o => o.Name, "changed"));
            db.Kv().Enqueue("changed").Set(["changed"], true);
            if (commits)
            {
                await transaction.CommitAsync();
            }
        }

        Assert.Equal([commits ? "changed" : "first"], await shop.OrdersAsync());
        Assert.Equal(commits ? 1 : 0, (await shop.MessagesAsync()).Length);
        Assert.Equal(commits ? [["changed"]] : [], await shop.Test.KeysAsync());
    }

    [Fact]
    public async Task What_was_collected_in_a_transaction_that_ended_without_a_commit_is_dropped_with_a_warning()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        await using (await db.Database.BeginTransactionAsync())
        {
            db.Kv().Enqueue("lost").Set(["lost"], 1);
        }

        db.Orders.Add(new ShopOrder { Name = "first" });
        db.Kv().Enqueue("kept");
        await db.SaveChangesAsync();

        Assert.Single(await shop.MessagesAsync());
        Assert.Empty(await shop.Test.KeysAsync());
        Assert.Contains("2 writes", Assert.Single(shop.LoggedAs(210)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rollback_drops_what_was_collected_in_the_transaction_and_keeps_what_came_before_it()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        db.Kv().Enqueue("before");
        await using (var transaction = await db.Database.BeginTransactionAsync())
        {
            db.Kv().Enqueue("within");
            await transaction.RollbackAsync();
        }

        Assert.Equal(1, db.Kv().PendingCount);
        Assert.Empty(shop.LoggedAs(210));
        await db.SaveChangesAsync();
        Assert.Single(await shop.MessagesAsync());
    }

    [Fact]
    public async Task A_failed_check_leaves_the_transaction_usable_without_what_is_collected()
    {
        await using var shop = await Shop.OpenAsync(database);
        await shop.Store.SetAsync(["k"], 1);
        await using var db = shop.Open();
        await using var transaction = await db.Database.BeginTransactionAsync();
        db.Orders.Add(new ShopOrder { Name = "first" });
        await db.SaveChangesAsync();
        db.Kv().Check(["k"], null).Enqueue("m");

        await Assert.ThrowsAsync<KvConflictException>(() => transaction.CommitAsync());
        await Assert.ThrowsAsync<KvConflictException>(() => transaction.CommitAsync());
        db.Kv().Clear();
        await transaction.CommitAsync();

        Assert.Equal(["first"], await shop.OrdersAsync());
        Assert.Empty(await shop.MessagesAsync());
    }

    [Fact]
    public async Task A_savepoint_of_the_users_takes_back_what_was_collected_after_it()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        await using var transaction = await db.Database.BeginTransactionAsync();
        db.Kv().Enqueue("before");
        await transaction.CreateSavepointAsync("one");
        db.Orders.Add(new ShopOrder { Name = "gone" });
        db.Kv().Enqueue("gone").Set(["gone"], 1);
        await db.SaveChangesAsync();
        await transaction.RollbackToSavepointAsync("one");
        db.Kv().Enqueue("after");

        await transaction.CommitAsync();

        Assert.Empty(await shop.OrdersAsync());
        Assert.Equal(2, (await shop.MessagesAsync()).Length);
        Assert.Empty(await shop.Test.KeysAsync());
    }

    [Fact]
    public async Task The_savepoint_that_a_failed_save_goes_back_to_drops_nothing()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "taken" });
        await db.SaveChangesAsync();
        await using var transaction = await db.Database.BeginTransactionAsync();
        var second = new ShopOrder { Name = "taken" };
        db.Orders.Add(second);
        db.Kv().Enqueue("m");
        await Assert.ThrowsAsync<DbUpdateException>(() => db.SaveChangesAsync());
        second.Name = "free";
        await db.SaveChangesAsync();

        await transaction.CommitAsync();

        Assert.Single(await shop.MessagesAsync());
        Assert.Equal(["taken", "free"], await shop.OrdersAsync());
    }

    [Fact]
    public async Task Where_it_is_not_known_which_of_several_savepoints_it_was_the_commit_is_refused_until_that_is_settled()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        await using var transaction = await db.Database.BeginTransactionAsync();
        await transaction.CreateSavepointAsync("one");
        db.Kv().Enqueue("between");
        await transaction.CreateSavepointAsync("two");
        db.Kv().Enqueue("after");
        await transaction.RollbackToSavepointAsync("two");

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => transaction.CommitAsync());

        Assert.Contains("one of several savepoints", error.Message, StringComparison.Ordinal);
        db.Kv().Clear();
        db.Kv().Enqueue("between");
        await transaction.CommitAsync();
        Assert.Single(await shop.MessagesAsync());
    }

    [Fact]
    public async Task With_nothing_between_several_savepoints_it_makes_no_difference_which_one_it_was()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        await using var transaction = await db.Database.BeginTransactionAsync();
        db.Kv().Enqueue("before");
        await transaction.CreateSavepointAsync("one");
        await transaction.CreateSavepointAsync("two");
        db.Kv().Enqueue("after");
        await transaction.RollbackToSavepointAsync("one");
        await transaction.CommitAsync();

        Assert.Single(await shop.MessagesAsync());
    }

    [Fact]
    public async Task What_is_flushed_before_each_savepoint_is_the_databases_to_take_back()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        await using var transaction = await db.Database.BeginTransactionAsync();
        db.Kv().Set(["zero"], 0);
        await db.Kv().FlushAsync();
        await transaction.CreateSavepointAsync("one");
        db.Kv().Set(["one"], 1);
        await db.Kv().FlushAsync();
        await transaction.CreateSavepointAsync("two");
        db.Kv().Set(["two"], 2);
        await db.Kv().FlushAsync();
        await transaction.RollbackToSavepointAsync("two");
        await transaction.CommitAsync();

        Assert.Equal([["one"], ["zero"]], await shop.Test.KeysAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_save_in_a_transaction_of_the_drivers_writes_what_is_collected_into_it(bool commits)
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        await using (var external = await BeginExternalAsync(db))
        {
            db.Orders.Add(new ShopOrder { Name = "first" });
            db.Kv().Enqueue("m").Set(["k"], 1);
            await db.SaveChangesAsync();
            Assert.Equal(0, db.Kv().PendingCount);
            Assert.Single(db.Kv().LastCommit!.MessageIds);
            Assert.Empty(await shop.MessagesAsync());
            if (commits)
            {
                await external.CommitAsync();
            }
        }

        Assert.Equal(commits ? 1 : 0, (await shop.OrdersAsync()).Length);
        Assert.Equal(commits ? 1 : 0, (await shop.MessagesAsync()).Length);
        Assert.Equal(commits ? [["k"]] : [], await shop.Test.KeysAsync());
    }

    [Fact]
    public async Task A_failed_check_in_a_transaction_of_the_drivers_leaves_it_and_the_entities_as_they_were()
    {
        await using var shop = await Shop.OpenAsync(database);
        await shop.Store.SetAsync(["k"], 1);
        await using var db = shop.Open();
        await using var external = await BeginExternalAsync(db);
        db.Orders.Add(new ShopOrder { Name = "first" });
        db.Kv().Check(["k"], null).Enqueue("m");

        await Assert.ThrowsAsync<KvConflictException>(() => db.SaveChangesAsync());
        Assert.Equal(EntityState.Added, db.ChangeTracker.Entries<ShopOrder>().Single().State);
        Assert.Equal(2, db.Kv().PendingCount);

        db.Kv().Clear();
        await db.SaveChangesAsync();
        await external.CommitAsync();
        Assert.Equal(["first"], await shop.OrdersAsync());
        Assert.Empty(await shop.MessagesAsync());
    }

    [Fact]
    public async Task A_save_that_fails_in_a_transaction_of_the_drivers_takes_back_what_it_had_written_of_the_store()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "taken" });
        await db.SaveChangesAsync();
        await using var external = await BeginExternalAsync(db);
        var second = new ShopOrder { Name = "taken" };
        db.Orders.Add(second);
        db.Kv().Enqueue("m").Sum(["n"], 1);

        await Assert.ThrowsAsync<DbUpdateException>(() => db.SaveChangesAsync());
        Assert.Equal(2, db.Kv().PendingCount);
        second.Name = "free";
        await db.SaveChangesAsync();
        await external.CommitAsync();

        Assert.Single(await shop.MessagesAsync());
        Assert.Equal(1UL, await shop.Store.GetAsync<ulong>(["n"]));
        Assert.Equal(["taken", "free"], await shop.OrdersAsync());
    }

    [Fact]
    public async Task A_transaction_of_the_drivers_without_a_save_takes_what_is_flushed()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        await using var external = await BeginExternalAsync(db);
        db.Kv().Enqueue("m").Set(["k"], 1);
        await db.Kv().FlushAsync();
        Assert.Equal(0, db.Kv().PendingCount);

        await external.CommitAsync();

        Assert.Equal(db.Kv().LastCommit!.MessageIds, await shop.MessagesAsync());
        Assert.Equal([["k"]], await shop.Test.KeysAsync());
    }

    [Fact]
    public async Task A_flush_without_a_transaction_says_what_commits()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        db.Kv().Enqueue("m");

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => db.Kv().FlushAsync().AsTask());

        Assert.Contains("SaveChanges", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, db.Kv().PendingCount);
    }

    private static async Task<System.Data.Common.DbTransaction> BeginExternalAsync(ShopContext db)
    {
        await db.Database.OpenConnectionAsync();
        var transaction = await db.Database.GetDbConnection().BeginTransactionAsync();
        await db.Database.UseTransactionAsync(transaction);
        return transaction;
    }
}

public sealed class SqliteUnitTransactionTests(SqliteDatabase database) : UnitTransactionSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresUnitTransactionTests(PostgresDatabase database)
    : UnitTransactionSpec(database), IClassFixture<PostgresDatabase>;
