using System.Collections.Concurrent;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.PostgreSql;

/// <summary>Listings and watches on connections that die.</summary>
public sealed class PostgresOutageTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private const int Interrupted = 200;
    private const int FollowerInterrupted = 202;
    private const int Resumed = 201;

    [Fact]
    public async Task A_listing_of_a_snapshot_whose_connection_is_dead_begins_on_another_one()
    {
        await using var link = await FaultyLink.OpenAsync(database);
        await FillAsync(link.Test.Store);
        for (var i = 0; i < 3; i++)
        {
            await link.EndBackendsAsync();
            Assert.Equal(10, await link.Test.Store.ListAsync(KvRange.Prefix(["a"]), new KvListOptions { Snapshot = true, BatchSize = 3 }).CountAsync());
            link.Proxy.Cut();
            Assert.Equal(10, await link.Test.Store.ListKeysAsync(KvRange.Prefix(["a"]), new KvListOptions { Snapshot = true, Reverse = true }).CountAsync());
        }
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task A_listing_that_fails_in_the_middle_says_where_to_go_on(bool snapshot, bool reverse)
    {
        await using var link = await FaultyLink.OpenAsync(database, static o => o.CommandTimeout = TimeSpan.FromSeconds(1));
        await FillAsync(link.Test.Store);
        var options = new KvListOptions { Snapshot = snapshot, Reverse = reverse, BatchSize = 3 };
        List<int> found = [];

        var error = await Assert.ThrowsAsync<KvException>(async () =>
        {
            await foreach (var entry in link.Test.Store.ListAsync(KvRange.Prefix(["a"]), options))
            {
                found.Add(entry.As<int>());
                if (found.Count == 4)
                {
                    link.Proxy.Refuse();
                    link.Proxy.Cut();
                }
            }
        });
        link.Proxy.Heal();

        Assert.Equal((KvErrorKind.Unavailable, 6), (error.Kind, found.Count));
        Assert.NotNull(error.Cursor);
        Assert.Contains(error.Cursor, error.Message, StringComparison.Ordinal);

        // On another store, which waits as long as usual: a server that has all to do may open no connection within a second.
        await using var test = await database.CreateStoreAsync(connectionString: link.Test.ConnectionString);
        await foreach (var entry in test.Store.ListAsync(KvRange.Prefix(["a"]), options with { Cursor = error.Cursor }))
        {
            found.Add(entry.As<int>());
        }

        Assert.Equal(reverse ? Enumerable.Range(0, 10).Reverse() : Enumerable.Range(0, 10), found);
    }

    [Fact]
    public async Task A_watch_outlives_an_outage_and_tells_of_it_once()
    {
        using var logs = new Logs();
        await using var proxied = await FaultyLink.OpenAsync(database);
        await using var test = await database.CreateStoreAsync(
            connectionString: proxied.Test.ConnectionString,
            options: static o => (o.CommandTimeout, o.Notifications) = (TimeSpan.FromMilliseconds(300), false),
            services: services => services.AddLogging(l => l.SetMinimumLevel(LogLevel.Debug).AddProvider(logs)));
        await using var watch = test.Store.WatchAsync([["a"]]).GetAsyncEnumerator();
        Assert.Null(Assert.Single(await watch.NextAsync()));
        var next = watch.NextAsync();
        for (var outage = 1; outage <= 2; outage++)
        {
            proxied.Proxy.Refuse();
            proxied.Proxy.Cut();

            // Whatever it hears of makes it look.
            test.Engine.Signals.Raise(Changes.ChangeKinds.Version);
            await logs.UntilAsync(Interrupted, outage);
            proxied.Proxy.Heal();
            await logs.UntilAsync(Resumed, outage);
        }

        await using var other = await database.CreateStoreAsync(connectionString: proxied.Direct);
        while (!next.IsCompleted)
        {
            await other.Store.SetAsync(["a"], 1);
        }

        Assert.NotNull(Assert.Single(await next));
        Assert.Equal((2, 2), (logs.Count(Interrupted), logs.Count(Resumed)));
    }

    [Fact]
    public async Task A_follower_of_changes_outlives_an_outage_and_misses_none()
    {
        using var logs = new Logs();
        await using var proxied = await FaultyLink.OpenAsync(database);
        await using var test = await database.CreateStoreAsync(
            connectionString: proxied.Test.ConnectionString,
            options: static o => (o.CommandTimeout, o.Notifications) = (TimeSpan.FromMilliseconds(300), false),
            services: services => services.AddLogging(l => l.SetMinimumLevel(LogLevel.Debug).AddProvider(logs)));
        await using var other = await database.CreateStoreAsync(connectionString: proxied.Direct);
        var start = (await other.Services.GetRequiredService<IKvChanges>().EnableAsync()).Oldest!.Value;
        await using var changes = test.Store.ChangesAsync(start).GetAsyncEnumerator();
        var stamps = new List<KvVersionstamp>();
        for (var outage = 0; outage < 3; outage++)
        {
            stamps.Add(await other.Store.SetAsync(["a"], outage));
            Assert.Equal(stamps[^1], (await changes.NextAsync()).Versionstamp);
            var next = changes.NextAsync();
            proxied.Proxy.Refuse();
            proxied.Proxy.Cut();
            stamps.Add(await other.Store.SetAsync(["b"], outage));
            stamps.Add(await other.Store.SetAsync(["c"], outage));
            test.Engine.Signals.Raise(Changes.ChangeKinds.Version);
            await logs.UntilAsync(FollowerInterrupted, outage + 1);
            proxied.Proxy.Heal();

            Assert.Equal(stamps[^2], (await next).Versionstamp);
            Assert.Equal(stamps[^1], (await changes.NextAsync()).Versionstamp);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_watch_that_waits_for_the_end_of_an_outage_ends_with_its_token_and_with_the_store(bool cancel)
    {
        using var logs = new Logs();
        using var cancellation = new CancellationTokenSource();
        await using var link = await FaultyLink.OpenAsync(database);
        var test = await database.CreateStoreAsync(
            connectionString: link.Test.ConnectionString,
            options: static o => (o.CommandTimeout, o.Notifications) = (TimeSpan.FromMilliseconds(300), false),
            services: services => services.AddLogging(l => l.SetMinimumLevel(LogLevel.Debug).AddProvider(logs)));
        link.Proxy.Refuse();
        link.Proxy.Cut();
        await using var watch = test.Store.WatchAsync([["a"]], cancellation.Token).GetAsyncEnumerator();
        var first = watch.MoveNextAsync().AsTask();
        await logs.UntilAsync(Interrupted, 1);

        var end = cancel ? cancellation.CancelAsync() : test.DisposeAsync().AsTask();

        Assert.False(await first.WaitAsync(Rows.Patience));
        await end;
        await test.DisposeAsync();
    }

    private static async Task FillAsync(IKvStore store)
    {
        for (var i = 0; i < 10; i++)
        {
            await store.SetAsync(["a", i], i);
        }
    }

    private sealed class Logs : ILoggerProvider, ILogger
    {
        private readonly ConcurrentQueue<int> _events = [];

        public int Count(int id) => _events.Count(e => e == id);

        public Task UntilAsync(int id, int times) => Rows.UntilAsync(() => Count(id) >= times);

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => _events.Enqueue(eventId.Id);

        public void Dispose()
        {
        }
    }
}
