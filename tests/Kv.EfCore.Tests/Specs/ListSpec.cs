using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class ListSpec(KvDatabase database)
{
    // In the order of the specification: bytes, strings, integers, doubles, false, true; a key before those that continue it.
    private static readonly KvKey[] AllTypes =
    [
        [(byte[])[]], [(byte[])[0x00]], [(byte[])[0xFF]], [""], ["\0"], ["a"], ["a", 0], ["a\0b"], ["b"],
        [-256], [-1], [0], [0, "x"], [1], [255], [256], [double.CopySign(double.NaN, -1)], [double.NegativeInfinity], [-1.0], [-0.0], [0.0], [1.0], [double.CopySign(double.NaN, 1)], [false], [true],
    ];

    [Fact]
    public async Task Keys_of_all_types_are_listed_in_the_order_of_the_specification()
    {
        await using var test = await database.CreateStoreAsync();
        var atomic = test.Store.Atomic();
        foreach (var key in AllTypes.Reverse())
        {
            atomic.Set(key, 1);
        }

        await atomic.CommitAsync();

        Assert.Equal(AllTypes, await test.KeysAsync());
        Assert.Equal(AllTypes.Reverse(), await test.Store.ListKeysAsync(KvRange.Prefix([]), new() { Reverse = true }).ToListAsync());
    }

    [Fact]
    public async Task Each_form_of_a_selector_selects_its_range()
    {
        await using var test = await FilledAsync();

        Assert.Equal("a1 a2 a3 a31", await NamesAsync(test, KvRange.Prefix(["a"])));
        Assert.Equal("a2 a3 a31", await NamesAsync(test, KvRange.Prefix(["a"], start: ["a", 2], end: null)));
        Assert.Equal("a1 a2", await NamesAsync(test, KvRange.Prefix(["a"], start: null, end: ["a", 3])));
        Assert.Equal("a1 a2", await NamesAsync(test, KvRange.Between(["a", 1], ["a", 3])));
        Assert.Equal("a a1 a2 a3 a31 ab", await NamesAsync(test, KvRange.Between(["a"], ["b"])));
        Assert.Equal("", await NamesAsync(test, KvRange.Between(["a"], ["a"])));
        Assert.Equal("a a1 a2 a3 a31 ab b", await NamesAsync(test, KvRange.Prefix([])));
        Assert.Equal("a a1 a2 a3 a31 ab b", await NamesAsync(test, KvRange.Between([], [true])));
        Assert.Equal("a31", await NamesAsync(test, KvRange.Prefix(["a", 3])));
    }

    [Fact]
    public async Task Reverse_and_limit_do_not_change_what_start_and_end_mean()
    {
        await using var test = await FilledAsync();

        Assert.Equal("a31 a3 a2 a1", await NamesAsync(test, KvRange.Prefix(["a"]), new() { Reverse = true }));
        Assert.Equal("a2 a1", await NamesAsync(test, KvRange.Between(["a", 1], ["a", 3]), new() { Reverse = true }));
        Assert.Equal("a31 a3", await NamesAsync(test, KvRange.Prefix(["a"], ["a", 2], null), new() { Reverse = true, Limit = 2 }));
        Assert.Equal("a1 a2 a3", await NamesAsync(test, KvRange.Prefix(["a"]), new() { Limit = 3, BatchSize = 2 }));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_listing_goes_on_over_the_boundaries_of_its_batches(bool snapshot)
    {
        await using var test = await database.CreateStoreAsync();
        for (var count = 0; count <= 7; count++)
        {
            if (count > 0)
            {
                await test.Store.SetAsync(["n", count], count);
            }

            for (var batch = 1; batch <= 8; batch++)
            {
                foreach (var reverse in (bool[])[false, true])
                {
                    var options = new KvListOptions { BatchSize = batch, Reverse = reverse, Snapshot = snapshot };
                    var expected = reverse ? Enumerable.Range(1, count).Reverse() : Enumerable.Range(1, count);
                    Assert.Equal(expected, await test.Store.ListAsync(KvRange.Prefix(["n"]), options).Select(static e => e.As<int>()).ToListAsync());
                    Assert.Equal(expected.Take(3), await test.Store.ListKeysAsync(KvRange.Prefix(["n"]), options with { Limit = 3 }).Select(static k => (int)k[1].AsInt64()).ToListAsync());
                }
            }
        }
    }

    [Fact]
    public async Task Without_options_a_listing_goes_past_the_default_batch()
    {
        await using var test = await database.CreateStoreAsync();
        var atomic = test.Store.Atomic();
        for (var i = 0; i < 601; i++)
        {
            atomic.Set(["n", i], i);
        }

        await atomic.CommitAsync();

        Assert.Equal(Enumerable.Range(0, 601), await test.Store.ListAsync(KvRange.Prefix(["n"])).Select(static e => e.As<int>()).ToListAsync());
        Assert.Equal(Enumerable.Range(0, 600), await test.Store.ListAsync(KvRange.Prefix(["n"]), new() { Limit = 600 }).Select(static e => e.As<int>()).ToListAsync());
        Assert.Equal(100, (await test.Store.ListPageAsync(KvRange.Prefix(["n"]))).Entries.Count);
        Assert.Equal(601, await test.Store.CountAsync(KvRange.Prefix(["n"])));
        Assert.Equal(500, await test.Store.CountAsync(KvRange.Between(["n", 100], ["n", 600])));
        Assert.Equal(0, await test.Store.CountAsync(KvRange.Prefix(["m"])));
    }

    [Fact]
    public async Task Pages_follow_each_other_until_the_cursor_is_null()
    {
        await using var test = await FilledAsync();
        foreach (var (reverse, size, pages) in ((bool, int, string)[])[
            (false, 2, "a1 a2|a3 a31"), (false, 3, "a1 a2 a3|a31"), (false, 4, "a1 a2 a3 a31"), (false, 5, "a1 a2 a3 a31"),
            (true, 2, "a31 a3|a2 a1"), (true, 1, "a31|a3|a2|a1")])
        {
            List<string> read = [];
            string? cursor = null;
            do
            {
                var page = await test.Store.ListPageAsync(KvRange.Prefix(["a"]), new() { Limit = size, Reverse = reverse, Cursor = cursor });
                read.Add(string.Join(' ', page.Entries.Select(static e => e.As<string>())));
                cursor = page.Cursor;
            }
            while (cursor is not null);

            Assert.Equal(pages, string.Join('|', read));
        }

        var empty = await test.Store.ListPageAsync(KvRange.Prefix(["none"]), new() { Limit = 1 });
        Assert.Empty(empty.Entries);
        Assert.Null(empty.Cursor);
    }

    [Fact]
    public async Task A_cursor_resumes_after_its_key_even_if_that_is_gone()
    {
        await using var test = await FilledAsync();
        var all = KvRange.Prefix(["a"]);
        var cursor = all.CursorAt(["a", 2]);

        Assert.Equal("a3 a31", await NamesAsync(test, all, new() { Cursor = cursor }));
        Assert.Equal("a1", await NamesAsync(test, all, new() { Cursor = cursor, Reverse = true }));
        await test.Store.DeleteAsync(["a", 2]);
        Assert.Equal("a3 a31", await NamesAsync(test, all, new() { Cursor = cursor }));
        Assert.Equal("a1 a3 a31", await NamesAsync(test, all, new() { Cursor = "" }));
        Assert.Equal("", await NamesAsync(test, all, new() { Cursor = all.CursorAt(["a", 99]) }));
    }

    [Fact]
    public async Task The_cursor_of_a_page_is_refused_by_another_range_wherever_cursors_are_taken()
    {
        await using var test = await database.CreateStoreAsync();
        foreach (var group in (string[])["pg", "pq"])
        {
            for (var i = 0; i < 5; i++)
            {
                await test.Store.SetAsync([group, i], i);
            }
        }

        var page = await test.Store.ListPageAsync(KvRange.Prefix(["pg"]), new() { Limit = 2 });
        foreach (var other in (KvRange[])[
            KvRange.Prefix(["pq"]), KvRange.Prefix([]), KvRange.Between(["pg"], ["pq", 9]), KvRange.Prefix(["pg"], ["pg", 0], null), KvRange.Prefix(["pg"], null, ["pg", 4])])
        {
            foreach (var reverse in (bool[])[false, true])
            {
                var options = new KvListOptions { Cursor = page.Cursor, Reverse = reverse };
                foreach (var call in (Func<Task>[])[
                    () => test.Store.ListPageAsync(other, options).AsTask(), () => test.Store.ListAsync(other, options).ToListAsync().AsTask(), () => test.Store.ListKeysAsync(other, options).ToListAsync().AsTask()])
                {
                    Assert.StartsWith("cursor of another range: ", (await Assert.ThrowsAsync<ArgumentException>(call)).Message, StringComparison.Ordinal);
                }
            }
        }

        // Two that are written alike are one selector, and the cursor is good in either direction, for every kind of listing.
        Assert.Equal([2, 3, 4], (await test.Store.ListPageAsync(KvRange.Prefix(["pg"]), new() { Cursor = page.Cursor })).Entries.Select(static e => e.As<int>()));
        Assert.Equal([2, 3, 4], await test.Store.ListAsync(KvRange.Prefix(["pg"]), new() { Cursor = page.Cursor, Snapshot = true }).Select(static e => e.As<int>()).ToListAsync());
        Assert.Equal([0], await test.Store.ListAsync(KvRange.Prefix(["pg"]), new() { Cursor = page.Cursor, Reverse = true }).Select(static e => e.As<int>()).ToListAsync());
    }

    [Fact]
    public async Task Options_that_cannot_be_are_refused_at_the_call()
    {
        await using var test = await database.CreateStoreAsync();
        var all = KvRange.Prefix(["a"]);
        foreach (var (options, message) in ((KvListOptions, string)[])[
            (new() { Limit = 0 }, "Limit must be a positive integer: received 0."),
            (new() { Limit = -1 }, "Limit must be a positive integer: received -1."),
            (new() { BatchSize = 0 }, "batchSize must be a positive integer: received 0."),
            (new() { BatchSize = -5 }, "batchSize must be a positive integer: received -5."),
            (new() { BatchSize = 1001 }, "Too many entries (max 1000): the batch size is 1001."),
            (new() { Cursor = "AmI" }, "invalid cursor: 'AmI' is not padded base64url.")])
        {
            Assert.StartsWith(message, Assert.Throws<ArgumentException>(() => test.Store.ListAsync(all, options)).Message, StringComparison.Ordinal);
            Assert.StartsWith(message, Assert.Throws<ArgumentException>(() => test.Store.ListKeysAsync(all, options)).Message, StringComparison.Ordinal);
            var page = await Assert.ThrowsAsync<ArgumentException>(() => test.Store.ListPageAsync(all, options).AsTask());
            Assert.StartsWith(message, page.Message, StringComparison.Ordinal);
        }

        var outside = new KvListOptions { Cursor = KvRange.Prefix([]).CursorAt(["b"]) };
        Assert.StartsWith(
            "cursor out of bounds", Assert.Throws<ArgumentException>(() => test.Store.ListAsync(KvRange.Between(["c"], ["d"]), outside)).Message, StringComparison.Ordinal);
        Assert.Empty(await test.Store.ListAsync(all, new() { BatchSize = 1000 }).ToListAsync());
    }

    [Fact]
    public async Task A_snapshot_listing_sees_one_moment_and_another_goes_on_with_the_present()
    {
        await using var test = await database.CreateStoreAsync();
        var atomic = test.Store.Atomic();
        for (var i = 0; i < 10; i++)
        {
            atomic.Set(["n", i], 0);
        }

        await atomic.CommitAsync();
        foreach (var snapshot in (bool[])[true, false])
        {
            List<(long Key, int Value)> read = [];
            await foreach (var entry in test.Store.ListAsync(KvRange.Prefix(["n"]), new() { BatchSize = 2, Snapshot = snapshot }))
            {
                read.Add((entry.Key[1].AsInt64(), entry.As<int>()));
                if (read.Count == 1)
                {
                    await test.Store.Atomic().Set(["n", 5], 1).Delete(["n", 6]).Set(["n", 10], 1).CommitAsync();
                }
            }

            Assert.Equal(
                snapshot ? Enumerable.Range(0, 10).Select(static i => ((long)i, 0)) : [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (7, 0), (8, 0), (9, 0), (10, 1)],
                read);
            await test.Store.Atomic().Set(["n", 5], 0).Set(["n", 6], 0).Delete(["n", 10]).CommitAsync();
        }
    }

    [Fact]
    public async Task Snapshot_listings_under_transfers_see_no_money_come_or_go()
    {
        await using var test = await database.CreateStoreAsync();
        var atomic = test.Store.Atomic();
        for (var i = 0; i < 10; i++)
        {
            atomic.Set(["account", i], 100UL);
        }

        await atomic.CommitAsync();
        var transfers = Task.Run(async () =>
        {
            for (var i = 0; i < 200; i++)
            {
                await test.Store.Atomic().SumWithin(["account", i % 10], -1).SumWithin(["account", (i * 7 + 3) % 10], 1).CommitAsync();
            }
        });

        var listings = 0;
        while (!transfers.IsCompleted || listings < 10)
        {
            var total = 0UL;
            await foreach (var entry in test.Store.ListAsync(KvRange.Prefix(["account"]), new() { BatchSize = 3, Snapshot = true }))
            {
                total += entry.As<ulong>();
            }

            Assert.Equal(1000UL, total);
            listings++;
        }

        await transfers;
    }

    [Fact]
    public async Task A_listing_that_is_left_early_leaves_nothing_held()
    {
        await using var test = await FilledAsync();
        foreach (var snapshot in (bool[])[true, false])
        {
            // More often than there are sessions to read with.
            for (var i = 0; i < 20; i++)
            {
                await using var listing = test.Store.ListAsync(KvRange.Prefix([]), new() { BatchSize = 1, Snapshot = snapshot }).GetAsyncEnumerator();
                Assert.Equal("a", (await listing.NextAsync()).As<string>());
            }
        }

        Assert.Equal("a", await test.Store.GetAsync<string>(["a"]));
    }

    private async Task<KvTestStore> FilledAsync()
    {
        var test = await database.CreateStoreAsync();
        await test.Store.Atomic()
            .Set(["a"], "a").Set(["a", 1], "a1").Set(["a", 2], "a2").Set(["a", 3], "a3").Set(["a", 3, "x"], "a31").Set(["ab"], "ab").Set(["b"], "b").CommitAsync();
        return test;
    }

    private static async Task<string> NamesAsync(KvTestStore test, KvRange selector, KvListOptions? options = null) =>
        string.Join(' ', await test.Store.ListAsync(selector, options).Select(static e => e.As<string>()).ToListAsync());
}

public sealed class SqliteListTests(SqliteDatabase database) : ListSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresListTests(PostgresDatabase database) : ListSpec(database), IClassFixture<PostgresDatabase>;
