using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.Specs;

/// <summary>How long a unit of work lives: scoped, pooled and made contexts, and what is left when they end.</summary>
public abstract class UnitLeaseSpec(KvDatabase database)
{
    private static readonly Dictionary<string, Action<IServiceCollection, Action<DbContextOptionsBuilder>>> Ways =
        new(StringComparer.Ordinal)
        {
            ["scoped"] = static (services, options) => services.AddDbContext<ShopContext>(options),
            ["pooled"] = static (services, options) => services.AddDbContextPool<ShopContext>(options, poolSize: 1),
            ["factory"] = static (services, options) => services.AddDbContextFactory<ShopContext>(options),
            ["pooled factory"] = static (services, options) => services.AddPooledDbContextFactory<ShopContext>(options, poolSize: 1),
        };

    public static TheoryData<string> WaysToAdd => [.. Ways.Keys];

    [Theory]
    [MemberData(nameof(WaysToAdd))]
    public async Task However_a_context_is_added_it_commits_to_its_store_and_leaves_nothing_to_the_next(string way)
    {
        await using var shop = await OpenAsync(way);
        for (var i = 0; i < 3; i++)
        {
            await using (var left = New(shop, way))
            {
                left.Context.Kv().Enqueue("left").Set(["left"], 1);
            }

            await using var unit = New(shop, way);
            Assert.Equal(0, unit.Context.Kv().PendingCount);
            Assert.Null(unit.Context.Kv().LastCommit);
            unit.Context.Orders.Add(new ShopOrder { Name = $"{i}" });
            unit.Context.Kv().Enqueue("m");
            await unit.Context.SaveChangesAsync();
            Assert.Equal(AutoTransactionBehavior.WhenNeeded, unit.Context.Database.AutoTransactionBehavior);
        }

        Assert.Equal(3, (await shop.MessagesAsync()).Length);
        Assert.Empty(await shop.Test.KeysAsync());
        Assert.Equal(3, shop.LoggedAs(211).Count());
        Assert.Contains("ShopContext ended with 2 writes", shop.LoggedAs(211).First(), StringComparison.Ordinal);
        Assert.All(shop.Logs.Entries.Where(static e => e.Event == 211), static e => Assert.Equal(LogLevel.Warning, e.Level));
    }

    [Theory]
    [MemberData(nameof(WaysToAdd))]
    public async Task A_unit_that_is_kept_beyond_its_context_takes_nothing_more(string way)
    {
        await using var shop = await OpenAsync(way);
        KvUnitOfWork kept;
        await using (var unit = New(shop, way))
        {
            kept = unit.Context.Kv();
            Assert.Same(kept, unit.Context.Kv());
        }

        await using var next = New(shop, way);
        Assert.NotSame(kept, next.Context.Kv());
        Assert.Throws<ObjectDisposedException>(() => kept.Enqueue("m"));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => kept.FlushAsync().AsTask());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => kept.GetAsync(["k"]).AsTask());
        Assert.Equal(0, next.Context.Kv().PendingCount);
    }

    [Theory]
    [MemberData(nameof(WaysToAdd))]
    public async Task What_is_left_after_a_save_that_failed_is_no_news(string way)
    {
        await using var shop = await OpenAsync(way);
        await using (var unit = New(shop, way))
        {
            unit.Context.Kv().Check(["k"], KvVersionstamp.FromVersion(1)).Enqueue("m");
            unit.Context.Orders.Add(new ShopOrder { Name = "first" });
            await Assert.ThrowsAsync<KvConflictException>(() => unit.Context.SaveChangesAsync());
        }

        Assert.DoesNotContain(shop.Logs.Entries, static e => e.Event == 211 && e.Level > LogLevel.Debug);
    }

    [Fact]
    public async Task A_context_that_has_nothing_of_the_store_runs_as_without_it()
    {
        await using var shop = await OpenAsync("scoped");
        await using (var unit = New(shop, "scoped"))
        {
            unit.Context.Orders.Add(new ShopOrder { Name = "first" });
            await unit.Context.SaveChangesAsync();
        }

        Assert.Equal(0, await shop.Test.VersionAsync());
        Assert.Empty(shop.LoggedAs(211));
    }

    private Task<Shop> OpenAsync(string way) => Shop.OpenAsync(database, add: Ways[way]);

    private static Unit New(Shop shop, string way)
    {
        var scope = shop.Services.CreateAsyncScope();
        return way.EndsWith("factory", StringComparison.Ordinal)
            ? new Unit(scope, shop.Services.GetRequiredService<IDbContextFactory<ShopContext>>().CreateDbContext(), Owns: true)
            : new Unit(scope, scope.ServiceProvider.GetRequiredService<ShopContext>(), Owns: false);
    }

    private sealed record Unit(AsyncServiceScope Scope, ShopContext Context, bool Owns) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            if (Owns)
            {
                await Context.DisposeAsync();
            }

            await Scope.DisposeAsync();
        }
    }
}

public sealed class SqliteUnitLeaseTests(SqliteDatabase database) : UnitLeaseSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresUnitLeaseTests(PostgresDatabase database) : UnitLeaseSpec(database), IClassFixture<PostgresDatabase>;
