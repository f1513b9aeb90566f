using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class WatchSpec(KvDatabase database)
{
    [Fact]
    public async Task A_watcher_gets_what_is_there_and_then_every_change()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["a"], 1);
        await using var watch = test.Store.WatchAsync([["a"], ["b"], ["a"]]).GetAsyncEnumerator();

        Assert.Equal([1, null, 1], Numbers(await watch.NextAsync()));
        await test.Store.SetAsync(["b"], 2);
        Assert.Equal([1, 2, 1], Numbers(await watch.NextAsync()));
        var again = await test.Store.SetAsync(["b"], 2);
        Assert.Equal(again, (await watch.NextAsync())[1]!.Versionstamp);
        await test.Store.DeleteAsync(["a"]);
        Assert.Equal([null, 2, null], Numbers(await watch.NextAsync()));
    }

    [Fact]
    public async Task Only_changes_of_the_keys_are_told()
    {
        await using var test = await database.CreateStoreAsync();
        await using var watch = test.Store.WatchAsync([["a"]]).GetAsyncEnumerator();
        await watch.NextAsync();

        var next = watch.NextAsync();
        await test.Store.SetAsync(["b"], 1);
        await test.Store.DeleteAsync(["a"]);
        await test.Store.Atomic().Check(["b"], null).Set(["a"], 1).CommitAsync();
        await test.Store.SetAsync(["a"], 2);

        Assert.Equal([2], Numbers(await next));
    }

    [Fact]
    public async Task Each_element_is_one_snapshot_of_all_keys()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().Set(["a"], 0).Set(["b"], 0).CommitAsync();
        var writes = Task.Run(async () =>
        {
            for (var i = 1; i <= 200; i++)
            {
                await test.Store.Atomic().Set(["a"], i).Set(["b"], i).CommitAsync();
            }
        });

        var last = -1;
        await using var watch = test.Store.WatchAsync([["a"], ["b"]]).GetAsyncEnumerator();
        while (last < 200)
        {
            var entries = await watch.NextAsync();
            Assert.Equal(entries[0]!.Versionstamp, entries[1]!.Versionstamp);
            Assert.True(entries[0]!.As<int>() > last);
            last = entries[0]!.As<int>();
        }

        await writes;
    }

    [Fact]
    public async Task A_slow_reader_gets_the_newest_state_and_not_those_in_between()
    {
        await using var test = await database.CreateStoreAsync();
        await using var watch = test.Store.WatchAsync([["a"]]).GetAsyncEnumerator();
        await watch.NextAsync();
        for (var i = 1; i <= 50; i++)
        {
            await test.Store.SetAsync(["a"], i);
        }

        Assert.Equal([50], Numbers(await watch.NextAsync()));
        var next = watch.NextAsync();
        await test.Store.SetAsync(["a"], 51);
        Assert.Equal([51], Numbers(await next));
    }

    [Fact]
    public async Task Commits_of_another_process_are_seen()
    {
        await using var test = await database.CreateStoreAsync(options: static options => options.WatchInterval = TimeSpan.FromMilliseconds(10));
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await using var watch = test.Store.WatchAsync([["a"]]).GetAsyncEnumerator();
        await watch.NextAsync();

        for (var i = 1; i <= 3; i++)
        {
            await other.Store.SetAsync(["a"], i);
            Assert.Equal([i], Numbers(await watch.NextAsync()));
        }
    }

    [Fact]
    public async Task A_cancelled_watch_ends_without_an_exception()
    {
        await using var test = await database.CreateStoreAsync();
        using var cancellation = new CancellationTokenSource();
        var count = 0;

        await foreach (var entries in test.Store.WatchAsync([["a"]], cancellation.Token))
        {
            Assert.Null(Assert.Single(entries));
            count++;
            cancellation.CancelAfter(TimeSpan.FromMilliseconds(1));
        }

        Assert.Equal(1, count);
        await foreach (var entries in test.Store.WatchAsync([["a"]], new CancellationToken(canceled: true)))
        {
            Assert.Fail($"There came {entries.Count} entries.");
        }
    }

    [Fact]
    public async Task No_keys_too_many_and_too_large_ones_are_refused_at_the_call()
    {
        await using var test = await database.CreateStoreAsync();

        Assert.StartsWith("Too many keys (max 10) or none: received 0.", Assert.Throws<ArgumentException>(() => test.Store.WatchAsync([])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => test.Store.WatchAsync([.. Enumerable.Range(0, 11).Select(static i => KvKey.Create([i]))]));
        Assert.Throws<ArgumentException>(() => test.Store.WatchAsync([[new string('k', 2048)]]));
    }

    [Fact]
    public async Task Disposal_of_the_store_ends_its_watches_and_nothing_runs_on()
    {
        var test = await database.CreateStoreAsync();
        var (store, engine) = (test.Store, test.Engine);
        var reading = store.WatchAsync([["a"]]).GetAsyncEnumerator();
        var resting = store.WatchAsync([["a"]]).GetAsyncEnumerator();
        await reading.NextAsync();
        await resting.NextAsync();
        var next = reading.MoveNextAsync().AsTask();

        await test.DisposeAsync();

        Assert.False(await next.WaitAsync(Rows.Patience, TimeProvider.System));
        Assert.False(await resting.MoveNextAsync().AsTask().WaitAsync(Rows.Patience, TimeProvider.System));
        Assert.True(engine.Listener.Completion.IsCompleted);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => store.WatchAsync([["a"]]).GetAsyncEnumerator().NextAsync());
    }

    [Fact]
    public async Task The_listener_rests_when_the_last_watcher_is_gone_and_starts_again_for_the_next()
    {
        var time = new ManualTime();
        await using var test = await database.CreateStoreAsync(time);
        for (var i = 0; i < 2; i++)
        {
            var watch = test.Store.WatchAsync([["a"]]).GetAsyncEnumerator();
            await watch.NextAsync();
            var listener = test.Engine.Listener.Completion;
            Assert.False(listener.IsCompleted);

            await watch.DisposeAsync();
            while (!listener.IsCompleted)
            {
                time.Advance(TimeSpan.FromMilliseconds(100));
                await Task.Yield();
            }
        }
    }

    private static IEnumerable<int?> Numbers(IReadOnlyList<KvEntry?> entries) => entries.Select(static e => e?.As<int?>());
}

public sealed class SqliteWatchTests(SqliteDatabase database) : WatchSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresWatchTests(PostgresDatabase database) : WatchSpec(database), IClassFixture<PostgresDatabase>;
