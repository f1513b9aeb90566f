using System.Globalization;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

public abstract class ChangesSpec(KvDatabase database)
{
    [Fact]
    public async Task A_follower_gets_the_changes_of_each_commit_in_their_order()
    {
        await using var test = await OnAsync();
        var start = await NowAsync(test);
        var first = await test.Store.Atomic().Set(["b"], 1).Set(["a"], 1).CommitAsync();
        await test.Store.EnqueueAsync("a message changes no key");
        var second = await test.Store.Atomic().Delete(["a"]).Set(["c"], 1).CommitAsync();
        var third = await test.Store.TouchAsync(["c"], TimeSpan.FromHours(1)) ? await NowAsync(test) : default;
        await using var changes = test.Store.ChangesAsync(start).GetAsyncEnumerator();

        Assert.Equal((first.Versionstamp, "a=, b="), Text(await changes.NextAsync()));
        Assert.Equal((second.Versionstamp, "a-, c="), Text(await changes.NextAsync()));
        Assert.Equal((third, "c="), Text(await changes.NextAsync()));
        var next = changes.NextAsync();
        var fourth = await test.Store.DeleteRangeAsync(KvRange.All);
        Assert.Equal((fourth, "b-, c-"), Text(await next));
    }

    [Fact]
    public async Task Whoever_resumes_after_a_version_gets_all_that_came_later_and_nothing_again()
    {
        await using var test = await OnAsync();
        var start = await NowAsync(test);
        var stamps = new List<KvVersionstamp>();
        for (var i = 0; i < 20; i++)
        {
            stamps.Add(await test.Store.SetAsync(["n", i], i));
        }

        for (var i = 0; i < stamps.Count; i++)
        {
            var left = await TakeAsync(test.Store.ChangesAsync(i == 0 ? start : stamps[i - 1]), stamps.Count - i);
            Assert.Equal(stamps[i..], left.ConvertAll(static set => set.Versionstamp));
        }
    }

    [Fact]
    public async Task All_writes_that_the_database_commits_together_come_together_and_a_key_once()
    {
        await using var test = await OnAsync();
        var start = await NowAsync(test);
        await Task.WhenAll(Enumerable.Range(0, 200).Select(i => Task.Run(async () =>
        {
            await test.Store.Atomic().Set(["a", i], i).Set(["b", i], i).Delete(["both"]).Set(["last"], i).CommitAsync();
        })));
        var end = await NowAsync(test);

        var sets = new List<KvChangeSet>();
        await foreach (var set in test.Store.ChangesAsync(start))
        {
            sets.Add(set);
            if (set.Versionstamp == end)
            {
                break;
            }
        }

        Assert.Equal(sets.Select(static s => s.Versionstamp).Order().Distinct(), sets.Select(static s => s.Versionstamp));
        Assert.All(sets, static set =>
        {
            Assert.Equal(set.Changes.Count, set.Changes.Select(static c => c.Key).Distinct().Count());
            Assert.Equal(Numbers(set, "a"), Numbers(set, "b"));
        });
        Assert.Equal(Enumerable.Range(0, 200).Select(static i => (long)i), sets.SelectMany(static s => Numbers(s, "a")).Order());

        static IEnumerable<long> Numbers(KvChangeSet set, string name) =>
            set.Changes.Where(c => c.Key[0].Equals((KvKeyPart)name)).Select(static c => long.Parse($"{c.Key[1]}", CultureInfo.InvariantCulture)).Order();
    }

    [Fact]
    public async Task A_commit_of_more_keys_than_one_statement_reads_comes_whole()
    {
        await using var test = await OnAsync(static options => options.MaxMutations = 20_000);
        var start = await NowAsync(test);
        var write = test.Store.Atomic();
        for (var i = 0; i < 5001; i++)
        {
            write.Set(["n", i], i);
        }

        var stamp = (await write.CommitAsync()).Versionstamp;
        var after = await test.Store.DeleteRangeAsync(KvRange.All);

        var sets = await TakeAsync(test.Store.ChangesAsync(start), 2);
        Assert.Equal([(stamp, 5001, 0), (after, 5001, 5001)], sets.Select(
            static s => (s.Versionstamp, s.Changes.Count, s.Changes.Count(static c => c.IsDeleted))));
    }

    [Fact]
    public async Task A_range_and_a_scope_show_what_is_theirs()
    {
        await using var test = await OnAsync();
        var start = await NowAsync(test);
        var scope = test.Store.Scope(["tenant", 1]);
        await test.Store.SetAsync(["tenant", 2, "a"], 1);
        await scope.SetAsync(["a"], 1);
        await test.Store.SetAsync(["a"], 1);
        await scope.Atomic().Set(["b"], 1).Set(["c", 1], 1).CommitAsync();

        Assert.Equal(["a=", "b=, (c, 1)="], (await TakeAsync(scope.ChangesAsync(start), 2)).ConvertAll(static s => Text(s).Changes));
        Assert.Equal(["(c, 1)="], (await TakeAsync(scope.ChangesAsync(start, KvRange.Prefix(["c"])), 1)).ConvertAll(static s => Text(s).Changes));
    }

    [Fact]
    public async Task Writes_of_another_process_and_those_of_transactions_of_the_users_are_there()
    {
        await using var test = await OnAsync(static options => options.WatchInterval = TimeSpan.FromMilliseconds(10));
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await using var changes = test.Store.ChangesAsync(await NowAsync(test)).GetAsyncEnumerator();
        var next = changes.NextAsync();
        var stamp = await other.Store.SetAsync(["a"], 1);
        Assert.Equal((stamp, "a="), Text(await next));

        await using var context = other.CreateContext();
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            await other.Store.Atomic().Set(["b"], 1).CommitAsync(context);
            await other.Store.Atomic().Delete(["a"]).CommitAsync(context);
            await transaction.CommitAsync();
        }

        Assert.Equal("b=", Text(await changes.NextAsync()).Changes);
        Assert.Equal("a-", Text(await changes.NextAsync()).Changes);
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            await other.Store.Atomic().Set(["gone"], 1).CommitAsync(context);
            await transaction.RollbackAsync();
        }

        await other.Store.SetAsync(["c"], 1);
        Assert.Equal("c=", Text(await changes.NextAsync()).Changes);
    }

    [Fact]
    public async Task What_expires_is_told_of_when_it_is_deleted()
    {
        await using var test = await OnAsync();
        await using var changes = test.Store.ChangesAsync(await NowAsync(test)).GetAsyncEnumerator();
        await test.Store.SetAsync(["a"], 1, TimeSpan.FromMilliseconds(1));

        Assert.Equal("a=", Text(await changes.NextAsync()).Changes);
        Assert.Equal("a-", Text(await changes.NextAsync()).Changes);
        Assert.Equal(0, await test.CountRowsAsync());
    }

    [Fact]
    public async Task An_entry_that_expired_and_is_set_again_in_one_commit_is_there()
    {
        await using var test = await OnAsync();
        await test.InsertAsync(KvKey.Create("a").Encoded, [1], 3, expiresAt: 1);
        var start = await NowAsync(test);
        await test.Store.Atomic().DeleteRange(KvRange.All).Set(["a"], 1).Set(["b"], 1).CommitAsync();
        await test.Store.SetAsync(["c"], 1);

        var seen = (await TakeAsync(test.Store.ChangesAsync(start), 2)).SelectMany(static s => s.Changes).Where(static c => c.Key == KvKey.Create("a"));
        Assert.False(seen.Last().IsDeleted);
    }

    [Fact]
    public async Task While_it_is_off_it_records_nothing_and_a_follower_is_told_the_remedy()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["a"], 1);

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.ChangesAsync(default).GetAsyncEnumerator().NextAsync());

        Assert.Equal(KvErrorKind.ChangesOff, error.Kind);
        Assert.Contains("IKvChanges.EnableAsync", error.Message, StringComparison.Ordinal);
        var state = await Changes(test).GetStateAsync();
        Assert.Equal((false, null, null), (state.IsOn, state.Oldest, state.Options));
        Assert.Equal(0, await RecordedAsync(test));
    }

    [Fact]
    public async Task It_begins_when_it_is_switched_on_and_what_was_before_is_to_be_listed()
    {
        await using var test = await database.CreateStoreAsync();
        var before = await test.Store.SetAsync(["a"], 1);
        await test.Store.SetAsync(["b"], 1);
        var state = await Changes(test).EnableAsync();
        var after = await test.Store.SetAsync(["c"], 1);

        var error = await Assert.ThrowsAsync<KvChangesTooOldException>(() => test.Store.ChangesAsync(before).GetAsyncEnumerator().NextAsync());

        Assert.Equal((KvErrorKind.ChangesTooOld, after), (error.Kind, error.FollowFrom));
        Assert.Equal([(after, "c=")], (await TakeAsync(test.Store.ChangesAsync(state.Oldest!.Value), 1)).ConvertAll(Text));
    }

    [Fact]
    public async Task Switching_it_on_again_changes_what_is_kept_and_loses_nothing()
    {
        await using var test = await OnAsync();
        var start = await NowAsync(test);
        var stamp = await test.Store.SetAsync(["a"], 1);

        var state = await Changes(test).EnableAsync(new KvChangesOptions { KeepFor = null, KeepVersions = 5 });

        Assert.True(state.IsOn);
        Assert.Equal(new KvChangesOptions { KeepFor = null, KeepVersions = 5 }, state.Options);
        Assert.Equal([(stamp, "a=")], (await TakeAsync(test.Store.ChangesAsync(start), 1)).ConvertAll(Text));
    }

    [Fact]
    public async Task Switched_off_it_ends_its_followers_with_an_error_and_leaves_nothing_behind()
    {
        await using var test = await OnAsync();
        await using var changes = test.Store.ChangesAsync(await NowAsync(test)).GetAsyncEnumerator();
        await test.Store.SetAsync(["a"], 1);
        await changes.NextAsync();
        var next = changes.NextAsync();

        await Changes(test).DisableAsync();

        Assert.Equal(KvErrorKind.ChangesOff, (await Assert.ThrowsAsync<KvException>(() => next)).Kind);
        await test.Store.SetAsync(["b"], 1);
        Assert.Equal(0, await RecordedAsync(test));
        var again = await Changes(test).EnableAsync();
        var stamp = await test.Store.SetAsync(["c"], 1);
        Assert.Equal([(stamp, "c=")], (await TakeAsync(test.Store.ChangesAsync(again.Oldest!.Value), 1)).ConvertAll(Text));
    }

    [Fact]
    public async Task Options_out_of_bounds_are_refused()
    {
        await using var test = await database.CreateStoreAsync();

        await Assert.ThrowsAsync<ArgumentException>(() => Changes(test).EnableAsync(new KvChangesOptions { KeepFor = TimeSpan.Zero }));
        await Assert.ThrowsAsync<ArgumentException>(() => Changes(test).EnableAsync(new KvChangesOptions { KeepFor = TimeSpan.FromDays(4000) }));
        await Assert.ThrowsAsync<ArgumentException>(() => Changes(test).EnableAsync(new KvChangesOptions { KeepVersions = 0 }));
        Assert.False((await Changes(test).GetStateAsync()).IsOn);
    }

    [Fact]
    public async Task Changes_are_kept_for_as_long_as_was_asked_and_a_follower_from_before_is_told_where_to_begin()
    {
        var time = new ManualTime();
        await using var test = await OnAsync(time: time, keep: new KvChangesOptions { KeepFor = TimeSpan.FromHours(20) });
        var trimmer = test.Engine.FeedTrimmer;
        var old = await test.Store.SetAsync(["a"], 1);
        await trimmer.TrimAsync(default);
        time.Advance(TimeSpan.FromHours(19));
        var young = await test.Store.SetAsync(["b"], 1);
        await trimmer.TrimAsync(default);
        Assert.Equal(2, await RecordedAsync(test));

        time.Advance(TimeSpan.FromHours(2));
        await trimmer.TrimAsync(default);

        Assert.Equal(1, await RecordedAsync(test));
        Assert.Equal([(young, "b=")], (await TakeAsync(test.Store.ChangesAsync(old), 1)).ConvertAll(Text));
        var before = KvVersionstamp.FromVersion(old.Version - 1);
        var error = await Assert.ThrowsAsync<KvChangesTooOldException>(() => test.Store.ChangesAsync(before).GetAsyncEnumerator().NextAsync());
        Assert.Equal(young, error.FollowFrom);
        Assert.Contains($"{old}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task So_many_versions_are_kept_as_were_asked_for_and_many_go_in_batches()
    {
        await using var test = await OnAsync(keep: new KvChangesOptions { KeepFor = null, KeepVersions = 3 });
        for (var i = 0; i < 5; i++)
        {
            var write = test.Store.Atomic();
            for (var k = 0; k < 600; k++)
            {
                write.Set(["n", i, k], 1);
            }

            await write.CommitAsync();
        }

        await test.Engine.FeedTrimmer.TrimAsync(default);

        Assert.Equal(3 * 600, await RecordedAsync(test));
        var oldest = (await Changes(test).GetStateAsync()).Oldest!.Value;
        Assert.Equal(3, (await TakeAsync(test.Store.ChangesAsync(oldest), 3)).Count);
    }

    [Fact]
    public async Task A_follower_that_is_overtaken_while_it_reads_is_told_so()
    {
        await using var test = await OnAsync(keep: new KvChangesOptions { KeepFor = null, KeepVersions = 1 });
        await using var changes = test.Store.ChangesAsync(await NowAsync(test)).GetAsyncEnumerator();
        await test.Store.SetAsync(["a"], 1);
        await changes.NextAsync();
        for (var i = 0; i < 5; i++)
        {
            await test.Store.SetAsync(["n", i], 1);
        }

        await test.Engine.FeedTrimmer.TrimAsync(default);

        await Assert.ThrowsAsync<KvChangesTooOldException>(() => changes.NextAsync());
    }

    [Fact]
    public async Task A_version_that_the_database_does_not_have_yet_is_one_that_it_has_lost()
    {
        await using var test = await OnAsync();
        var last = await test.Store.SetAsync(["a"], 1);

        var error = await Assert.ThrowsAsync<KvChangesTooOldException>(
            () => test.Store.ChangesAsync(KvVersionstamp.FromVersion(last.Version + 1)).GetAsyncEnumerator().NextAsync());

        Assert.Contains("gone back", error.Message, StringComparison.Ordinal);
        Assert.Equal(last, error.FollowFrom);
    }

    [Fact]
    public async Task Triggers_that_are_gone_are_noticed_and_made_again_when_it_is_switched_on()
    {
        await using var test = await OnAsync();
        var start = await NowAsync(test);
        foreach (var statement in test.Engine.Driver.Sql.Feed.DropTriggers)
        {
            await test.ExecuteAsync(statement.Replace("{", "{{", StringComparison.Ordinal).Replace("}", "}}", StringComparison.Ordinal));
        }

        await test.Store.SetAsync(["a"], 1);
        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.ChangesAsync(start).GetAsyncEnumerator().NextAsync());
        Assert.Equal(KvErrorKind.ChangesOff, error.Kind);
        Assert.False((await Changes(test).GetStateAsync()).IsOn);

        var state = await Changes(test).EnableAsync();
        await Assert.ThrowsAsync<KvChangesTooOldException>(() => test.Store.ChangesAsync(start).GetAsyncEnumerator().NextAsync());
        var stamp = await test.Store.SetAsync(["b"], 1);
        Assert.Equal([(stamp, "b=")], (await TakeAsync(test.Store.ChangesAsync(state.Oldest!.Value), 1)).ConvertAll(Text));
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

        var state = await Changes(test).EnableAsync();
        var count = await test.Store.CountAsync(KvRange.All);
        await Rows.UntilAsync(() => test.Engine.Signals.Seen.Highest > state.Oldest!.Value.Version + 50);
        await stop.CancelAsync();
        await Task.WhenAll(writers);

        var end = await NowAsync(test);
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
    public async Task A_cancelled_follower_and_one_of_a_store_that_ends_end_without_an_exception()
    {
        var test = await OnAsync();
        using var cancellation = new CancellationTokenSource();
        await using var cancelled = test.Store.ChangesAsync(await NowAsync(test), null, cancellation.Token).GetAsyncEnumerator();
        await using var disposed = test.Store.ChangesAsync(await NowAsync(test)).GetAsyncEnumerator();
        await test.Store.SetAsync(["a"], 1);
        await cancelled.NextAsync();
        await disposed.NextAsync();
        var (first, second) = (cancelled.MoveNextAsync().AsTask(), disposed.MoveNextAsync().AsTask());

        await cancellation.CancelAsync();
        Assert.False(await first.WaitAsync(Rows.Patience, TimeProvider.System));
        await test.DisposeAsync();
        Assert.False(await second.WaitAsync(Rows.Patience, TimeProvider.System));
    }

    private async Task<KvTestStore> OnAsync(
        Action<KvStoreOptions>? options = null, TimeProvider? time = null, KvChangesOptions? keep = null)
    {
        var test = await database.CreateStoreAsync(time, options);
        await Changes(test).EnableAsync(keep);
        return test;
    }

    private static IKvChanges Changes(KvTestStore test) => test.Services.GetRequiredService<IKvChanges>();

    private static async Task<KvVersionstamp> NowAsync(KvTestStore test) => KvVersionstamp.FromVersion(await test.VersionAsync());

    private static async Task<int> RecordedAsync(KvTestStore test)
    {
        await using var context = test.CreateContext();
        return await context.Changes.CountAsync();
    }

    private static async Task<List<KvChangeSet>> TakeAsync(IAsyncEnumerable<KvChangeSet> changes, int count)
    {
        await using var sequence = changes.GetAsyncEnumerator();
        List<KvChangeSet> sets = [];
        while (sets.Count < count)
        {
            sets.Add(await sequence.NextAsync());
        }

        return sets;
    }

    private static (KvVersionstamp Versionstamp, string Changes) Text(KvChangeSet set) => (
        set.Versionstamp,
        string.Join(", ", set.Changes.Select(static c =>
            $"{(c.Key.Count == 1 ? $"{c.Key[0]}" : $"({string.Join(", ", c.Key)})")}{(c.IsDeleted ? "-" : "=")}".Replace("\"", ""))));
}

public sealed class SqliteChangesTests(SqliteDatabase database) : ChangesSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresChangesTests(PostgresDatabase database) : ChangesSpec(database), IClassFixture<PostgresDatabase>;
