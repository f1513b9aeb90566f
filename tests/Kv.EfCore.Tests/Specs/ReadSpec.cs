using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class ReadSpec(KvDatabase database)
{
    [Fact]
    public async Task What_was_set_is_read_with_the_versionstamp_of_its_commit()
    {
        await using var test = await database.CreateStoreAsync();

        var versionstamp = await test.Store.SetAsync(["users", 42L], "Ada");

        var entry = await test.Store.GetAsync(["users", 42L]);
        Assert.NotNull(entry);
        Assert.Equal(["users", 42L], entry.Key);
        Assert.Equal("Ada", entry.As<string>());
        Assert.Equal(versionstamp, entry.Versionstamp);
        Assert.Equal("Ada", await test.Store.GetAsync<string>(["users", 42L]));
    }

    [Fact]
    public async Task An_absent_key_is_null_and_a_stored_null_is_an_entry()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync<string?>(["null"], null);

        Assert.Null(await test.Store.GetAsync(["absent"]));
        Assert.Null(await test.Store.GetAsync<string>(["absent"]));
        Assert.Equal(0, await test.Store.GetAsync<int>(["absent"]));
        Assert.False(await test.Store.ExistsAsync(["absent"]));
        Assert.NotNull(await test.Store.GetAsync(["null"]));
        Assert.Null(await test.Store.GetAsync<string>(["null"]));
        Assert.True(await test.Store.ExistsAsync(["null"]));
    }

    [Fact]
    public async Task The_empty_key_is_always_absent()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync([""], 1);

        Assert.Null(await test.Store.GetAsync([]));
        Assert.False(await test.Store.ExistsAsync([]));
        Assert.Equal([null], await test.Store.GetManyAsync([[]]));
    }

    [Fact]
    public async Task Keys_that_differ_in_type_only_are_different()
    {
        await using var test = await database.CreateStoreAsync();
        KvKey[] keys = [[(byte[])[0x31]], ["1"], [1L], [1.0], [0.0], [-0.0], [false], [true]];
        for (var i = 0; i < keys.Length; i++)
        {
            await test.Store.SetAsync(keys[i], i);
        }

        for (var i = 0; i < keys.Length; i++)
        {
            Assert.Equal(i, await test.Store.GetAsync<int>(keys[i]));
        }
    }

    [Fact]
    public async Task Each_kind_of_value_comes_back_as_its_type()
    {
        await using var test = await database.CreateStoreAsync();
        var order = new Order(7, ["a", "b"]);
        await test.Store.Atomic()
            .Set(["json"], order).Set(["counter"], 18_446_744_073_709_551_615UL).Set(["bytes"], (byte[])[0, 255, 0]).Set(
                ["empty"], (byte[])[])
            .CommitAsync();

        Assert.Equivalent(order, await test.Store.GetAsync<Order>(["json"]), strict: true);
        Assert.Equal(ulong.MaxValue, await test.Store.GetAsync<ulong>(["counter"]));
        Assert.Equal((byte[])[0, 255, 0], await test.Store.GetAsync<byte[]>(["bytes"]));
        Assert.Empty((await test.Store.GetAsync<byte[]>(["empty"]))!);
        Assert.Equal(KvEncoding.Json, (await test.Store.GetAsync<KvValue>(["json"]))!.Encoding);
    }

    [Fact]
    public async Task Many_keys_are_answered_in_their_order_with_duplicates_and_gaps()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().Set(["a"], 1).Set(["b"], 2).CommitAsync();

        var entries = await test.Store.GetManyAsync([["b"], ["none"], ["a"], ["b"]]);

        Assert.Equal([2, null, 1, 2], entries.Select(static e => e?.As<int?>()));
        Assert.Equal([["b"], ["a"], ["b"]], entries.OfType<KvEntry>().Select(static e => e.Key));
        Assert.Empty(await test.Store.GetManyAsync([]));
    }

    [Fact]
    public async Task Too_many_keys_are_refused_with_the_limit_and_the_option()
    {
        await using var test = await database.CreateStoreAsync(options: static options => options.MaxReadRanges = 10);
        var keys = Enumerable.Range(0, 11).Select(static i => KvKey.Create([i])).ToArray();

        Assert.Equal(10, (await test.Store.GetManyAsync(keys[..10])).Count);
        var error = await Assert.ThrowsAsync<ArgumentException>(() => test.Store.GetManyAsync(keys).AsTask());

        Assert.StartsWith("Too many ranges (max 10): received 11 keys.", error.Message, StringComparison.Ordinal);
        Assert.Contains("KvStoreOptions.MaxReadRanges", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Many_keys_are_read_from_one_snapshot()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().Set(["account", 0], 500UL).Set(["account", 1], 500UL).CommitAsync();
        var transfers = Task.Run(async () =>
        {
            for (var i = 0; i < 300; i++)
            {
                await test.Store.Atomic().SumWithin(["account", i % 2], -7).SumWithin(["account", (i + 1) % 2], 7).CommitAsync();
            }
        });

        var reads = 0;
        while (!transfers.IsCompleted || reads < 10)
        {
            var entries = await test.Store.GetManyAsync([["account", 0], ["account", 1]]);
            Assert.Equal(1000UL, entries[0]!.As<ulong>() + entries[1]!.As<ulong>());
            reads++;
        }

        await transfers;
    }

    [Fact]
    public async Task What_expires_together_is_gone_together_even_when_the_clock_moves_while_it_is_read()
    {
        var time = new TickingTime();
        await using var test = await database.CreateStoreAsync(time);
        for (var i = 0; i < 30; i++)
        {
            await test.Store.Atomic().Set(["a"], i, TimeSpan.FromMilliseconds(i)).Set(["b"], i, TimeSpan.FromMilliseconds(i)).CommitAsync();

            var entries = await test.Store.GetManyAsync([["a"], ["b"]]);

            Assert.Equal(entries[0]?.Versionstamp, entries[1]?.Versionstamp);
        }
    }

    [Fact]
    public async Task A_key_over_the_limit_of_reads_is_refused_with_its_size()
    {
        await using var test = await database.CreateStoreAsync();
        KvKey largest = [new string('k', KvLimits.MaxReadKeySize - 2)];
        KvKey larger = [new string('k', KvLimits.MaxReadKeySize - 1)];
        Assert.Equal(KvLimits.MaxReadKeySize, largest.Encoded.Length);

        Assert.Null(await test.Store.GetAsync(largest));
        foreach (var read in (Func<Task>[])[
            () => test.Store.GetAsync(larger).AsTask(), () => test.Store.GetAsync<int>(larger).AsTask(),
            () => test.Store.ExistsAsync(larger).AsTask(), () => test.Store.GetManyAsync([larger]).AsTask()])
        {
            var error = await Assert.ThrowsAsync<ArgumentException>(read);
            Assert.StartsWith(
                "Key too large for read (max 2049 bytes): the key encodes to 2050 bytes.", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_row_that_cannot_be_read_names_itself_and_leaves_its_neighbours_alone()
    {
        await using var test = await database.CreateStoreAsync();
        foreach (var (key, encoding, value, name, reason) in ((string, int, string, string, string)[])[
            ("027800", 77, "0102", "[\"x\"]", "The value encoding 77 is unknown."),
            ("027800", 2, "010203", "[\"x\"]", "A value with encoding UInt64 has 8 bytes; this one has 3."),
            ("027800", 4, "7B", "[\"x\"]", "The value has encoding Json, 1 bytes, and cannot be read as System.Int32"),
            ("027800", 1, "FF0F220161", "[\"x\"]", "The value has encoding V8, 5 bytes, and cannot be read as System.Int32"),
            ("027800", 1, "FF0F", "[\"x\"]", "The bytes are no value of V8's format"),
            ("0278FF", 77, "0102", "undecodable 0x0278FF", "The value encoding 77 is unknown.")])
        {
            await test.Store.Atomic().DeleteRange(KvRange.Prefix([])).Set(["w"], 1).Set(["y"], 2).CommitAsync();
            await test.InsertAsync(Convert.FromHexString(key), Convert.FromHexString(value), encoding);

            var entries = await test.Store.ListAsync(KvRange.Prefix([])).ToListAsync();
            var error = Assert.Throws<KvException>(() => entries[1].As<int>());

            Assert.Equal(3, entries.Count);
            Assert.Equal((1, 2), (entries[0].As<int>(), entries[2].As<int>()));
            Assert.Equal(key, Convert.ToHexString(entries[1].Key.Encoded.Span));
            Assert.Equal((value, encoding), (Convert.ToHexString(entries[1].Value.Bytes.Span), (int)entries[1].Value.Encoding));
            Assert.Equal(KvErrorKind.Encoding, error.Kind);
            Assert.StartsWith($"The entry {name} ({entries[1].Value}) cannot be read: {reason}", error.Message, StringComparison.Ordinal);
            var typed = await Assert.ThrowsAsync<KvException>(() => test.Store.GetAsync<int>(entries[1].Key).AsTask());
            Assert.Equal(error.Message, typed.Message);
        }
    }

    private sealed record Order(int Id, string[] Lines);

    /// <summary>A clock that moves a millisecond each time somebody looks.</summary>
    private sealed class TickingTime : TimeProvider
    {
        private long _now = 1_750_000_000_000;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds(Interlocked.Increment(ref _now));
    }
}

public sealed class SqliteReadTests(SqliteDatabase database) : ReadSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresReadTests(PostgresDatabase database) : ReadSpec(database), IClassFixture<PostgresDatabase>;
