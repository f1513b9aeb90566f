using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Where the change feed begins, what it keeps, and what a follower is told that cannot go on.</summary>
public abstract class FeedSwitchSpec(KvDatabase database)
{
    [Fact]
    public async Task While_it_is_off_it_records_nothing_and_a_follower_is_told_the_remedy()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["a"], 1);

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.ChangesAsync(default).FirstAsync());

        Assert.Equal(KvErrorKind.ChangesOff, error.Kind);
        Assert.Contains("IKvChanges.EnableAsync", error.Message, StringComparison.Ordinal);
        var state = await test.Changes().GetStateAsync();
        Assert.Equal((false, null, null), (state.IsOn, state.Oldest, state.Options));
        Assert.Equal(0, await test.RecordedAsync());
    }

    [Fact]
    public async Task It_begins_when_it_is_switched_on_and_what_was_before_is_to_be_listed()
    {
        await using var test = await database.CreateStoreAsync();
        var before = await test.Store.SetAsync(["a"], 1);
        await test.Store.SetAsync(["b"], 1);
        var state = await test.Changes().EnableAsync();
        var after = await test.Store.SetAsync(["c"], 1);

        var error = await Assert.ThrowsAsync<KvChangesTooOldException>(() => test.Store.ChangesAsync(before).FirstAsync());

        Assert.Equal((KvErrorKind.ChangesTooOld, after), (error.Kind, error.FollowFrom));
        Assert.Equal([(after, "c=")], (await test.Store.ChangesAsync(state.Oldest!.Value).TakeAsync(1)).ConvertAll(FeedTesting.Text));
    }

    [Fact]
    public async Task Switching_it_on_again_changes_what_is_kept_and_loses_nothing()
    {
        await using var test = await database.CreateWithFeedAsync();
        var start = await test.NowAsync();
        var stamp = await test.Store.SetAsync(["a"], 1);

        var state = await test.Changes().EnableAsync(new KvChangesOptions { KeepFor = null, KeepVersions = 5 });

        Assert.True(state.IsOn);
        Assert.Equal(new KvChangesOptions { KeepFor = null, KeepVersions = 5 }, state.Options);
        Assert.Equal([(stamp, "a=")], (await test.Store.ChangesAsync(start).TakeAsync(1)).ConvertAll(FeedTesting.Text));
    }

    [Fact]
    public async Task Switched_off_it_ends_its_followers_with_an_error_and_leaves_nothing_behind()
    {
        await using var test = await database.CreateWithFeedAsync();
        await using var changes = test.Store.ChangesAsync(await test.NowAsync()).GetAsyncEnumerator();
        await test.Store.SetAsync(["a"], 1);
        await changes.NextAsync();
        var next = changes.NextAsync();

        await test.Changes().DisableAsync();

        Assert.Equal(KvErrorKind.ChangesOff, (await Assert.ThrowsAsync<KvException>(() => next)).Kind);
        await test.Store.SetAsync(["b"], 1);
        Assert.Equal(0, await test.RecordedAsync());
        var again = await test.Changes().EnableAsync();
        var stamp = await test.Store.SetAsync(["c"], 1);
        Assert.Equal([(stamp, "c=")], (await test.Store.ChangesAsync(again.Oldest!.Value).TakeAsync(1)).ConvertAll(FeedTesting.Text));
    }

    [Fact]
    public async Task Options_out_of_bounds_are_refused()
    {
        await using var test = await database.CreateStoreAsync();

        await Assert.ThrowsAsync<ArgumentException>(() => test.Changes().EnableAsync(new KvChangesOptions { KeepFor = TimeSpan.Zero }));
        await Assert.ThrowsAsync<ArgumentException>(
            () => test.Changes().EnableAsync(new KvChangesOptions { KeepFor = TimeSpan.FromDays(4000) }));
        await Assert.ThrowsAsync<ArgumentException>(() => test.Changes().EnableAsync(new KvChangesOptions { KeepVersions = 0 }));
        Assert.False((await test.Changes().GetStateAsync()).IsOn);
    }

    [Fact]
    public async Task Changes_are_kept_for_as_long_as_was_asked_and_a_follower_from_before_is_told_where_to_begin()
    {
        var time = new ManualTime();
        await using var test = await database.CreateWithFeedAsync(
            time: time, keep: new KvChangesOptions { KeepFor = TimeSpan.FromHours(20) });
        var trimmer = test.Engine.Feed.Trimmer;
        var old = await test.Store.SetAsync(["a"], 1);
        await trimmer.TrimAsync(default);
        time.Advance(TimeSpan.FromHours(19));
        var young = await test.Store.SetAsync(["b"], 1);
        await trimmer.TrimAsync(default);
        Assert.Equal(2, await test.RecordedAsync());

        time.Advance(TimeSpan.FromHours(2));
        await trimmer.TrimAsync(default);

        Assert.Equal(1, await test.RecordedAsync());
        Assert.Equal([(young, "b=")], (await test.Store.ChangesAsync(old).TakeAsync(1)).ConvertAll(FeedTesting.Text));
        var before = KvVersionstamp.FromVersion(old.Version - 1);
        var error = await Assert.ThrowsAsync<KvChangesTooOldException>(() => test.Store.ChangesAsync(before).FirstAsync());
        Assert.Equal(young, error.FollowFrom);
        Assert.Contains($"{old}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_follower_of_what_seldom_changes_is_told_how_far_it_is_and_goes_on_from_there_when_all_else_is_trimmed()
    {
        var time = new ManualTime();
        await using var test = await database.CreateWithFeedAsync(
            time: time, keep: new KvChangesOptions { KeepFor = TimeSpan.FromDays(30) });
        var start = await test.NowAsync();
        var seldom = KvRange.Prefix(["seldom"]);
        await using var changes = test.Store.ChangesAsync(start, seldom).GetAsyncEnumerator();
        var next = changes.NextAsync();
        await test.Store.SetAsync(["often"], 1);
        await test.Store.EnqueueAsync("m");
        var last = await test.Store.SetAsync(["often"], 2);

        // The follower looks, finds nothing, and waits for the rest of the interval.
        var told = await NextAsync(next);
        Assert.Equal((last, ""), told.Text());
        Assert.True(time.GetUtcNow() - new ManualTime().GetUtcNow() >= TimeSpan.FromMinutes(1));
        var again = changes.NextAsync();
        var one = await test.Store.SetAsync(["seldom", 1], 1);
        Assert.Equal(one, (await again).Versionstamp);

        var beyond = NextAsync(changes.NextAsync());
        last = await test.Store.SetAsync(["often"], 3);
        Assert.Equal((last, ""), (await beyond).Text());
        for (var day = 0; day < 70; day++)
        {
            time.Advance(TimeSpan.FromDays(1));
            await test.Engine.Feed.Trimmer.TrimAsync(default);
        }

        Assert.Equal(0, await test.RecordedAsync());
        await Assert.ThrowsAsync<KvChangesTooOldException>(() => test.Store.ChangesAsync(one, seldom).FirstAsync());
        var resumed = test.Store.ChangesAsync(last, seldom).TakeAsync(1);
        var two = await test.Store.SetAsync(["seldom", 2], 1);
        Assert.Equal(two, (await resumed).Single().Versionstamp);

        // Time goes on until it comes, since nothing tells when the follower has begun to wait: for hours on a busy machine, not for days.
        async Task<KvChangeSet> NextAsync(Task<KvChangeSet> coming)
        {
            while (!coming.IsCompleted)
            {
                time.Advance(TimeSpan.FromSeconds(1));
                await Task.Yield();
            }

            return await coming;
        }
    }

    [Fact]
    public async Task So_many_versions_are_kept_as_were_asked_for_and_many_go_in_batches()
    {
        await using var test = await database.CreateWithFeedAsync(keep: new KvChangesOptions { KeepFor = null, KeepVersions = 3 });
        for (var i = 0; i < 5; i++)
        {
            var write = test.Store.Atomic();
            for (var k = 0; k < 600; k++)
            {
                write.Set(["n", i, k], 1);
            }

            await write.CommitAsync();
        }

        await test.Engine.Feed.Trimmer.TrimAsync(default);

        Assert.Equal(3 * 600, await test.RecordedAsync());
        var oldest = (await test.Changes().GetStateAsync()).Oldest!.Value;
        Assert.Equal(3, (await test.Store.ChangesAsync(oldest).TakeAsync(3)).Count);
    }

    [Fact]
    public async Task A_follower_that_is_overtaken_while_it_reads_is_told_so()
    {
        await using var test = await database.CreateWithFeedAsync(keep: new KvChangesOptions { KeepFor = null, KeepVersions = 1 });
        await using var changes = test.Store.ChangesAsync(await test.NowAsync()).GetAsyncEnumerator();
        await test.Store.SetAsync(["a"], 1);
        await changes.NextAsync();
        for (var i = 0; i < 5; i++)
        {
            await test.Store.SetAsync(["n", i], 1);
        }

        await test.Engine.Feed.Trimmer.TrimAsync(default);

        await Assert.ThrowsAsync<KvChangesTooOldException>(() => changes.NextAsync());
    }

    [Fact]
    public async Task A_version_that_the_database_does_not_have_yet_is_one_that_it_has_lost()
    {
        await using var test = await database.CreateWithFeedAsync();
        var last = await test.Store.SetAsync(["a"], 1);

        var error = await Assert.ThrowsAsync<KvChangesTooOldException>(
            () => test.Store.ChangesAsync(KvVersionstamp.FromVersion(last.Version + 1)).FirstAsync());

        Assert.Contains("gone back", error.Message, StringComparison.Ordinal);
        Assert.Equal(last, error.FollowFrom);
    }

    [Fact]
    public async Task Triggers_that_are_gone_are_noticed_and_made_again_when_it_is_switched_on()
    {
        await using var test = await database.CreateWithFeedAsync();
        var start = await test.NowAsync();
        foreach (var statement in test.Engine.Driver.Sql.Feed.DropTriggers)
        {
            await test.ExecuteAsync(statement.Replace("{", "{{", StringComparison.Ordinal).Replace("}", "}}", StringComparison.Ordinal));
        }

        await test.Store.SetAsync(["a"], 1);
        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.ChangesAsync(start).FirstAsync());
        Assert.Equal(KvErrorKind.ChangesOff, error.Kind);
        Assert.False((await test.Changes().GetStateAsync()).IsOn);

        var state = await test.Changes().EnableAsync();
        await Assert.ThrowsAsync<KvChangesTooOldException>(() => test.Store.ChangesAsync(start).FirstAsync());
        var stamp = await test.Store.SetAsync(["b"], 1);
        Assert.Equal([(stamp, "b=")], (await test.Store.ChangesAsync(state.Oldest!.Value).TakeAsync(1)).ConvertAll(FeedTesting.Text));
    }

    [Fact]
    public async Task It_can_be_switched_while_others_write_and_misses_nothing_from_then_on()
    {
        await using var test = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        using var stop = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 8).Select(w => Task.Run(async () =>
        {
            var store = w % 2 == 0 ? test.Store : other.Store;
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                await store.SetAsync(["n", w, i], i);
            }
        })).ToArray();
        await Rows.UntilAsync(() => test.Engine.Signals.Seen.Highest > 20);

        var state = await test.Changes().EnableAsync();
        var count = await test.Store.CountAsync(KvRange.All);
        await Rows.UntilAsync(() => test.Engine.Signals.Seen.Highest > state.Oldest!.Value.Version + 50);
        await stop.CancelAsync();
        await Task.WhenAll(writers);

        var end = await test.NowAsync();
        var keys = new HashSet<KvKey>();
        await foreach (var set in test.Store.ChangesAsync(state.Oldest!.Value))
        {
            keys.UnionWith(set.Changes.Select(static c => c.Key));
            if (set.Versionstamp >= end)
            {
                break;
            }
        }

        // Each key is written once: its version tells on which side of the switch it is.
        await foreach (var entry in test.Store.ListAsync(KvRange.All))
        {
            Assert.Equal(entry.Versionstamp > state.Oldest!.Value, keys.Contains(entry.Key));
        }

        Assert.NotEqual(0, count);
    }

    [Fact]
    public async Task An_open_store_trims_by_itself()
    {
        var time = new ManualTime();
        await using var test = await database.CreateWithFeedAsync(
            static options => options.SweepInterval = TimeSpan.FromMinutes(1), time, new KvChangesOptions { KeepVersions = 2 });
        for (var i = 0; i < 10; i++)
        {
            await test.Store.SetAsync(["n", i], i);
        }

        var started = TimeProvider.System.GetTimestamp();
        while (await test.RecordedAsync() > 2)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < Rows.Patience, "Nothing was trimmed.");
            time.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.Equal(2, await test.RecordedAsync());
    }
}

public sealed class SqliteFeedSwitchTests(SqliteDatabase database) : FeedSwitchSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresFeedSwitchTests(PostgresDatabase database) : FeedSwitchSpec(database), IClassFixture<PostgresDatabase>;
