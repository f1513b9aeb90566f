using System.Transactions;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>How a context and its store come together, and what is said where they do not.</summary>
public abstract class UnitSetupSpec(KvDatabase database)
{
    [Fact]
    public async Task A_store_on_a_context_is_on_its_database_with_nothing_more_than_its_name()
    {
        var connectionString = await database.CreateEmptyAsync();
        var services = new ServiceCollection();
        services.AddDbContext<ShopContext>(options =>
        {
            database.Configure(options, connectionString);
            options.UseKv();
            Shop.Retry(options);
        });
        services.AddKvStore<ShopContext>();
        await using (var provider = services.BuildServiceProvider())
        {
            await provider.MigrateKvStoreAsync();
            await using var scope = provider.CreateAsyncScope();
            var db = scope.ServiceProvider.GetRequiredService<ShopContext>();
            db.Kv().Set(["k"], 1);
            await db.SaveChangesAsync();
            Assert.Equal(1, await provider.GetRequiredService<IKvStore>().GetAsync<int>(["k"]));
        }

        database.Release(connectionString);
    }

    [Fact]
    public async Task A_context_that_configures_itself_is_asked_for_its_database()
    {
        var connectionString = await database.CreateMigratedAsync();
        var services = new ServiceCollection();
        services.AddScoped(provider => new SelfConfigured(database, connectionString, provider));
        services.AddKvStore<SelfConfigured>();
        await using (var provider = services.BuildServiceProvider())
        {
            await using var scope = provider.CreateAsyncScope();
            var db = scope.ServiceProvider.GetRequiredService<SelfConfigured>();
            db.Kv().Set(["k"], 1);
            await db.SaveChangesAsync();
            Assert.Equal(1, await provider.GetRequiredService<IKvStore>().GetAsync<int>(["k"]));
        }

        database.Release(connectionString);
    }

    [Fact]
    public async Task A_named_store_is_the_one_that_UseKv_names()
    {
        var connectionString = await database.CreateMigratedAsync();
        var services = new ServiceCollection();
        services.AddDbContext<ShopContext>(options =>
        {
            database.Configure(options, connectionString);
            options.UseKv("shop");
        });
        services.AddKvStore<ShopContext>("shop");
        await using (var provider = services.BuildServiceProvider())
        {
            await using var scope = provider.CreateAsyncScope();
            var db = scope.ServiceProvider.GetRequiredService<ShopContext>();
            db.Kv().Set(["k"], 1);
            await db.SaveChangesAsync();
            Assert.Equal(1, await provider.GetRequiredKeyedService<IKvStore>("shop").GetAsync<int>(["k"]));
        }

        database.Release(connectionString);
    }

    [Fact]
    public async Task What_is_missing_is_named_with_what_to_add()
    {
        var connectionString = await database.CreateEmptyAsync();

        var empty = new ServiceCollection().BuildServiceProvider();
        Assert.Contains(
            "Configure it with UseKv()", Refusal(options => database.Configure(options, connectionString), null), StringComparison.Ordinal);
        Assert.Contains("services.AddKvStore<ShopContext>()", Refusal(Use, empty), StringComparison.Ordinal);
        Assert.Contains("UseApplicationServiceProvider(provider)", Refusal(Use, null), StringComparison.Ordinal);
        Assert.Contains(
            "no store named 'other'",
            Refusal(
                options =>
                {
                    database.Configure(options, connectionString);
                    options.UseKv("other");
                },
                empty),
            StringComparison.Ordinal);

        void Use(DbContextOptionsBuilder options)
        {
            database.Configure(options, connectionString);
            options.UseKv();
        }

        static string Refusal(Action<DbContextOptionsBuilder> configure, IServiceProvider? services)
        {
            var options = new DbContextOptionsBuilder<ShopContext>();
            configure(options);
            if (services is not null)
            {
                options.UseApplicationServiceProvider(services);
            }

            using var db = new ShopContext(options.Options);
            return Assert.Throws<InvalidOperationException>(() => db.Kv()).Message;
        }
    }

    [Fact]
    public async Task UseKv_twice_is_as_good_as_once()
    {
        await using var shop = await Shop.OpenAsync(database, after: static options => options.UseKv());
        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "first" });
        db.Kv().Sum(["n"], 1);
        await db.SaveChangesAsync();

        Assert.Equal(1UL, await shop.Store.GetAsync<ulong>(["n"]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_store_on_another_database_than_the_context_is_refused_and_neither_is_written(bool hasEntities)
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var other = await database.CreateStoreAsync();
        var options = new DbContextOptionsBuilder<ShopContext>();
        database.Configure(options, shop.Test.ConnectionString);
        await using var db = new ShopContext(options.UseKv().UseApplicationServiceProvider(other.Services).Options);
        if (hasEntities)
        {
            db.Orders.Add(new ShopOrder { Name = "first" });
        }

        db.Kv().Enqueue("m");

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => db.SaveChangesAsync());

        Assert.Contains("one commit spans one database", error.Message, StringComparison.Ordinal);
        Assert.Empty(await shop.OrdersAsync());
        await using var context = other.CreateContext();
        Assert.Empty(await context.QueuedMessages.ToListAsync());
    }

    [Fact]
    public async Task A_save_in_a_TransactionScope_is_refused_and_nothing_is_written()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using (var db = shop.Open())
        {
            db.Orders.Add(new ShopOrder { Name = "first" });
            db.Kv().Enqueue("m");
            using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);

            var error = await Assert.ThrowsAsync<InvalidOperationException>(() => db.SaveChangesAsync());

            Assert.StartsWith("A TransactionScope is open", error.Message, StringComparison.Ordinal);
            Assert.Equal(AutoTransactionBehavior.WhenNeeded, db.Database.AutoTransactionBehavior);
            scope.Complete();
        }

        Assert.Empty(await shop.OrdersAsync());
        Assert.Empty(await shop.MessagesAsync());
    }

    private sealed class SelfConfigured(KvDatabase database, string connectionString, IServiceProvider services) : DbContext
    {
        protected override void OnConfiguring(DbContextOptionsBuilder options)
        {
            database.Configure(options, connectionString);
            options.UseKv().UseApplicationServiceProvider(services);
        }
    }
}

public sealed class SqliteUnitSetupTests(SqliteDatabase database) : UnitSetupSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresUnitSetupTests(PostgresDatabase database) : UnitSetupSpec(database), IClassFixture<PostgresDatabase>;
