using System.Text;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>What each kind of mutation does, alone and after others in the same write.</summary>
public abstract class MutationSpec(KvDatabase database)
{
    [Fact]
    public async Task Mutations_of_one_key_see_each_other_in_their_order()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["sum after delete"], 100UL);

        await test.Store.Atomic()
            .Set(["set, delete"], 1).Delete(["set, delete"])
            .Delete(["sum after delete"]).Sum(["sum after delete"], 1).Sum(["sum after delete"], 2)
            .Set(["two sets"], 1).Set(["two sets"], 2)
            .Set(["set, sum"], 40UL).Sum(["set, sum"], 2)
            .Sum(["sum, delete, min"], 9).Delete(["sum, delete, min"]).Min(["sum, delete, min"], 3)
            .CommitAsync();

        Assert.Null(await test.Store.GetAsync(["set, delete"]));
        Assert.Equal(3UL, await test.Store.GetAsync<ulong>(["sum after delete"]));
        Assert.Equal(2, await test.Store.GetAsync<int>(["two sets"]));
        Assert.Equal(42UL, await test.Store.GetAsync<ulong>(["set, sum"]));
        Assert.Equal(3UL, await test.Store.GetAsync<ulong>(["sum, delete, min"]));
    }

    [Fact]
    public async Task Sum_wraps_and_min_and_max_keep_the_lesser_and_greater()
    {
        await using var test = await database.CreateStoreAsync();
        foreach (var (stored, operand, sum, min, max) in ((ulong?, ulong, ulong, ulong, ulong)[])[
            (null, 5, 5, 5, 5),
            (null, 0, 0, 0, 0),
            (3, 5, 8, 3, 5),
            (5, 3, 8, 3, 5),
            (ulong.MaxValue, 1, 0, 1, ulong.MaxValue),
            (10, ulong.MaxValue, 9, 10, ulong.MaxValue)])
        {
            await test.Store.DeleteRangeAsync(KvRange.Prefix([]));
            if (stored is { } number)
            {
                await test.Store.Atomic().Set(["sum"], number).Set(["min"], number).Set(["max"], number).CommitAsync();
            }

            await test.Store.Atomic().Sum(["sum"], operand).Min(["min"], operand).Max(["max"], operand).CommitAsync();

            var entries = await test.Store.GetManyAsync([["sum"], ["min"], ["max"]]);
            Assert.Equal([sum, min, max], entries.Select(static e => e!.As<ulong>()));
            Assert.All(entries, static e => Assert.Equal(KvEncoding.UInt64, e!.Value.Encoding));
        }
    }

    [Fact]
    public async Task A_sum_within_bounds_is_refused_or_drawn_to_the_bound()
    {
        await using var test = await database.CreateStoreAsync();
        foreach (var (stored, delta, min, max, result, clamped) in ((ulong?, long, ulong, ulong, ulong?, ulong)[])[
            (5, 3, 0, 10, 8, 8),
            (5, 5, 0, 10, 10, 10),
            (5, 6, 0, 10, null, 10),
            (5, -5, 0, 10, 0, 0),
            (5, -6, 0, 10, null, 0),
            (5, -3, 2, 10, 2, 2),
            (5, -4, 2, 10, null, 2),
            (null, 3, 0, 10, 3, 3),
            (null, -1, 0, 10, null, 0),
            (null, 0, 4, 10, null, 4),
            (ulong.MaxValue, 1, 0, ulong.MaxValue, null, ulong.MaxValue),
            (ulong.MaxValue, long.MinValue, 0, ulong.MaxValue, long.MaxValue, long.MaxValue),
            (1, long.MaxValue, 0, ulong.MaxValue, 1UL << 63, 1UL << 63)])
        {
            await test.Store.DeleteRangeAsync(KvRange.Prefix([]));
            if (stored is { } number)
            {
                await test.Store.Atomic().Set(["strict"], number).Set(["clamp"], number).CommitAsync();
            }

            await test.Store.Atomic().SumWithin(["clamp"], delta, min, max, clamp: true).CommitAsync();
            Assert.Equal(clamped, await test.Store.GetAsync<ulong>(["clamp"]));

            var strict = test.Store.Atomic().SumWithin(["strict"], delta, min, max);
            if (result is { } sum)
            {
                await strict.CommitAsync();
                Assert.Equal(sum, await test.Store.GetAsync<ulong>(["strict"]));
                continue;
            }

            var error = await Assert.ThrowsAsync<KvException>(() => strict.CommitAsync().AsTask());
            Assert.Equal(KvErrorKind.Range, error.Kind);
            Assert.StartsWith("The result of a Sum operation would exceed its range limit: [\"strict\"] would become ", error.Message, StringComparison.Ordinal);
            Assert.Equal(stored, await test.Store.GetAsync<ulong?>(["strict"]));
        }
    }

    [Fact]
    public async Task Bounds_the_wrong_way_round_are_refused_at_once()
    {
        await using var test = await database.CreateStoreAsync();

        var error = Assert.Throws<ArgumentException>(() => test.Store.Atomic().SumWithin(["k"], 1, min: 5, max: 4));

        Assert.StartsWith("The least result 5 is above the greatest, 4.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Counting_on_what_is_no_counter_says_which_key_and_encoding()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().Set(["json"], 5).Set(["bytes"], new byte[8]).CommitAsync();
        await test.InsertAsync(KvKey.Create(["short"]).Encoded, [1, 2, 3], 2);
        await test.InsertAsync(KvKey.Create(["v8"]).Encoded, [0xFF, 0x0F, 0x49, 0x02], 1);

        foreach (var (verb, add) in ((string, Func<KvAtomic, KvKey, KvAtomic>)[])[
            ("sum", static (a, k) => a.Sum(k, 1)), ("sum", static (a, k) => a.SumWithin(k, 1)), ("min", static (a, k) => a.Min(k, 1)), ("max", static (a, k) => a.Max(k, 1))])
        {
            foreach (var (name, encoding) in ((string, int)[])[("json", 4), ("bytes", 3), ("v8", 1)])
            {
                var error = await Assert.ThrowsAsync<KvException>(() => add(test.Store.Atomic(), [name]).CommitAsync().AsTask());
                Assert.Equal(KvErrorKind.Type, error.Kind);
                Assert.StartsWith(
                    $"Failed to perform '{verb}' mutation on a non-U64 value in the database: the value of [\"{name}\"] has encoding {(KvEncoding)encoding}.",
                    error.Message,
                    StringComparison.Ordinal);
            }

            var size = await Assert.ThrowsAsync<KvException>(() => add(test.Store.Atomic(), ["short"]).CommitAsync().AsTask());
            Assert.StartsWith("The counter [\"short\"] has 3 bytes; a 64-bit counter has 8.", size.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("sum")]
    [InlineData("sum within")]
    [InlineData("clamp")]
    [InlineData("min")]
    [InlineData("max")]
    [InlineData("min that changes nothing")]
    [InlineData("max that changes nothing")]
    public async Task Every_change_of_a_counter_keeps_its_expiry(string kind)
    {
        Func<KvAtomic, KvKey, KvAtomic> change = kind switch
        {
            "sum" => static (write, key) => write.Sum(key, 1),
            "sum within" => static (write, key) => write.SumWithin(key, -1),
            "clamp" => static (write, key) => write.SumWithin(key, 100, max: 7, clamp: true),
            "min" => static (write, key) => write.Min(key, 1),
            "max" => static (write, key) => write.Max(key, 9),
            "min that changes nothing" => static (write, key) => write.Min(key, 9),
            _ => static (write, key) => write.Max(key, 1),
        };
        var time = new ManualTime();
        await using var test = await database.CreateStoreAsync(time);
        await test.Store.Atomic().Set(["alone"], 5UL, TimeSpan.FromSeconds(10)).Set(["joined"], 5UL, TimeSpan.FromSeconds(10)).CommitAsync();
        await change(test.Store.Atomic(), ["alone"]).CommitAsync();
        await change(test.Store.Atomic().Set(["together"], 5UL, TimeSpan.FromSeconds(10)), ["together"]).CommitAsync();
        await change(test.Store.Atomic().Sum(["touched"], 5).Touch(["touched"], TimeSpan.FromSeconds(10)), ["touched"]).CommitAsync();
        await using (var context = test.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            await change(test.Store.Atomic(), ["joined"]).CommitAsync(context);
            await transaction.CommitAsync();
        }

        time.Advance(TimeSpan.FromSeconds(9.999));
        Assert.All(await test.Store.GetManyAsync([["alone"], ["joined"], ["together"], ["touched"]]), Assert.NotNull);
        time.Advance(TimeSpan.FromMilliseconds(1));

        Assert.All(await test.Store.GetManyAsync([["alone"], ["joined"], ["together"], ["touched"]]), Assert.Null);
    }

    [Fact]
    public async Task A_counter_keeps_its_expiry_and_a_set_drops_it()
    {
        var time = new ManualTime();
        await using var test = await database.CreateStoreAsync(time);
        await test.Store.Atomic().Set(["counter"], 1UL, TimeSpan.FromSeconds(10)).Set(["set"], 1UL, TimeSpan.FromSeconds(10)).CommitAsync();
        time.Advance(TimeSpan.FromSeconds(5));
        await test.Store.Atomic().Sum(["counter"], 1).Max(["counter"], 9).Min(["counter"], 7).Set(["set"], 2UL).CommitAsync();

        time.Advance(TimeSpan.FromSeconds(4.999));
        Assert.Equal(7UL, await test.Store.GetAsync<ulong>(["counter"]));
        time.Advance(TimeSpan.FromMilliseconds(1));

        Assert.Null(await test.Store.GetAsync(["counter"]));
        Assert.Equal(2UL, await test.Store.GetAsync<ulong>(["set"]));
        await test.Store.Atomic().Sum(["counter"], 4).CommitAsync();
        time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(4UL, await test.Store.GetAsync<ulong>(["counter"]));
    }

    [Fact]
    public async Task Touch_moves_the_expiry_and_the_versionstamp_and_nothing_else()
    {
        var time = new ManualTime();
        await using var test = await database.CreateStoreAsync(time);
        var before = (await test.Store.Atomic().Set(["a"], "x", TimeSpan.FromSeconds(1)).Set(["b"], "y", TimeSpan.FromSeconds(1)).Set(["c"], "z").CommitAsync()).Versionstamp;

        var touch = await test.Store.Atomic()
            .Touch(["a"], TimeSpan.FromSeconds(10)).Touch(["b"], null).Touch(["c"], TimeSpan.FromSeconds(2)).Touch(["none"], TimeSpan.FromSeconds(10)).CommitAsync();
        time.Advance(TimeSpan.FromSeconds(1.999));

        Assert.Equal("z", await test.Store.GetAsync<string>(["c"]));
        time.Advance(TimeSpan.FromSeconds(8));
        var a = await test.Store.GetAsync(["a"]);
        Assert.Equal("x", a!.As<string>());
        Assert.True(a.Versionstamp == touch.Versionstamp && touch.Versionstamp > before);
        Assert.Null(await test.Store.GetAsync(["c"]));
        time.Advance(TimeSpan.FromHours(1));
        Assert.Equal([["b"]], await test.KeysAsync());
    }

    [Fact]
    public async Task What_is_touched_can_be_counted_and_set_in_the_same_write()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().Set(["n"], 5UL).Set(["t"], "old").Set(["d"], 1).CommitAsync();

        await test.Store.Atomic()
            .Touch(["n"], TimeSpan.FromHours(1)).Sum(["n"], 1)
            .Touch(["t"], null).Set(["t"], "new").Touch(["t"], TimeSpan.FromHours(1))
            .Touch(["d"], null).Delete(["d"]).Touch(["d"], null)
            .CommitAsync();

        Assert.Equal(6UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Equal("new", await test.Store.GetAsync<string>(["t"]));
        Assert.Null(await test.Store.GetAsync(["d"]));
    }

    [Fact]
    public async Task A_deleted_range_takes_what_was_before_it_and_leaves_what_comes_after()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().Set(["r"], 0).Set(["r", 1], 1).Set(["r", 2], 2UL).Set(["r", 3], 3).Set(["s"], 4).CommitAsync();

        await test.Store.Atomic()
            .Set(["r", 4], 4).Set(["s", 1], 5)
            .DeleteRange(KvRange.Prefix(["r"]))
            .Set(["r", 3], 33).Sum(["r", 2], 7).Touch(["r", 1], null)
            .DeleteRange(KvRange.Between(["s", 1], ["s", 1]))
            .CommitAsync();

        Assert.Equal([["r"], ["r", 2], ["r", 3], ["s"], ["s", 1]], await test.KeysAsync());
        Assert.Equal(7UL, await test.Store.GetAsync<ulong>(["r", 2]));
        Assert.Equal(33, await test.Store.GetAsync<int>(["r", 3]));
        await test.Store.DeleteRangeAsync(KvRange.Prefix([]));
        Assert.Empty(await test.KeysAsync());
    }

    [Fact]
    public async Task A_versionstamped_key_ends_with_the_versionstamp_of_its_commit()
    {
        await using var test = await database.CreateStoreAsync();
        KvKey prefix = ["log", 1L];

        var first = await test.Store.Atomic().SetVersionstamped(prefix, "a").SetVersionstamped(prefix, "b").SetVersionstamped(["other"], "c").CommitAsync();
        var second = await test.Store.Atomic().SetVersionstamped(prefix, "d").CommitAsync();

        var log = await test.Store.ListAsync(KvRange.Prefix(prefix)).ToListAsync();
        Assert.Equal([prefix.Append(first.Versionstamp.ToString()), prefix.Append(second.Versionstamp.ToString())], log.Select(static e => e.Key));
        Assert.Equal(["b", "d"], log.Select(static e => e.As<string>()));
        Assert.Equal(
            [.. prefix.Encoded.Span, 0x02, .. Encoding.ASCII.GetBytes(first.Versionstamp.ToString()), 0x00], log[0].Key.Encoded.ToArray());
        Assert.Equal(prefix.Encoded.Length + 22, log[0].Key.Encoded.Length);
        Assert.Equal(first.Versionstamp, log[0].Versionstamp);
        Assert.NotNull(await test.Store.GetAsync(["other", first.Versionstamp.ToString()]));
    }

    [Fact]
    public async Task The_longest_versionstamped_keys_can_be_listed_page_by_page()
    {
        await using var test = await database.CreateStoreAsync();
        KvKey prefix = [new string('p', KvLimits.MaxKeySize - 2)];
        for (var i = 0; i < 3; i++)
        {
            await test.Store.Atomic().SetVersionstamped(prefix, i).CommitAsync();
        }

        List<int> read = [];
        string? cursor = null;
        do
        {
            var page = await test.Store.ListPageAsync(KvRange.Prefix(prefix), new() { Limit = 1, Cursor = cursor });
            read.AddRange(page.Entries.Select(static e => e.As<int>()));
            cursor = page.Cursor;
        }
        while (cursor is not null);

        Assert.Equal([0, 1, 2], read);
    }
}

public sealed class SqliteMutationTests(SqliteDatabase database) : MutationSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresMutationTests(PostgresDatabase database) : MutationSpec(database), IClassFixture<PostgresDatabase>;
