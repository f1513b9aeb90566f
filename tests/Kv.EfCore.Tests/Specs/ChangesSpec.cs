using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class ChangesSpec(KvDatabase database)
{
    [Fact]
    public async Task A_follower_gets_the_changes_of_each_commit_in_their_order()
    {
        await using var test = await database.CreateWithFeedAsync();
        var start = await test.NowAsync();
        var first = await test.Store.Atomic().Set(["b"], 1).Set(["a"], 1).CommitAsync();
        await test.Store.EnqueueAsync("a message changes no key");
        var second = await test.Store.Atomic().Delete(["a"]).Set(["c"], 1).CommitAsync();
        var third = await test.Store.TouchAsync(["c"], TimeSpan.FromHours(1)) ? await test.NowAsync() : default;
        await using var changes = test.Store.ChangesAsync(start).GetAsyncEnumerator();

        Assert.Equal((first.Versionstamp, "a=, b="), (await changes.NextAsync()).Text());
        Assert.Equal((second.Versionstamp, "a-, c="), (await changes.NextAsync()).Text());
        Assert.Equal((third, "c="), (await changes.NextAsync()).Text());
        var next = changes.NextAsync();
        var fourth = await test.Store.DeleteRangeAsync(KvRange.All);
        Assert.Equal((fourth, "b-, c-"), (await next).Text());
    }

    [Fact]
    public async Task Whoever_resumes_after_a_version_gets_all_that_came_later_and_nothing_again()
    {
        await using var test = await database.CreateWithFeedAsync();
        var start = await test.NowAsync();
        var stamps = new List<KvVersionstamp>();
        for (var i = 0; i < 20; i++)
        {
            stamps.Add(await test.Store.SetAsync(["n", i], i));
        }

        for (var i = 0; i < stamps.Count; i++)
        {
            var left = await test.Store.ChangesAsync(i == 0 ? start : stamps[i - 1]).TakeAsync(stamps.Count - i);
            Assert.Equal(stamps[i..], left.ConvertAll(static set => set.Versionstamp));
        }
    }

    [Fact]
    public async Task All_writes_that_the_database_commits_together_come_together_and_a_key_once()
    {
        await using var test = await database.CreateWithFeedAsync();
        var start = await test.NowAsync();
        await Task.WhenAll(Enumerable.Range(0, 200).Select(i => Task.Run(async () =>
        {
            await test.Store.Atomic().Set(["a", i], i).Set(["b", i], i).Delete(["both"]).Set(["last"], i).CommitAsync();
        })));
        var end = await test.NowAsync();

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
            set.Changes.Where(c => c.Key[0] == name).Select(static c => c.Key[1].AsInt64()).Order();
    }

    [Fact]
    public async Task A_commit_of_more_keys_than_one_statement_reads_comes_whole()
    {
        await using var test = await database.CreateWithFeedAsync(static options => options.MaxMutations = 20_000);
        var start = await test.NowAsync();
        var write = test.Store.Atomic();
        for (var i = 0; i < 5001; i++)
        {
            write.Set(["n", i], i);
        }

        var stamp = (await write.CommitAsync()).Versionstamp;
        var after = await test.Store.DeleteRangeAsync(KvRange.All);

        var sets = await test.Store.ChangesAsync(start).TakeAsync(2);
        Assert.Equal([(stamp, 5001, 0), (after, 5001, 5001)], sets.Select(
            static s => (s.Versionstamp, s.Changes.Count, s.Changes.Count(static c => c.IsDeleted))));
    }

    [Fact]
    public async Task A_range_and_a_scope_show_what_is_theirs()
    {
        await using var test = await database.CreateWithFeedAsync();
        var start = await test.NowAsync();
        var scope = test.Store.Scope(["tenant", 1]);
        await test.Store.SetAsync(["tenant", 2, "a"], 1);
        await scope.SetAsync(["a"], 1);
        await test.Store.SetAsync(["a"], 1);
        await scope.Atomic().Set(["b"], 1).Set(["c", 1], 1).CommitAsync();

        Assert.Equal(["a=", "b=, (c, 1)="], (await scope.ChangesAsync(start).TakeAsync(2)).ConvertAll(static s => s.Text().Changes));
        var below = await scope.ChangesAsync(start, KvRange.Prefix(["c"])).TakeAsync(1);
        Assert.Equal(["(c, 1)="], below.ConvertAll(static s => s.Text().Changes));
    }

    [Fact]
    public async Task Writes_of_another_process_and_those_of_transactions_of_the_users_are_there()
    {
        await using var test = await database.CreateWithFeedAsync(static options => options.WatchInterval = TimeSpan.FromMilliseconds(10));
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await using var changes = test.Store.ChangesAsync(await test.NowAsync()).GetAsyncEnumerator();
        var next = changes.NextAsync();
        var stamp = await other.Store.SetAsync(["a"], 1);
        Assert.Equal((stamp, "a="), (await next).Text());

        await using var context = other.CreateContext();
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            await other.Store.Atomic().Set(["b"], 1).CommitAsync(context);
            await other.Store.Atomic().Delete(["a"]).CommitAsync(context);
            await transaction.CommitAsync();
        }

        Assert.Equal("b=", (await changes.NextAsync()).Text().Changes);
        Assert.Equal("a-", (await changes.NextAsync()).Text().Changes);
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            await other.Store.Atomic().Set(["gone"], 1).CommitAsync(context);
            await transaction.RollbackAsync();
        }

        await other.Store.SetAsync(["c"], 1);
        Assert.Equal("c=", (await changes.NextAsync()).Text().Changes);
    }

    [Fact]
    public async Task What_expires_is_told_of_when_it_is_deleted()
    {
        await using var test = await database.CreateWithFeedAsync();
        await using var changes = test.Store.ChangesAsync(await test.NowAsync()).GetAsyncEnumerator();
        await test.Store.SetAsync(["a"], 1, TimeSpan.FromMilliseconds(1));

        Assert.Equal("a=", (await changes.NextAsync()).Text().Changes);
        Assert.Equal("a-", (await changes.NextAsync()).Text().Changes);
        Assert.Equal(0, await test.CountRowsAsync());
    }

    [Fact]
    public async Task An_entry_that_expired_and_is_set_again_in_one_commit_is_there()
    {
        await using var test = await database.CreateWithFeedAsync();
        await test.InsertAsync(KvKey.Create("a").Encoded, [1], 3, expiresAt: 1);
        var start = await test.NowAsync();
        await test.Store.Atomic().DeleteRange(KvRange.All).Set(["a"], 1).Set(["b"], 1).CommitAsync();
        await test.Store.SetAsync(["c"], 1);

        var sets = await test.Store.ChangesAsync(start).TakeAsync(2);
        Assert.False(sets.SelectMany(static s => s.Changes).Last(static c => c.Key == KvKey.Create("a")).IsDeleted);
    }

    [Fact]
    public async Task A_cancelled_follower_and_one_of_a_store_that_ends_end_without_an_exception()
    {
        var test = await database.CreateWithFeedAsync();
        using var cancellation = new CancellationTokenSource();
        await using var cancelled = test.Store.ChangesAsync(await test.NowAsync(), null, cancellation.Token).GetAsyncEnumerator();
        await using var disposed = test.Store.ChangesAsync(await test.NowAsync()).GetAsyncEnumerator();
        await test.Store.SetAsync(["a"], 1);
        await cancelled.NextAsync();
        await disposed.NextAsync();
        var (first, second) = (cancelled.MoveNextAsync().AsTask(), disposed.MoveNextAsync().AsTask());

        await cancellation.CancelAsync();
        Assert.False(await first.WaitAsync(Rows.Patience, TimeProvider.System));
        await test.DisposeAsync();
        Assert.False(await second.WaitAsync(Rows.Patience, TimeProvider.System));
    }
}

public sealed class SqliteChangesTests(SqliteDatabase database) : ChangesSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresChangesTests(PostgresDatabase database) : ChangesSpec(database), IClassFixture<PostgresDatabase>;
