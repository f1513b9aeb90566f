using System.Numerics;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Sums of JavaScript's numbers and bigints, as Deno 2.9.5 was seen to make them.</summary>
public abstract class ValueSumSpec(KvDatabase database)
{
    public static TheoryData<string, string, string> Results => new()
    {
        // Stored, operand, result.
        { "", "5n", "5n" }, { "", "1.5", "1.5" }, { "7n", "-9n", "-2n" }, { "18446744073709551615n", "1n", "18446744073709551616n" },
        { "0.1", "0.2", "0.30000000000000004" }, { "NaN", "1", "NaN" }, { "1", "2", "3" },
        { "u18446744073709551615", "2n", "u1" }, { "u5", "0n", "u5" },
        { "u5", "-1n", "Cannot sum KvU64 with BigInt" }, { "u5", "18446744073709551616n", "Cannot sum KvU64 with BigInt" },
        { "u5", "1", "Cannot sum KvU64 with Number" }, { "7n", "1", "Cannot sum BigInt with Number" },
        { "7", "1n", "Cannot sum Number with BigInt" },
        { "text", "1", "neither a number" }, { "bytes", "1n", "neither a number" },
    };

    [Theory]
    [MemberData(nameof(Results))]
    public async Task A_sum_has_the_result_or_the_refusal_of_Deno_s(string stored, string operand, string result)
    {
        await using var test = await database.CreateStoreAsync();
        if (stored.Length > 0)
        {
            await test.Store.SetAsync(["n"], Parse(stored));
        }

        var write = test.Store.Atomic().Set(["beside"], 1).SumValue(["n"], Number(operand));
        if (result.Contains(' ', StringComparison.Ordinal))
        {
            var refused = await Assert.ThrowsAsync<KvException>(() => write.CommitAsync().AsTask());
            Assert.Equal(KvErrorKind.Type, refused.Kind);
            Assert.Contains(result, refused.Message, StringComparison.Ordinal);
            Assert.False(await test.Store.ExistsAsync(["beside"]));
        }
        else
        {
            Assert.True((await write.CommitAsync()).Succeeded);
            Assert.Equal(Parse(result), (await test.Store.GetAsync(["n"]))!.Value);
        }
    }

    [Fact]
    public async Task Bounds_refuse_or_clamp_what_is_outside_but_not_the_first_value()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().SumValue(["n"], 100, max: 10).CommitAsync();
        Assert.Equal(100, await test.Store.GetAsync<double>(["n"]));
        await test.Store.SetAsync(["n"], (V8Value)5.0);

        await test.Store.Atomic().SumValue(["n"], 5, max: 10).CommitAsync();
        var over = await Assert.ThrowsAsync<KvException>(() => test.Store.Atomic().SumValue(["n"], 1, max: 10).CommitAsync().AsTask());
        Assert.Equal(KvErrorKind.Range, over.Kind);
        Assert.Contains("it would be 11, and the limit is 10", over.Message, StringComparison.Ordinal);
        await test.Store.Atomic().SumValue(["n"], 5, max: 10, clamp: true).SumValue(["n"], -3, min: 8, clamp: true).CommitAsync();
        Assert.Equal(8, await test.Store.GetAsync<double>(["n"]));

        await test.Store.SetAsync(["big"], BigInteger.Pow(2, 70), new KvSetOptions { Encoding = KvEncoding.V8 });
        await test.Store.Atomic().SumValue(["big"], BigInteger.One, BigInteger.Zero, BigInteger.Pow(2, 70), clamp: true).CommitAsync();
        Assert.Equal(BigInteger.Pow(2, 70), await test.Store.GetAsync<BigInteger>(["big"]));
    }

    [Fact]
    public async Task An_entry_that_is_added_to_keeps_its_expiry()
    {
        var time = new ManualTime();
        await using var test = await database.CreateStoreAsync(time);
        await test.Store.SetAsync(["n"], (V8Value)1.0, TimeSpan.FromMinutes(1));

        await test.Store.Atomic().SumValue(["n"], 2).CommitAsync();

        Assert.Equal(3, await test.Store.GetAsync<int>(["n"]));
        time.Advance(TimeSpan.FromMinutes(2));
        Assert.Null(await test.Store.GetAsync(["n"]));
    }

    [Fact]
    public async Task What_cannot_be_added_is_refused_when_it_is_passed()
    {
        await using var test = await database.CreateStoreAsync();

        Assert.Throws<ArgumentException>(() => test.Store.Atomic().SumValue(["n"], "text"));
        var bound = Assert.Throws<ArgumentException>(() => test.Store.Atomic().SumValue(["n"], 1, max: BigInteger.One));
        Assert.Contains("A bound of a sum has the kind of what is added, Number", bound.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sixteen_writers_of_one_number_and_one_bigint_end_exact()
    {
        await using var test = await database.CreateStoreAsync();

        await Task.WhenAll(Enumerable.Range(0, 16).Select(async _ =>
        {
            for (var i = 0; i < 20; i++)
            {
                await test.Store.Atomic().SumValue(["n"], 1).SumValue(["big"], BigInteger.Pow(2, 70)).CommitAsync();
            }
        }));

        Assert.Equal(320, await test.Store.GetAsync<int>(["n"]));
        Assert.Equal(320 * BigInteger.Pow(2, 70), await test.Store.GetAsync<BigInteger>(["big"]));
    }

    private static KvValue Parse(string text) => text switch
    {
        "bytes" => KvValue.FromBytes("bytes"u8),
        ['u', .. var counter] => KvValue.FromUInt64(ulong.Parse(counter, System.Globalization.CultureInfo.InvariantCulture)),
        "text" => new(((V8Value)"text").ToBytes(), KvEncoding.V8),
        _ => new(Number(text).ToBytes(), KvEncoding.V8),
    };

    private static V8Value Number(string text) => text.EndsWith('n')
        ? BigInteger.Parse(text[..^1], System.Globalization.CultureInfo.InvariantCulture)
        : double.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
}

public sealed class SqliteValueSumTests(SqliteDatabase database) : ValueSumSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresValueSumTests(PostgresDatabase database) : ValueSumSpec(database), IClassFixture<PostgresDatabase>;
