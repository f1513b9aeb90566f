using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

/// <summary>Writes that are part of a transaction of the user's own context, whose model has the store's tables.</summary>
public abstract class OwnTransactionSpec(KvDatabase database)
{
    [Fact]
    public async Task The_store_works_on_tables_that_the_users_own_model_made()
    {
        var shop = await ShopAsync();
        await using var test = await database.CreateStoreAsync(connectionString: shop.ConnectionString);

        await test.Store.Atomic().Set(["k"], "v").Sum(["n"], 2).Enqueue("m").CommitAsync();

        Assert.Equal("v", await test.Store.GetAsync<string>(["k"]));
        Assert.Equal([["k"], ["n"]], await test.KeysAsync());
        await using var context = shop.CreateContext();
        Assert.Equal(2, await context.Set<Model.StoredEntry>().CountAsync());
        Assert.Equal(1, await context.Set<Model.QueuedMessage>().CountAsync());
    }

    [Fact]
    public async Task Entities_and_entries_are_committed_together()
    {
        var shop = await ShopAsync();
        await using var test = await database.CreateStoreAsync(connectionString: shop.ConnectionString);
        await test.Store.SetAsync(["stock"], 5UL);
        KvVersionstamp versionstamp;
        await using (var context = shop.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            context.Orders.Add(new Order { Name = "first" });
            await context.SaveChangesAsync();
            var result = await test.Store.Atomic().SumWithin(["stock"], -1).Set(["order"], "first").CommitAsync(context);
            Assert.True(result.Succeeded);
            versionstamp = result.Versionstamp;

            Assert.Null(await test.Store.GetAsync(["order"]));
            await transaction.CommitAsync();
        }

        Assert.Equal(versionstamp, (await test.Store.GetAsync(["order"]))!.Versionstamp);
        Assert.Equal(4UL, await test.Store.GetAsync<ulong>(["stock"]));
        Assert.Equal(1, await shop.CountAsync());
        Assert.True(await test.Store.SetAsync(["later"], 1) > versionstamp);
    }

    [Fact]
    public async Task Entities_and_entries_are_rolled_back_together()
    {
        var shop = await ShopAsync();
        await using var test = await database.CreateStoreAsync(connectionString: shop.ConnectionString);
        await using (var context = shop.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            context.Orders.Add(new Order { Name = "first" });
            await context.SaveChangesAsync();
            Assert.True((await test.Store.Atomic().Set(["order"], "first").Enqueue("m").CommitAsync(context)).Succeeded);
            await transaction.RollbackAsync();
        }

        Assert.Empty(await test.KeysAsync());
        Assert.Equal(0, await shop.CountAsync());
        await test.Store.SetAsync(["later"], 1);
    }

    [Fact]
    public async Task A_write_that_is_refused_or_fails_leaves_the_transaction_usable()
    {
        var shop = await ShopAsync();
        await using var test = await database.CreateStoreAsync(connectionString: shop.ConnectionString);
        var text = await test.Store.SetAsync(["text"], "t");
        await using (var context = shop.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            context.Orders.Add(new Order { Name = "before" });
            await context.SaveChangesAsync();

            var refused = await test.Store.Atomic().Check(["text"], null).Set(["refused"], 1).CommitAsync(context);
            Assert.Equal(new KvFailedCheck(0, ["text"], text), Assert.Single(refused.FailedChecks));
            var error = await Assert.ThrowsAsync<KvException>(() => test.Store.Atomic().Set(["failed"], 1).Sum(["text"], 1).CommitAsync(context).AsTask());
            Assert.Equal(KvErrorKind.Type, error.Kind);

            Assert.True((await test.Store.Atomic().Check(["text"], text).Set(["good"], 1).CommitAsync(context)).Succeeded);
            Assert.True((await test.Store.Atomic().Sum(["n"], 1).CommitAsync(context)).Succeeded);
            Assert.True((await test.Store.Atomic().Sum(["n"], 1).CommitAsync(context)).Succeeded);
            context.Orders.Add(new Order { Name = "after" });
            await context.SaveChangesAsync();
            await transaction.CommitAsync();
        }

        Assert.Equal([["good"], ["n"], ["text"]], await test.KeysAsync());
        Assert.Equal(2UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Equal(2, await shop.CountAsync());
    }

    [Fact]
    public async Task A_watcher_learns_of_it_once_it_is_committed()
    {
        var shop = await ShopAsync();
        await using var test = await database.CreateStoreAsync(options: static o => o.WatchInterval = TimeSpan.FromMilliseconds(10), connectionString: shop.ConnectionString);
        await using var watch = test.Store.WatchAsync([["order"]]).GetAsyncEnumerator();
        await watch.NextAsync();
        await using var context = shop.CreateContext();
        await using var transaction = await context.Database.BeginTransactionAsync();
        await test.Store.Atomic().Set(["order"], "first").CommitAsync(context);
        await transaction.CommitAsync();

        Assert.Equal("first", Assert.Single(await watch.NextAsync())!.As<string>());
    }

    [Fact]
    public async Task Without_a_transaction_it_says_what_to_do()
    {
        var shop = await ShopAsync();
        await using var test = await database.CreateStoreAsync(connectionString: shop.ConnectionString);
        await using var context = shop.CreateContext();

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => test.Store.Atomic().Set(["k"], 1).CommitAsync(context).AsTask());

        Assert.StartsWith("The context has no transaction open", error.Message, StringComparison.Ordinal);
        Assert.Contains("BeginTransactionAsync()", error.Message, StringComparison.Ordinal);
    }

    private async Task<Shop> ShopAsync()
    {
        var shop = new Shop(database, await database.CreateEmptyAsync());
        await using var context = shop.CreateContext();

        // PostgreSQL's database is there already, so EnsureCreated would leave it as it is.
        await context.Database.ExecuteSqlRawAsync(context.Database.GenerateCreateScript());
        return shop;
    }

    private sealed class Shop(KvDatabase database, string connectionString)
    {
        public string ConnectionString => connectionString;

        public ShopContext CreateContext()
        {
            var options = new DbContextOptionsBuilder<ShopContext>();
            database.Configure(options, connectionString);
            return new ShopContext(options.Options);
        }

        public async Task<int> CountAsync()
        {
            await using var context = CreateContext();
            return await context.Orders.CountAsync();
        }
    }

    private sealed class ShopContext(DbContextOptions<ShopContext> options) : DbContext(options)
    {
        public DbSet<Order> Orders => Set<Order>();

        protected override void OnModelCreating(ModelBuilder modelBuilder) => modelBuilder.UseKv();
    }

    private sealed class Order
    {
        public int Id { get; private set; }

        public required string Name { get; init; }
    }
}

public sealed class SqliteOwnTransactionTests(SqliteDatabase database) : OwnTransactionSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresOwnTransactionTests(PostgresDatabase database) : OwnTransactionSpec(database), IClassFixture<PostgresDatabase>;
