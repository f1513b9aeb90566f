using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Snapshots: any reads of one version, and iterators that go back and forth in it.</summary>
public abstract class SnapshotSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task All_reads_of_a_snapshot_show_one_version_whatever_is_written_meanwhile()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var store = test.Store;
        await store.SetAsync(["a", 1L], "one");
        await store.SetAsync(["b", 1L], "two");
        var last = await store.SetAsync(["b", 2L], "three", TimeSpan.FromSeconds(5));

        await using var snapshot = await store.SnapshotAsync();
        await store.SetAsync(["a", 1L], "changed");
        await store.SetAsync(["a", 2L], "added");
        await store.DeleteRangeAsync(KvRange.Prefix(["b"]));
        _time.Advance(TimeSpan.FromSeconds(10));

        Assert.Equal(last, snapshot.Versionstamp);
        Assert.Equal("one", (await snapshot.GetAsync(["a", 1L]))!.As<string>());
        Assert.Null(await snapshot.GetAsync(["a", 2L]));
        var several = await snapshot.GetManyAsync([["b", 2L], ["c"], ["a", 1L]]);
        Assert.Equal(["three", null, "one"], several.Select(static e => e?.As<string>()));
        Assert.Equal(["one"], await ValuesAsync(snapshot.ListAsync(KvRange.Prefix(["a"]))));
        KvListOptions down = new() { Reverse = true, BatchSize = 1 };
        Assert.Equal(["three", "two"], await ValuesAsync(snapshot.ListAsync(KvRange.Prefix(["b"]), down)));
        Assert.Equal(1, await snapshot.CountAsync(KvRange.Prefix(["a"])));
        Assert.Equal(2, await snapshot.CountAsync(KvRange.Prefix(["b"])));
        Assert.Equal(3, await snapshot.CountAsync(KvRange.All));
        Assert.Equal("changed", await store.GetAsync<string>(["a", 1L]));
        Assert.Equal(0, await store.CountAsync(KvRange.Prefix(["b"])));
    }

    [Fact]
    public async Task Many_calls_at_once_are_served_and_many_snapshots_and_writers_go_on_beside_each_other()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.SetAsync(["sum"], KvValue.FromUInt64(0));

        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            for (var i = 0; i < 10; i++)
            {
                await test.Store.Atomic().Sum(["sum"], 1).Sum(["parts", i % 3], 1).CommitAsync();
                await using var snapshot = await test.Store.SnapshotAsync();
                var sums = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => snapshot.GetAsync(["sum"]).AsTask()));
                var parts = await snapshot.ListAsync(KvRange.Prefix(["parts"])).Select(static e => (long)e.As<ulong>()).ToListAsync();
                Assert.All(sums, sum => Assert.Equal(parts.Sum(), (long)sum!.As<ulong>()));
            }
        }));

        Assert.Equal(80ul, (await test.Store.GetAsync(["sum"]))!.As<ulong>());
    }

    [Fact]
    public async Task A_snapshot_ends_after_its_time_and_says_so()
    {
        await using var test = await database.CreateStoreAsync(
            _time, static options => options.SnapshotTimeout = TimeSpan.FromSeconds(20));
        await test.Store.SetAsync(["a"], 1);
        await using var snapshot = await test.Store.SnapshotAsync();
        _time.Advance(TimeSpan.FromSeconds(19));
        Assert.NotNull(await snapshot.GetAsync(["a"]));

        _time.Advance(TimeSpan.FromSeconds(1));
        KvException? error = null;
        while (error is null)
        {
            // The end comes on a thread of its own.
            error = await Record.ExceptionAsync(() => snapshot.GetAsync(["a"]).AsTask()) as KvException;
        }

        Assert.Equal(KvErrorKind.NotFound, error.Kind);
        Assert.Contains("00:00:20, KvStoreOptions.SnapshotTimeout", error.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<KvException>(() => snapshot.Iterate(KvRange.All).MoveNextAsync().AsTask());
        Assert.NotNull(await test.Store.GetAsync(["a"]));
    }

    [Fact]
    public async Task A_snapshot_that_was_disposed_of_is_refused_and_gives_its_connection_back()
    {
        await using var test = await database.CreateStoreAsync(_time);
        for (var i = 0; i < 100; i++)
        {
            var snapshot = await test.Store.SnapshotAsync();
            await snapshot.DisposeAsync();
            await snapshot.DisposeAsync();
            await Assert.ThrowsAsync<ObjectDisposedException>(() => snapshot.GetAsync(["a"]).AsTask());
        }
    }

    [Fact]
    public async Task A_call_that_is_cancelled_before_it_begins_leaves_the_snapshot_as_it_was()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.SetAsync(["a"], 1);
        await using var snapshot = await test.Store.SnapshotAsync();

        var cancelled = new CancellationToken(canceled: true);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => snapshot.GetAsync(["a"], cancelled).AsTask());

        Assert.NotNull(await snapshot.GetAsync(["a"]));
    }

    [Fact]
    public async Task A_snapshot_of_a_scope_shows_the_scope_alone()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var scope = test.Store.Scope(["tenant", 7L]);
        await test.Store.SetAsync(["a"], "all");
        await scope.SetAsync(["a"], "own");
        await scope.SetAsync(["b"], "other");

        await using var snapshot = await scope.SnapshotAsync();
        var iterator = snapshot.Iterate(KvRange.All, reverse: true);

        Assert.Equal("own", (await snapshot.GetAsync(["a"]))!.As<string>());
        Assert.Equal(["own", "other"], await ValuesAsync(snapshot.ListAsync(KvRange.All)));
        Assert.Equal(2, await snapshot.CountAsync(KvRange.All));
        Assert.True(await iterator.SeekAsync(["a", 1L]));
        Assert.Equal(KvKey.Create("a"), iterator.Current!.Key);
        Assert.False(await iterator.MoveNextAsync());
    }

    [Fact]
    public async Task What_is_over_a_limit_is_refused_as_by_the_store_and_ends_nothing()
    {
        await using var test = await database.CreateStoreAsync(_time, static options => options.MaxReadRanges = 2);
        await using var snapshot = await test.Store.SnapshotAsync();

        await Assert.ThrowsAsync<ArgumentException>(() => snapshot.GetManyAsync([["a"], ["b"], ["c"]]).AsTask());
        Assert.Throws<ArgumentException>(() => snapshot.ListAsync(KvRange.All, new() { Limit = 0 }));
        Assert.Throws<ArgumentNullException>(() => snapshot.Iterate(null!));
        await Assert.ThrowsAsync<ArgumentNullException>(() => snapshot.Iterate(KvRange.All).SeekAsync(null!).AsTask());

        Assert.Equal(0, await snapshot.CountAsync(KvRange.All));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_iterator_goes_as_an_ordered_list_does(bool reverse)
    {
        await using var test = await database.CreateStoreAsync(_time);
        var random = new Random(42);
        var keys = KvTestKeys.Random(seed: 42, count: 80, longest: 4).Select(static bytes => KvKey.Create("k", bytes)).Distinct().ToList();
        var written = keys.Where(static (_, i) => i % 2 == 0).Order().ToList();
        var write = test.Store.Atomic();
        written.ForEach(key => write.Set(key, key.ToString()));
        await write.CommitAsync();
        await test.Store.SetAsync(["j"], 1);
        await test.Store.SetAsync(["l"], 1);
        await using var snapshot = await test.Store.SnapshotAsync();

        foreach (var range in (KvRange[])[KvRange.Prefix(["k"]), KvRange.Between(written[3], written[^3]), KvRange.Prefix(["none"])])
        {
            var model = written.Where(key => key.CompareTo(Key(range.Start)) >= 0 && key.CompareTo(Key(range.End)) < 0).ToList();
            if (reverse)
            {
                model.Reverse();
            }

            var (iterator, at) = (snapshot.Iterate(range, reverse), -1);
            for (var step = 0; step < 400; step++)
            {
                var key = keys[random.Next(keys.Count)];
                (bool Moved, int To) move = random.Next(5) switch
                {
                    0 => (await iterator.SeekAsync(key), IndexFrom(model, key)),
                    1 => (await iterator.MoveLastAsync(), model.Count - 1),
                    _ => (await iterator.MoveNextAsync(), Math.Min(at + 1, model.Count)),
                };
                at = move.To < 0 ? model.Count : move.To;
                Assert.Equal(at < model.Count, move.Moved);
                Assert.Equal(at < model.Count ? model[at] : null, iterator.Current?.Key);
            }
        }

        static KvKey Key(byte[] bytes) => KvKey.FromStored(bytes);

        int IndexFrom(List<KvKey> model, KvKey key) =>
            model.FindIndex(k => reverse ? k.CompareTo(key) <= 0 : k.CompareTo(key) >= 0);
    }

    private static async Task<List<string?>> ValuesAsync(IAsyncEnumerable<KvEntry> entries) =>
        await entries.Select(static e => e.As<string>()).ToListAsync();
}

public sealed class SqliteSnapshotTests(SqliteDatabase database) : SnapshotSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresSnapshotTests(PostgresDatabase database) : SnapshotSpec(database), IClassFixture<PostgresDatabase>;
