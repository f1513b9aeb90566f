using System.Numerics;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>A value is stored in the encoding that its caller asks for, or refused before anything is written.</summary>
public abstract class SetOptionsSpec(KvDatabase database)
{
    private static readonly KvSetOptions Json = new() { Encoding = KvEncoding.Json };
    private static readonly KvSetOptions Counter = new() { Encoding = KvEncoding.UInt64 };
    private readonly ManualTime _time = new();

    [Fact]
    public async Task Any_integer_that_is_not_negative_becomes_a_counter()
    {
        await using var test = await database.CreateStoreAsync();
        object[] sevens =
        [
            (byte)7, (sbyte)7, (short)7, (ushort)7, 7, 7U, 7L, 7UL, (nint)7, (nuint)7, (Int128)7, (UInt128)7, new BigInteger(7),
        ];

        foreach (var seven in sevens)
        {
            await test.Store.SetAsync(["n"], seven, Counter);
            Assert.Equal(12UL, await test.Store.SumAsync(["n"], 5));
        }

        await test.Store.SetAsync(["n"], ulong.MaxValue, Counter);
        Assert.Equal(ulong.MaxValue, await test.Store.GetAsync<ulong>(["n"]));
    }

    [Fact]
    public async Task A_counter_or_bytes_become_JSON_where_JSON_is_asked_for()
    {
        await using var test = await database.CreateStoreAsync();

        await test.Store.Atomic().Set(["n"], 7UL, Json).Set(["b"], new byte[] { 1, 2, 3 }, Json).Set(["s"], "text", Json).CommitAsync();

        Assert.Equal(("7", 7UL), (await TextAsync(test, "n"), await test.Store.GetAsync<ulong>(["n"])));
        Assert.Equal("\"AQID\"", await TextAsync(test, "b"));
        Assert.Equal([1, 2, 3], await test.Store.GetAsync<byte[]>(["b"]));
        Assert.Equal("text", await test.Store.GetAsync<string>(["s"]));
        Assert.Equal(KvErrorKind.Type, (await Assert.ThrowsAsync<KvException>(() => test.Store.SumAsync(["n"], 1).AsTask())).Kind);
    }

    [Fact]
    public async Task Options_without_an_encoding_change_the_expiry_alone()
    {
        await using var test = await database.CreateStoreAsync(_time);

        await test.Store.SetAsync(["k"], 7UL, new KvSetOptions { ExpireIn = TimeSpan.FromMinutes(1) });

        Assert.Equal(KvEncoding.UInt64, (await test.Store.GetAsync(["k"]))!.Value.Encoding);
        _time.Advance(TimeSpan.FromMinutes(2));
        Assert.Null(await test.Store.GetAsync(["k"]));
    }

    [Fact]
    public async Task What_cannot_be_stored_so_is_refused_and_nothing_is_written()
    {
        await using var test = await database.CreateStoreAsync();

        await RefusedAsync(-1, Counter, KvErrorKind.Range, "-1 is outside");
        await RefusedAsync(BigInteger.Pow(2, 64), Counter, KvErrorKind.Range, "18446744073709551616 is outside");
        await RefusedAsync("7", Counter, KvErrorKind.Type, "a System.String is none");
        await RefusedAsync(7.0, Counter, KvErrorKind.Type, "a System.Double is none");
        await RefusedAsync<string?>(null, Counter, KvErrorKind.Type, "null is none");
        await RefusedAsync("text", new KvSetOptions { Encoding = KvEncoding.Bytes }, KvErrorKind.Encoding, "Pass a byte[]");
        await RefusedAsync(0.1234567890123456789m, new() { Encoding = KvEncoding.V8 }, KvErrorKind.Encoding, "is none of JavaScript's");
        await RefusedAsync(new KvValue([1], KvEncoding.Bytes), Json, KvErrorKind.Encoding, "as Json");
        await RefusedAsync("text", new KvSetOptions { Encoding = (KvEncoding)99 }, KvErrorKind.Encoding, "as 99");

        async Task RefusedAsync<T>(T value, KvSetOptions options, KvErrorKind kind, string text)
        {
            var error = await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["k"], value, options).AsTask());
            Assert.Equal(kind, error.Kind);
            Assert.Contains(text, error.Message, StringComparison.Ordinal);
            Assert.Contains("[\"k\"]", error.Message, StringComparison.Ordinal);
            Assert.Null(await test.Store.GetAsync(["k"]));
        }
    }

    [Fact]
    public async Task A_serializer_of_others_is_held_to_the_encoding()
    {
        await using var test = await database.CreateStoreAsync(services: static services =>
            services.AddSingleton<IKvValueSerializer>(new Reversed()));

        await test.Store.SetAsync(["k"], "abc", new KvSetOptions { Encoding = KvEncoding.Bytes });
        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["k"], "abc", Json).AsTask());

        Assert.Contains("Reversed stores a System.String as Bytes, and not as Json.", error.Message, StringComparison.Ordinal);
        Assert.Equal("cba"u8.ToArray(), (await test.Store.GetAsync(["k"]))!.Value.Bytes.ToArray());
    }

    private static async Task<string> TextAsync(KvTestStore test, string key) =>
        System.Text.Encoding.UTF8.GetString((await test.Store.GetAsync([key]))!.Value.Bytes.Span);

    private sealed class Reversed : IKvValueSerializer
    {
        public KvValue Serialize<T>(T value) => KvValue.FromBytes([.. System.Text.Encoding.UTF8.GetBytes($"{value}").Reverse()]);

        public T? Deserialize<T>(KvValue value) => throw new NotSupportedException();
    }
}

public sealed class SqliteSetOptionsTests(SqliteDatabase database) : SetOptionsSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresSetOptionsTests(PostgresDatabase database) : SetOptionsSpec(database), IClassFixture<PostgresDatabase>;
