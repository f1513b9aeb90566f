using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

public abstract class RangeWatchSpec(KvDatabase database)
{
    public static TheoryData<bool> OnOrOff => [true, false];

    [Theory]
    [MemberData(nameof(OnOrOff))]
    public async Task A_watcher_of_a_range_gets_the_keys_that_changed_and_those_that_are_gone(bool on)
    {
        await using var test = await CreateAsync(on);
        await test.Store.Atomic().Set(["a", 1], 1).Set(["a", 2], 1).Set(["b"], 1).CommitAsync();
        await using var watch = test.Store.WatchAsync(KvRange.Prefix(["a"])).GetAsyncEnumerator();

        Assert.Equal("", Text(await watch.NextAsync()));
        var next = watch.NextAsync();
        await test.Store.SetAsync(["b"], 2);
        var stamp = (await test.Store.Atomic().Delete(["a", 1]).Set(["a", 2], 1).Set(["a", 3], 1).CommitAsync()).Versionstamp;
        var set = await next;
        Assert.Equal(("1-, 2=, 3=", stamp), (Text(set), set.Versionstamp));
        await test.Store.DeleteRangeAsync(KvRange.All);
        Assert.Equal("2-, 3-", Text(await watch.NextAsync()));
    }

    [Theory]
    [MemberData(nameof(OnOrOff))]
    public async Task What_came_between_two_looks_comes_as_it_was_left(bool on)
    {
        await using var test = await CreateAsync(on);
        await test.Store.SetAsync(["a", 0], 0);
        await using var watch = test.Store.WatchAsync(KvRange.Prefix(["a"])).GetAsyncEnumerator();
        await watch.NextAsync();
        for (var i = 0; i < 30; i++)
        {
            await test.Store.SetAsync(["a", i % 3], i);
        }

        await test.Store.DeleteAsync(["a", 2]);
        await test.Store.DeleteAsync(["a", 0]);
        var last = await test.Store.SetAsync(["a", 0], 0);

        var changed = new Dictionary<KvKey, bool>();
        KvChangeSet set;
        do
        {
            set = await watch.NextAsync();
            set.Changes.ToList().ForEach(change => changed[change.Key] = change.IsDeleted);
        }
        while (set.Versionstamp < last);

        // Without the feed nothing tells that a key was there between two looks.
        changed.Remove(["a", 2], out var isDeleted);
        Assert.True(isDeleted || !on);
        Assert.Equal(
            [(KvKey.Create("a", 0), false), (KvKey.Create("a", 1), false)],
            changed.OrderBy(static c => c.Key).Select(static c => (c.Key, c.Value)));
    }

    [Theory]
    [MemberData(nameof(OnOrOff))]
    public async Task Commits_of_another_process_are_seen_within_a_scope(bool on)
    {
        await using var test = await CreateAsync(on);
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await using var watch = test.Store.Scope(["t"]).WatchAsync(KvRange.All).GetAsyncEnumerator();
        await watch.NextAsync();

        await other.Store.SetAsync(["elsewhere"], 1);
        await other.Store.SetAsync(["t", 1], 1);
        Assert.Equal("(1)=", Text(await watch.NextAsync(), whole: true));
        await other.Store.DeleteAsync(["t", 1]);
        Assert.Equal("(1)-", Text(await watch.NextAsync(), whole: true));
    }

    [Fact]
    public async Task A_range_with_too_many_keys_is_refused_where_the_feed_is_off_and_watched_where_it_is_on()
    {
        await using var test = await CreateAsync(on: false);
        await FillAsync(test, KvLimits.MaxWatchedRange + 1);

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.WatchAsync(KvRange.All).GetAsyncEnumerator().NextAsync());
        Assert.Equal(KvErrorKind.ChangesOff, error.Kind);
        Assert.Contains("IKvChanges.EnableAsync", error.Message, StringComparison.Ordinal);

        await test.Services.GetRequiredService<IKvChanges>().EnableAsync();
        await using var watch = test.Store.WatchAsync(KvRange.All).GetAsyncEnumerator();
        await watch.NextAsync();
        await test.Store.DeleteRangeAsync(KvRange.All);
        Assert.Equal(KvLimits.MaxWatchedRange + 1, (await watch.NextAsync()).Changes.Count(static c => c.IsDeleted));
    }

    [Fact]
    public async Task A_watch_that_began_while_the_feed_was_off_goes_on_by_it_and_ends_when_it_is_switched_off()
    {
        await using var test = await CreateAsync(on: false);
        await FillAsync(test, 10);
        await using var watch = test.Store.WatchAsync(KvRange.All).GetAsyncEnumerator();
        await watch.NextAsync();
        var changes = test.Services.GetRequiredService<IKvChanges>();
        await changes.EnableAsync();
        await test.Store.DeleteAsync(["n", 3]);
        Assert.Equal("3-", Text(await watch.NextAsync()));
        await FillAsync(test, KvLimits.MaxWatchedRange * 2);
        Assert.Equal(KvLimits.MaxWatchedRange * 2, (await watch.NextAsync()).Changes.Count);
        var next = watch.NextAsync();

        await changes.DisableAsync();

        Assert.Equal(KvErrorKind.ChangesOff, (await Assert.ThrowsAsync<KvException>(() => next)).Kind);
    }

    [Fact]
    public async Task What_expires_is_gone_for_a_watcher()
    {
        var time = new ManualTime();
        await using var test = await database.CreateStoreAsync(time);
        await test.Store.SetAsync(["a"], 1, TimeSpan.FromMinutes(1));
        await using var watch = test.Store.WatchAsync(KvRange.All).GetAsyncEnumerator();
        await watch.NextAsync();
        var next = watch.NextAsync();

        time.Advance(TimeSpan.FromMinutes(2));
        await test.Engine.Sweeper.DeleteAsync(default);
        await test.Store.SetAsync(["b"], 1);

        Assert.Contains("a-", Text(await next), StringComparison.Ordinal);
    }

    private async Task<KvTestStore> CreateAsync(bool on)
    {
        var test = await database.CreateStoreAsync(options: static options => options.WatchInterval = TimeSpan.FromMilliseconds(10));
        if (on)
        {
            await test.Services.GetRequiredService<IKvChanges>().EnableAsync();
        }

        return test;
    }

    private static async Task FillAsync(KvTestStore test, int count)
    {
        var write = test.Store.Atomic();
        for (var i = 0; i < count; i++)
        {
            write.Set(["n", i], i);
        }

        await write.CommitAsync();
    }

    private static string Text(KvChangeSet set, bool whole = false) => string.Join(", ", set.Changes.Select(c =>
        (whole ? $"({string.Join(", ", c.Key)})" : $"{c.Key[^1]}".Trim('"')) + (c.IsDeleted ? "-" : "=")));
}

public sealed class SqliteRangeWatchTests(SqliteDatabase database) : RangeWatchSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresRangeWatchTests(PostgresDatabase database) : RangeWatchSpec(database), IClassFixture<PostgresDatabase>;
