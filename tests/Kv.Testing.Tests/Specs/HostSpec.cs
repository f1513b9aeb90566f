using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Kv.Tests.Specs;

/// <summary>A host of a test: a database of its own, a clock of its own, and nothing that runs by itself.</summary>
public abstract class HostSpec(KvDatabase database)
{
    private readonly CancellationToken _token = TestContext.Current.CancellationToken;

    [Fact]
    public async Task Nothing_runs_until_the_test_says_so()
    {
        List<int> handled = [];
        await using var kv = await database.StartAsync(app => app.Handle<OrderPlaced>((order, _, _) =>
        {
            handled.Add(order.Id);
            return Task.CompletedTask;
        }));

        await kv.Store.EnqueueAsync(new OrderPlaced(42), cancellationToken: _token);
        kv.AssertEnqueued<OrderPlaced>();
        Assert.Empty(handled);

        var ran = await kv.DrainAsync(_token);
        Assert.Equal([42], handled);
        Assert.Equal(42, ran.Single<OrderPlaced>().Message.Id);
        Assert.Equal(KvOutcome.Completed, ran.Single<OrderPlaced>().Outcome);
    }

    [Fact]
    public async Task Hosts_share_nothing_and_their_databases_go_with_them()
    {
        List<string> databases = [];
        await Task.WhenAll(Enumerable.Range(1, 4).Select(async number =>
        {
            await using var kv = await database.StartAsync(static app => app.Handle<OrderPlaced, OrderHandler>());
            lock (databases)
            {
                databases.Add(kv.Services.GetKvConnectionString());
            }

            Assert.True(await database.IsThereAsync(kv.Services.GetKvConnectionString()));
            await kv.Store.EnqueueAsync(new OrderPlaced(number), cancellationToken: _token);
            await kv.DrainAsync(_token);
            var keys = kv.Store.ListKeysAsync(KvRange.Prefix(["orders"]), cancellationToken: _token);
            Assert.Equal([["orders", number]], await keys.ToListAsync(_token));
        }));

        Assert.Equal(4, databases.Distinct(StringComparer.Ordinal).Count());
        foreach (var connectionString in databases)
        {
            Assert.False(await database.IsThereAsync(connectionString));
        }
    }

    [Fact]
    public async Task A_start_that_fails_leaves_no_database_behind()
    {
        var connectionString = "";
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => database.StartAsync(app =>
        {
            app.Services.AddHostedService(services =>
            {
                connectionString = services.GetKvConnectionString();
                return new Failing();
            });
        }));

        Assert.Equal("No.", error.Message);
        Assert.False(await database.IsThereAsync(connectionString));
    }

    [Fact]
    public async Task Tables_of_other_names_are_migrated_for_the_host()
    {
        await using var kv = await database.StartAsync(app => app.Services.Configure<KvStoreOptions>(options =>
        {
            (options.Schema, options.TablePrefix) = database is PostgresDatabase ? ("shop", (string?)null) : (null, "shop_");
        }));

        await kv.Store.SetAsync(["a"], 1, cancellationToken: _token);

        Assert.Equal(1, await kv.Store.GetAsync<int>(["a"], _token));
    }

    [Fact]
    public async Task All_that_gets_a_clock_by_injection_gets_that_of_the_test()
    {
        var start = new DateTimeOffset(2030, 5, 6, 7, 8, 9, TimeSpan.Zero);
        await using var kv = await database.StartAsync(
            static app => app.Services.AddSingleton(static services => new Noted(services.GetRequiredService<TimeProvider>())),
            options => options.Start = start);

        Assert.Same(kv.Time, kv.Services.GetRequiredService<Noted>().Time);
        Assert.Equal(start, kv.Now);
        await kv.AdvanceAsync(TimeSpan.FromDays(3), _token);
        Assert.Equal(start.AddDays(3), kv.Now);
        Assert.Equal(start.AddDays(3), kv.Time.GetUtcNow());
    }

    [Fact]
    public async Task The_host_of_an_application_is_driven_by_its_services()
    {
        var connectionString = await database.CreateMigratedAsync();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddKvStore(db => database.Configure(db, connectionString));
        builder.Services.AddKvWorker().Handle<OrderPlaced, OrderHandler>();
        builder.Services.AddKvTesting();
        using var host = builder.Build();
        await host.StartAsync(_token);
        await using var kv = KvTestHost.For(host.Services);

        await kv.Store.EnqueueAsync(new OrderPlaced(1), cancellationToken: _token);
        var ran = await kv.DrainAsync(_token);

        Assert.Equal(KvOutcome.Completed, ran.Single<OrderPlaced>().Outcome);
        Assert.Equal(new OrderPlaced(1), await kv.Store.GetAsync<OrderPlaced>(["orders", 1], _token));
        await host.StopAsync(_token);
    }

    [Fact]
    public async Task All_stores_of_a_container_are_driven_with_and_without_a_worker()
    {
        string[] connectionStrings = [await database.CreateMigratedAsync(), await database.CreateMigratedAsync()];
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddKvStore(db => database.Configure(db, connectionStrings[0]));
        builder.Services.AddKvStore("audit", (_, db) => database.Configure(db, connectionStrings[1]));
        builder.Services.AddKvWorker("audit").Handle<Mail>(static (_, _, _) => Task.CompletedTask);
        builder.Services.AddKvTesting();
        using var host = builder.Build();
        await host.StartAsync(_token);
        await using var kv = KvTestHost.For(host.Services);
        var audit = host.Services.GetRequiredKeyedService<IKvStore>("audit");
        await audit.EnqueueAsync(new Mail("ada"), new KvEnqueueOptions { Delay = TimeSpan.FromHours(1) }, _token);
        await kv.Store.SetAsync(["a"], 1, TimeSpan.FromHours(1), _token);

        var ran = await kv.AdvanceAsync(TimeSpan.FromHours(1), _token);

        Assert.Equal(KvOutcome.Completed, ran.Single<Mail>().Outcome);
        await using var db = await kv.Services
            .GetRequiredService<Microsoft.EntityFrameworkCore.IDbContextFactory<KvDbContext>>().CreateDbContextAsync(_token);
        Assert.Empty(db.Entries);
        await host.StopAsync(_token);
    }

    [Fact]
    public async Task Services_that_are_not_in_the_hands_of_a_test_are_refused()
    {
        var connectionString = await database.CreateMigratedAsync();
        var services = new ServiceCollection();
        services.AddKvStore(db => database.Configure(db, connectionString));
        await using var provider = services.BuildServiceProvider();

        var error = Assert.Throws<KvTestException>(() => KvTestHost.For(provider));

        Assert.Contains("AddKvTesting", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_s_clock_is_refused() => Assert.Contains(
        "KvStoreOptions.Clock",
        (await Assert.ThrowsAnyAsync<Exception>(() => database.StartAsync(static app =>
            app.Services.Configure<KvStoreOptions>(static options => options.Clock = KvClockSource.Server)))).Message,
        StringComparison.Ordinal);

    private sealed record Noted(TimeProvider Time);

    private sealed class Failing : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken) => throw new InvalidOperationException("No.");

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}

public sealed class SqliteHostTests(SqliteDatabase database) : HostSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresHostTests(PostgresDatabase database) : HostSpec(database), IClassFixture<PostgresDatabase>;
