using Kv.Setup;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Kv.Tests.Specs;

/// <summary>Stores that are made at run time by their names, of which only so many are open, and only for so long.</summary>
public abstract class StoreFactorySpec(KvDatabase database)
{
    private static readonly TimeSpan Idle = TimeSpan.FromMinutes(5);
    private readonly ManualTime _time = new();

    [Fact]
    public async Task Each_name_has_a_store_of_its_own_which_is_made_when_it_is_rented_first()
    {
        await using var provider = await BuildAsync();
        var factory = provider.GetRequiredService<IKvStoreFactory>();

        await using (var first = await factory.RentAsync("acme"))
        await using (var second = await factory.RentAsync("globex"))
        {
            await first.Store.Atomic().Set(["k"], 1).Enqueue(new Job(1)).CommitAsync();
            await second.Store.SetAsync(["k"], 2);
            Assert.Equal(1, Assert.Single(await first.Queue.GetStatsAsync()).Due);
            Assert.Empty(await second.Queue.GetStatsAsync());
            Assert.Equal("acme", first.Name);
        }

        await using var again = await factory.RentAsync("acme");
        Assert.Equal(1, await again.Store.GetAsync<int>(["k"]));
    }

    [Fact]
    public async Task All_who_rent_a_name_get_one_store()
    {
        await using var provider = await BuildAsync();
        var factory = provider.GetRequiredService<IKvStoreFactory>();

        var leases = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => factory.RentAsync("acme").AsTask())));

        Assert.Single(leases.Select(static lease => lease.Store).Distinct());
        await Task.WhenAll(leases.Select(static lease => lease.Store.SumAsync(["n"], 1).AsTask()));
        Assert.Equal(16UL, await leases[0].Store.GetAsync<ulong>(["n"]));
        Array.ForEach(leases, static lease => lease.Dispose());
    }

    [Fact]
    public async Task A_store_that_nobody_has_rented_for_a_while_is_closed_and_opened_again()
    {
        await using var provider = await BuildAsync();
        var factory = provider.GetRequiredService<IKvStoreFactory>();
        var rented = await factory.RentAsync("rented");
        var lease = await factory.RentAsync("idle");
        var store = lease.Store;
        await store.SetAsync(["k"], 7);
        await lease.DisposeAsync();
        Assert.Throws<ObjectDisposedException>(() => lease.Store);

        _time.Advance(Idle - TimeSpan.FromSeconds(1));
        Assert.Equal(7, await store.GetAsync<int>(["k"]));
        _time.Advance(TimeSpan.FromSeconds(1));

        await UntilDisposedAsync(store);
        Assert.Equal(1, ((KvStoreFactory)factory).Open);
        await rented.Store.SetAsync(["k"], 1);
        await using var again = await factory.RentAsync("idle");
        Assert.Equal(7, await again.Store.GetAsync<int>(["k"]));
        await rented.DisposeAsync();
    }

    [Fact]
    public async Task Beyond_the_bound_the_store_makes_way_that_was_given_back_first()
    {
        await using var provider = await BuildAsync(static options => options.MaxOpen = 2);
        var factory = provider.GetRequiredService<IKvStoreFactory>();
        var (first, second) = (await factory.RentAsync("a"), await factory.RentAsync("b"));
        var (a, b) = (first.Store, second.Store);
        second.Dispose();
        _time.Advance(TimeSpan.FromSeconds(1));
        first.Dispose();

        await using var third = await factory.RentAsync("c");

        await UntilDisposedAsync(b);
        await a.SetAsync(["k"], 1);
        Assert.Equal(2, ((KvStoreFactory)factory).Open);
    }

    [Fact]
    public async Task While_all_are_rented_who_rents_another_waits_for_one_that_is_given_back()
    {
        await using var provider = await BuildAsync(static options => options.MaxOpen = 1);
        var factory = provider.GetRequiredService<IKvStoreFactory>();
        var first = await factory.RentAsync("a");

        var waiting = factory.RentAsync("b").AsTask();
        Assert.False(waiting.IsCompleted);
        await first.DisposeAsync();

        await using var second = await waiting;
        await second.Store.SetAsync(["k"], 1);
    }

    [Fact]
    public async Task Who_waits_too_long_is_told_of_the_bound()
    {
        await using var provider = await BuildAsync(static options => options.MaxOpen = 1);
        var factory = provider.GetRequiredService<IKvStoreFactory>();
        await using var first = await factory.RentAsync("a");
        var waiting = factory.RentAsync("b").AsTask();

        _time.Advance(TimeSpan.FromSeconds(30));

        var error = await Assert.ThrowsAsync<KvException>(() => waiting);
        Assert.Equal(KvErrorKind.Unavailable, error.Kind);
        Assert.Contains("The store 'b' was not opened: 1 stores have been rented for 30 seconds", error.Message, StringComparison.Ordinal);
        Assert.Contains("KvStoreFactoryOptions.MaxOpen", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_store_that_did_not_open_is_tried_anew_by_the_next()
    {
        var broken = true;
        await using var provider = await BuildAsync(before: _ =>
        {
            if (broken)
            {
                throw new InvalidOperationException("No such tenant.");
            }
        });
        var factory = provider.GetRequiredService<IKvStoreFactory>();

        await Assert.ThrowsAsync<InvalidOperationException>(() => factory.RentAsync("acme").AsTask());
        Assert.Equal(0, ((KvStoreFactory)factory).Open);
        broken = false;

        await using var lease = await factory.RentAsync("acme");
        await lease.Store.SetAsync(["k"], 1);
    }

    [Fact]
    public async Task The_end_of_the_factory_is_that_of_its_stores()
    {
        var provider = await BuildAsync();
        var factory = provider.GetRequiredService<IKvStoreFactory>();
        var lease = await factory.RentAsync("acme");
        var store = lease.Store;
        await store.SetAsync(["k"], 1);

        await provider.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => store.SetAsync(["k"], 1).AsTask());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => factory.RentAsync("acme").AsTask());
        lease.Dispose();
    }

    [Theory]
    [InlineData("")]
    [InlineData("..")]
    [InlineData("../acme")]
    [InlineData("a/b")]
    [InlineData("a;Mode=Memory")]
    [InlineData("acme\n")]
    [InlineData("ä")]
    public async Task A_name_that_could_lead_elsewhere_is_refused(string name)
    {
        await using var provider = await BuildAsync();

        var error = await Assert.ThrowsAsync<ArgumentException>(
            () => provider.GetRequiredService<IKvStoreFactory>().RentAsync(name).AsTask());

        Assert.StartsWith($"The name of a store is '{name}'; it must be 1 to 100 letters", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_that_cannot_work_are_refused()
    {
        await using var few = await BuildAsync(static options => options.MaxOpen = 0);
        Assert.Throws<OptionsValidationException>(few.GetRequiredService<IKvStoreFactory>);
        await using var bad = await BuildAsync(store: static (_, options) => options.MaxChecks = 0);

        var error = await Assert.ThrowsAsync<OptionsValidationException>(
            () => bad.GetRequiredService<IKvStoreFactory>().RentAsync("acme").AsTask());

        Assert.Equal("acme", error.OptionsName);
    }

    /// <summary>Has each name a database, or a part of one, of its own.</summary>
    protected abstract void Place(string address, string name, DbContextOptionsBuilder db);

    /// <summary>Has each name a part of the database of its own, where it has none.</summary>
    protected abstract void Place(string name, KvStoreOptions options);

    private static async Task UntilDisposedAsync(IKvStore store)
    {
        for (var started = TimeProvider.System.GetTimestamp(); TimeProvider.System.GetElapsedTime(started) < Rows.Patience;)
        {
            try
            {
                await store.GetAsync(["k"]);
            }
            catch (ObjectDisposedException)
            {
                return;
            }
        }

        Assert.Fail("The store was not closed.");
    }

    private async Task<ServiceProvider> BuildAsync(
        Action<KvStoreFactoryOptions>? factory = null, Action<string>? before = null, Action<string, KvStoreOptions>? store = null)
    {
        var address = await database.CreateEmptyAsync();
        var services = new ServiceCollection();
        services.AddSingleton<TimeProvider>(_time);
        services.AddKvStoreFactory(
            (_, name, db) =>
            {
                before?.Invoke(name);
                Place(address, name, db);
            },
            (name, options) =>
            {
                Place(name, options);
                store?.Invoke(name, options);
            },
            options =>
            {
                options.IdleTimeout = Idle;
                factory?.Invoke(options);
            });
        return services.BuildServiceProvider();
    }
}

public sealed class SqliteStoreFactoryTests(SqliteDatabase database) : StoreFactorySpec(database), IClassFixture<SqliteDatabase>
{
    protected override void Place(string address, string name, DbContextOptionsBuilder db) => db.UseSqlite($"{address}.{name}.db");

    protected override void Place(string name, KvStoreOptions options)
    {
    }

    [Fact]
    public async Task A_store_in_memory_is_refused_since_it_would_be_lost()
    {
        await using var provider = new ServiceCollection()
            .AddKvStoreFactory(static (_, _, db) => db.UseSqlite("Data Source=:memory:")).BuildServiceProvider();

        var error = await Assert.ThrowsAsync<InvalidOperationException>(
            () => provider.GetRequiredService<IKvStoreFactory>().RentAsync("acme").AsTask());

        Assert.StartsWith("The store 'acme' is in memory", error.Message, StringComparison.Ordinal);
    }
}

public sealed class PostgresStoreFactoryTests(PostgresDatabase database) : StoreFactorySpec(database), IClassFixture<PostgresDatabase>
{
    protected override void Place(string address, string name, DbContextOptionsBuilder db) => db.UseNpgsql(address);

    protected override void Place(string name, KvStoreOptions options) => options.Schema = $"tenant_{name}";
}
