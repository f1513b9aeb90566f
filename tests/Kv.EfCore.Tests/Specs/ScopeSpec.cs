using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>A scope is a store of its own under a prefix, which no call of it can leave.</summary>
public abstract class ScopeSpec(KvDatabase database)
{
    private static readonly KvKey[] Around = [["t"], ["t", 1L], ["t", 10L, "a"], ["t", 2L], ["t", 2L, "a"], ["t\0", 1L], ["u"]];
    private readonly ManualTime _time = new();

    [Fact]
    public async Task What_a_scope_writes_is_below_its_prefix_and_reads_without_it()
    {
        await using var test = await database.CreateStoreAsync();
        var scope = test.Store.Scope(["t", 1L]);

        await scope.SetAsync(["a"], "one");

        Assert.Equal("one", await test.Store.GetAsync<string>(["t", 1L, "a"]));
        var entry = await scope.GetAsync(["a"]);
        Assert.Equal(KvKey.Create("a"), entry!.Key);
        Assert.Equal("one", entry.As<string>());
        Assert.True(await scope.ExistsAsync(["a"]));
        Assert.Equal([["a"], null], (await scope.GetManyAsync([["a"], ["b"]])).Select(static e => e?.Key));
        Assert.Equal("one", (await scope.GetAsync(["a"], KvReadOptions.Eventual))!.As<string>());
        Assert.True(await scope.ExistsAsync(["a"], KvReadOptions.Eventual));
        Assert.Equal(1, await scope.CountAsync(KvRange.All, KvReadOptions.Eventual));
        Assert.Null(await test.Store.Scope(["t", 2L]).GetAsync(["a"]));
        Assert.Equal("one", await test.Store.Scope(["t"]).Scope([1L]).GetAsync<string>(["a"]));
    }

    [Fact]
    public async Task Its_listings_counts_and_deletes_see_nothing_around_it()
    {
        await using var test = await database.CreateStoreAsync();
        var scope = test.Store.Scope(["t", 1L]);
        foreach (var key in Around)
        {
            await test.Store.SetAsync(key, 0);
        }

        await scope.Atomic().Set(["a"], 1).Set(["a", 1L], 2).Set(["b"], 3).CommitAsync();
        KvRange[] ranges =
        [
            KvRange.All, KvRange.Between(KvKey.Empty, ["c"]), KvRange.Between(["a"], ["c"]),
            KvRange.Prefix([], null, ["c"]), KvRange.Prefix([], ["a"], null),
        ];

        foreach (var range in ranges)
        {
            foreach (var reverse in (bool[])[false, true])
            {
                KvKey[] keys = [["a"], ["a", 1L], ["b"]];
                var options = new KvListOptions { Reverse = reverse };
                Assert.Equal(reverse ? keys.Reverse() : keys, await scope.ListKeysAsync(range, options).ToListAsync());
                var entries = await scope.ListAsync(range, options with { Snapshot = true }).ToListAsync();
                Assert.Equal(reverse ? keys.Reverse() : keys, entries.Select(static e => e.Key));
            }

            Assert.Equal(3, await scope.CountAsync(range));
        }

        Assert.Equal([["a", 1L]], await scope.ListKeysAsync(KvRange.Prefix(["a"])).ToListAsync());
        Assert.Empty(await scope.ListKeysAsync(KvRange.Between(KvKey.Empty, KvKey.Empty)).ToListAsync());

        await scope.DeleteRangeAsync(KvRange.Between(KvKey.Empty, ["a", 1L]));
        Assert.Equal([["a", 1L], ["b"]], await scope.ListKeysAsync(KvRange.All).ToListAsync());
        await scope.DeleteRangeAsync(KvRange.All);
        Assert.Equal(Around.Order(), await test.Store.ListKeysAsync(KvRange.All).ToListAsync());
    }

    [Fact]
    public async Task The_empty_key_is_absent_in_a_scope_and_cannot_be_written()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["t"], 1);
        var scope = test.Store.Scope(["t"]);

        Assert.Null(await scope.GetAsync(KvKey.Empty));
        Assert.False(await scope.ExistsAsync(KvKey.Empty));
        Assert.Equal([null], await scope.GetManyAsync([KvKey.Empty]));
        await Assert.ThrowsAsync<ArgumentException>(() => scope.SetAsync(KvKey.Empty, 1).AsTask());
        Assert.Throws<ArgumentException>(() => scope.Atomic().Delete(KvKey.Empty));
        Assert.Throws<ArgumentException>(() => scope.Atomic().Check(KvKey.Empty, null));
    }

    [Fact]
    public async Task A_page_goes_on_in_its_scope_and_its_cursor_is_refused_in_another()
    {
        await using var test = await database.CreateStoreAsync();
        var (one, two) = (test.Store.Scope(["t", 1L]), test.Store.Scope(["t", 2L]));
        foreach (var scope in (IKvStore[])[one, two])
        {
            await scope.Atomic().Set(["a"], 1).Set(["b"], 2).Set(["c"], 3).CommitAsync();
        }

        var page = await one.ListPageAsync(KvRange.All, new KvListOptions { Limit = 2 });
        var rest = await one.ListPageAsync(KvRange.All, new KvListOptions { Limit = 2, Cursor = page.Cursor });

        Assert.Equal([["a"], ["b"]], page.Entries.Select(static e => e.Key));
        Assert.Equal([["c"]], rest.Entries.Select(static e => e.Key));
        Assert.Null(rest.Cursor);
        foreach (var other in (IKvStore[])[two, test.Store])
        {
            var error = await Assert.ThrowsAsync<ArgumentException>(
                () => other.ListPageAsync(KvRange.All, new KvListOptions { Cursor = page.Cursor }).AsTask());
            Assert.Contains("cursor of another range", error.Message, StringComparison.Ordinal);
        }

        // A cursor of Deno's kind says nothing of its range, and is one within the scope.
        var plain = new KvListOptions { Cursor = KvRange.All.CursorAt(["a"]) };
        Assert.Equal([["b"], ["c"]], await two.ListKeysAsync(KvRange.All, plain).ToListAsync());
    }

    [Fact]
    public async Task Checks_counters_and_transactions_are_those_of_the_scope()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var scope = test.Store.Scope(["t", 1L]);
        await test.Store.SetAsync(["n"], 7UL);

        Assert.Equal(2UL, await scope.SumAsync(["n"], 2));
        var refused = await scope.Atomic().Check(["n"], null).Set(["m"], 1).CommitAsync();
        Assert.Equal(KvKey.Create("n"), Assert.Single(refused.FailedChecks).Key);
        await scope.Atomic().Min(["n"], 1).Max(["x"], 5).SumWithin(["y"], 3).CommitAsync();
        Assert.Equal(6UL, await scope.TransactAsync(async (transaction, token) =>
        {
            var x = await transaction.GetAsync<ulong>(["x"], token);
            transaction.Writes.Set(["x"], x + 1);
            return x + 1;
        }));
        await scope.SetAsync(["short"], 1, TimeSpan.FromMinutes(1));
        Assert.True(await scope.TouchAsync(["short"], null));
        Assert.False(await scope.TouchAsync(["long"], null));
        await scope.Atomic().SetVersionstamped(["log"], 1).CommitAsync();

        Assert.Equal(7UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Equal(
            [["t", 1L, "n"], ["t", 1L, "short"], ["t", 1L, "x"], ["t", 1L, "y"]],
            (await test.Store.ListKeysAsync(KvRange.Prefix(["t"])).ToListAsync()).Where(static key => key.Count == 3));
        Assert.Single(await scope.ListKeysAsync(KvRange.Prefix(["log"])).ToListAsync());
    }

    [Fact]
    public async Task A_watch_sees_the_keys_of_its_scope_alone()
    {
        await using var test = await database.CreateStoreAsync();
        var scope = test.Store.Scope(["t", 1L]);
        await using var watch = scope.WatchAsync([["a"]]).GetAsyncEnumerator();
        Assert.True(await watch.MoveNextAsync());
        Assert.Null(watch.Current[0]);

        await test.Store.SetAsync(["a"], 1);
        await test.Store.Scope(["t", 2L]).SetAsync(["a"], 2);
        await scope.SetAsync(["a"], 3);

        Assert.True(await watch.MoveNextAsync());
        Assert.Equal(KvKey.Create("a"), watch.Current[0]!.Key);
        Assert.Equal(3, watch.Current[0]!.As<int>());
    }

    [Fact]
    public async Task Unique_and_group_keys_of_messages_are_those_of_the_scope()
    {
        await using var test = await database.CreateStoreAsync();
        IKvStore[] stores = [test.Store, test.Store.Scope(["t", 1L]), test.Store.Scope(["t", 2L])];
        var options = new KvEnqueueOptions { UniqueKey = "u", GroupKey = "g", RateKey = "r" };
        List<string> ids = [];
        foreach (var store in stores)
        {
            ids.Add((await store.EnqueueAsync("a", options)).MessageId);
        }

        Assert.Equal(3, ids.Distinct().Count());
        for (var i = 0; i < stores.Length; i++)
        {
            Assert.Equal(ids[i], (await stores[i].EnqueueAsync("b", options)).MessageId);
            var error = await Assert.ThrowsAsync<KvException>(
                () => stores[i].EnqueueAsync("b", options with { IfDuplicate = KvDuplicatePolicy.Refuse }).AsTask());
            Assert.Contains("the unique key 'u' already", error.Message, StringComparison.Ordinal);
            var info = await test.Queue().GetAsync(ids[i]);
            Assert.Equal(("g", "u", KvMessageState.Due), (info!.GroupKey, info.UniqueKey, info.State));
            Assert.Equal(i == 0 ? null : KvKey.Create("t", i), info.Scope);
        }

        // The first of each group may run, and what comes after it waits for it alone.
        var second = await stores[1].EnqueueAsync("c", new KvEnqueueOptions { GroupKey = "g" });
        Assert.Equal(KvMessageState.Blocked, (await test.Queue().GetAsync(second.MessageId))!.State);
    }

    [Fact]
    public async Task A_prefix_that_is_none_is_refused()
    {
        await using var test = await database.CreateStoreAsync();

        Assert.Contains("at least one part", Refused([]), StringComparison.Ordinal);
        Assert.Contains("takes 605 bytes", Refused([new string('x', 601)]), StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>(() => test.Store.Scope(null!));
        var half = test.Store.Scope([new string('x', 400)]);
        var error = Assert.Throws<ArgumentException>(() => half.Scope([new string('y', 400)]));
        Assert.Contains("takes 808 bytes", error.Message, StringComparison.Ordinal);

        string Refused(KvKey prefix) => Assert.Throws<ArgumentException>(() => test.Store.Scope(prefix)).Message;
    }

    [Fact]
    public async Task The_size_of_a_key_counts_with_its_scope()
    {
        await using var test = await database.CreateStoreAsync();
        var scope = test.Store.Scope(["tenant"]);
        KvKey fits = [new string('k', KvLimits.MaxKeySize - 2 - 8)], tooLong = [new string('k', KvLimits.MaxKeySize - 1 - 8)];

        await scope.SetAsync(fits, 1);
        Assert.Equal(1, await scope.GetAsync<int>(fits));
        var error = await Assert.ThrowsAsync<ArgumentException>(() => scope.SetAsync(tooLong, 1).AsTask());

        Assert.Contains("encodes to 2049 bytes, of which 8 are the scope's", error.Message, StringComparison.Ordinal);
    }
}

public sealed class SqliteScopeTests(SqliteDatabase database) : ScopeSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresScopeTests(PostgresDatabase database) : ScopeSpec(database), IClassFixture<PostgresDatabase>;
