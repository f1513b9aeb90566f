using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Reads of a unit of work see what it has collected.</summary>
public abstract class UnitReadSpec(KvDatabase database)
{
    [Fact]
    public async Task A_get_sees_what_is_collected_over_what_is_stored()
    {
        await using var shop = await Shop.OpenAsync(database);
        var stored = await shop.Store.SetAsync(["stored"], "old");
        await shop.Store.SetAsync(["n"], 5UL);
        await using var db = shop.Open();
        var kv = db.Kv();

        Assert.Null(await kv.GetAsync(["none"]));
        Assert.Equal("old", await kv.GetAsync<string>(["stored"]));

        kv.Set(["stored"], "new").Set(["added"], 1).Sum(["n"], 2).Sum(["n"], 3).Max(["fresh"], 7).SumWithin(["n"], -1);
        Assert.Equal("new", (await kv.GetAsync(["stored"]))!.As<string>());
        Assert.Equal(stored, (await kv.GetAsync(["stored"]))!.Versionstamp);
        Assert.Equal(1, await kv.GetAsync<int>(["added"]));
        Assert.Null((await kv.GetAsync(["added"]))!.Versionstamp);
        Assert.Equal(9UL, await kv.GetAsync<ulong>(["n"]));
        Assert.Equal(7UL, await kv.GetAsync<ulong>(["fresh"]));

        kv.Delete(["stored"]).DeleteRange(KvRange.Prefix([])).Set(["after"], 2);
        Assert.Null(await kv.GetAsync(["stored"]));
        Assert.Null(await kv.GetAsync(["n"]));
        Assert.Equal(2, await kv.GetAsync<int>(["after"]));
        Assert.Equal("old", await shop.Store.GetAsync<string>(["stored"]));
    }

    [Fact]
    public async Task A_get_is_what_the_commit_makes_of_it()
    {
        var random = new Random(20);
        await using var shop = await Shop.OpenAsync(database);
        for (var round = 0; round < 20; round++)
        {
            foreach (var key in new[] { "a", "b", "c" })
            {
                if (random.Next(2) == 0)
                {
                    await shop.Store.SetAsync(["k", key], (ulong)random.Next(10));
                }
                else
                {
                    await shop.Store.DeleteAsync(["k", key]);
                }
            }

            await using var db = shop.Open();
            var kv = db.Kv();
            for (var change = 0; change < 6; change++)
            {
                KvKey key = ["k", new[] { "a", "b", "c" }[random.Next(3)]];
                _ = random.Next(7) switch
                {
                    0 => kv.Set(key, (ulong)random.Next(10)),
                    1 => kv.Delete(key),
                    2 => kv.DeleteRange(KvRange.Prefix(["k"])),
                    3 => kv.Touch(key, random.Next(2) == 0 ? TimeSpan.Zero : null),
                    4 => kv.Sum(key, (ulong)random.Next(10)),
                    5 => kv.Min(key, (ulong)random.Next(10)),
                    _ => kv.Max(key, (ulong)random.Next(10)),
                };
            }

            List<ulong?> expected = [];
            foreach (var key in new[] { "a", "b", "c" })
            {
                expected.Add((await kv.GetAsync(["k", key]))?.As<ulong>());
            }

            await db.SaveChangesAsync();
            var entries = await shop.Store.GetManyAsync([["k", "a"], ["k", "b"], ["k", "c"]]);
            Assert.Equal(expected, entries.Select(static e => e?.As<ulong>()));
        }
    }

    [Fact]
    public async Task A_check_of_what_was_read_holds_for_what_is_collected_too()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        db.Kv().Set(["k"], 1);
        var seen = await db.Kv().GetAsync(["k"]);
        db.Kv().Check(["k"], seen!.Versionstamp).Set(["k"], seen.As<int>() + 1);
        await db.SaveChangesAsync();

        Assert.Equal(2, await shop.Store.GetAsync<int>(["k"]));
    }

    [Fact]
    public async Task A_get_says_what_the_commit_would_refuse()
    {
        await using var shop = await Shop.OpenAsync(database);
        await shop.Store.SetAsync(["text"], "t");
        await using var db = shop.Open();
        db.Kv().Sum(["text"], 1);

        Assert.Equal(KvErrorKind.Type, (await Assert.ThrowsAsync<KvException>(() => db.Kv().GetAsync(["text"]).AsTask())).Kind);
    }

    [Fact]
    public async Task A_listing_of_a_range_with_changes_is_refused_and_of_others_it_is_the_stores()
    {
        await using var shop = await Shop.OpenAsync(database);
        await shop.Store.SetAsync(["a", 1], 1);
        await shop.Store.SetAsync(["b", 1], 1);
        await using var db = shop.Open();
        var kv = db.Kv();
        kv.Set(["a", 2], 2).Check(["b", 1], null).Enqueue("m");

        Assert.Equal([["b", 1]], await kv.ListAsync(KvRange.Prefix(["b"])).Select(static e => e.Key).ToListAsync());
        var error = Assert.Throws<InvalidOperationException>(() => kv.ListAsync(KvRange.Prefix(["a"])));
        Assert.Contains("[\"a\", 2]", error.Message, StringComparison.Ordinal);

        kv.Clear();
        kv.DeleteRange(KvRange.Prefix(["a"])).SetVersionstamped(["log"], 1);
        Assert.Throws<InvalidOperationException>(() => kv.ListAsync(KvRange.Prefix(["a"])));
        Assert.Throws<InvalidOperationException>(() => kv.ListAsync(KvRange.Prefix(["log"])));
        Assert.Throws<InvalidOperationException>(() => kv.ListAsync(KvRange.All));
        Assert.Single(await kv.ListAsync(KvRange.Prefix(["b"])).ToListAsync());
    }
}

public sealed class SqliteUnitReadTests(SqliteDatabase database) : UnitReadSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresUnitReadTests(PostgresDatabase database) : UnitReadSpec(database), IClassFixture<PostgresDatabase>;
