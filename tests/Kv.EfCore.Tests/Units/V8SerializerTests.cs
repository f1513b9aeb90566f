using System.Numerics;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kv.Tests.Units;

/// <summary>Types of .NET's as values of JavaScript's, by their contracts, and back.</summary>
public sealed class V8SerializerTests
{
    private static readonly DateTimeOffset Moment = new(2026, 11, 29, 8, 30, 0, 123, TimeSpan.Zero);
    private static readonly byte[] NoBytes = [];
    private static readonly Pet[] NoPets = [];
    private static readonly Dictionary<string, double> NoScores = [];
    private readonly KvJsonSerializer _serializer = new();

    public static TheoryData<object, string> Values => new()
    {
        { 42, "FF0F4954" }, { -1L, "FF0F4901" }, { (1L << 53) - 1, "FF0F4EFFFFFFFFFFFF3F43" },
        { 1L << 53, "FF0F5A100000000000002000" }, { long.MinValue, "FF0F5A110000000000000080" },
        { 1.5, "FF0F4E000000000000F83F" }, { double.NaN, "FF0F4E000000000000F87F" }, { -0.0, "FF0F4E0000000000000080" },
        { 0.1f, "FF0F4E9A9999999999B93F" }, { 0.10m, "FF0F4E9A9999999999B93F" }, { 5m, "FF0F490A" },
        { BigInteger.One, "FF0F5A100100000000000000" }, { true, "FF0F54" }, { "é€", "FF0F6304E900AC20" },
        { DayOfWeek.Friday, "FF0F490A" }, { Moment, "FF0F44" + "00B03BCE66227A42" }, { Moment.UtcDateTime, "FF0F44" + "00B03BCE66227A42" },
        { new DateOnly(2026, 11, 29), "FF0F220A323032362D31312D3239" }, { (int[])[1, 2], "FF0F410249024904240002" },
        { new Dictionary<string, int> { ["b"] = 1, ["10"] = 2, ["9"] = 3 }, "FF0F6F49124906491449042201624902" + "7B03" },
        { new Dictionary<int, string> { [1] = "a" }, "FF0F6F49022201617B01" },
    };

    [Theory]
    [MemberData(nameof(Values))]
    public void Values_are_written_as_JavaScript_has_them_and_come_back(object value, string hex)
    {
        var stored = Write(value);

        Assert.Equal(hex, Convert.ToHexString(stored.Bytes.Span));
        Assert.Equal(KvEncoding.V8, stored.Encoding);
        Assert.Equal(value, Read(stored, value.GetType()));
    }

    [Fact]
    public void A_record_is_a_plain_object_with_dates_bigints_and_bytes_and_comes_back_whole()
    {
        var scores = new Dictionary<string, double> { ["x"] = 1.5 };
        var user = new User("Ada", Moment, BigInteger.Pow(10, 30), [1, 2, 3], new([4]), [new Pet("Rex", null)], scores, null, 7)
        {
            Extra = new V8Set { Items = { 1, "a" } },
        };

        var stored = _serializer.SerializeAs(user, KvEncoding.V8);
        var plain = Assert.IsType<V8Object>(_serializer.Deserialize<V8Value>(stored));
        var back = _serializer.Deserialize<User>(stored)!;

        Assert.Equal(
            ["Name", "Born", "Fortune", "Photo", "More", "Pets", "Scores", "Gone", "Level", "Extra"],
            plain.Properties.Select(static p => p.Key));
        Assert.Equal(Moment, Assert.IsType<V8Date>(plain["Born"]).Moment);
        Assert.Equal(BigInteger.Pow(10, 30), Assert.IsType<V8Primitive>(plain["Fortune"]).AsBigInteger());
        Assert.Equal([1, 2, 3], Assert.IsType<V8View>(plain["Photo"]).Bytes.ToArray());
        Assert.Equal([4], Assert.IsType<V8View>(plain["More"]).Bytes.ToArray());
        Assert.Equal(V8Value.Null, plain["Gone"]);
        Assert.Equal(2, Assert.IsType<V8Set>(plain["Extra"]).Items.Count);
        Assert.Equal(Bare(user), Bare(back));
        Assert.Equal([1, 2, 3], back.Photo);
        Assert.Equal(user.Pets, back.Pets);
        Assert.Equal(1.5, back.Scores["x"]);

        static User Bare(User user) => user with { Photo = NoBytes, More = default, Pets = NoPets, Scores = NoScores, Extra = null };
    }

    [Fact]
    public void What_JavaScript_writes_is_read_as_types_of_NET()
    {
        Assert.Equal(
            new Dictionary<int, string> { [1] = "a", [2] = "b" },
            Read<Dictionary<int, string>>(new V8Map { Entries = { new(1, "a"), new(2, "b") } }));
        Assert.Equal([1, 2], Read<HashSet<int>>(new V8Set { Items = { 1, 2 } })!.Order());
        var doubles = V8Value.Parse(Convert.FromHexString("FF104210000000000000F83F00000000000000405646001000"));
        Assert.Equal([1.5, 2], Read<double[]>(doubles)!);
        Assert.Null(Read<string>(V8Value.Undefined));
        Assert.Equal(5, Read<long>(new BigInteger(5)));
        Assert.Equal(5, Read<int>(5.0));
        Assert.Equal(new Pet("Rex", null), Read<Pet>(new V8Object().Add("Name", "Rex").Add("Age", V8Value.Undefined)));
        Assert.Equal("\"x\"", Read<JsonElement>("x").GetRawText());
        Assert.Equal(V8Kind.Map, Read<V8Value>(new V8Map())!.Kind);
        Assert.IsType<V8Date>(Read<object>(Moment));
        Assert.Throws<KvException>(() => Read<int>(1.5));
        Assert.Throws<KvException>(() => Read<V8Map>(new V8Set()));
    }

    [Fact]
    public void What_would_not_be_stored_whole_is_refused()
    {
        var digits = Assert.Throws<KvException>(() => Write(0.1234567890123456789m));
        Assert.Contains("0.1234567890123456789 is none of JavaScript's", digits.Message, StringComparison.Ordinal);
        Assert.Throws<KvException>(() => Write("half \ud800"));
        Assert.Throws<KvException>(() => Write(new Hidden()));
    }

    [Fact]
    public void A_converter_of_the_users_decides_what_its_type_is()
    {
        var options = new JsonSerializerOptions { Converters = { new JsonStringEnumConverter(), new Epoch() } };
        var serializer = new KvJsonSerializer(options);

        Assert.Equal("\"Friday\"", V8Value.Parse(serializer.SerializeAs(DayOfWeek.Friday, KvEncoding.V8).Bytes.Span).ToJson());
        Assert.Equal(V8Kind.Number, V8Value.Parse(serializer.SerializeAs(Moment, KvEncoding.V8).Bytes.Span).Kind);
    }

    [Fact]
    public void A_member_that_is_named_like_a_mark_is_a_member()
    {
        var value = new Dictionary<string, string> { ["\u0001mark"] = "AAAA", [""] = "empty" };

        Assert.Equal(value, Read<Dictionary<string, string>>(V8Value.Parse(Write(value).Bytes.Span)));
    }

    private KvValue Write(object value) => _serializer.SerializeAs(value, KvEncoding.V8);

    private object? Read(KvValue stored, Type type) => typeof(KvJsonSerializer).GetMethod(nameof(KvJsonSerializer.Deserialize))!
        .MakeGenericMethod(type).Invoke(_serializer, [stored]);

    private T? Read<T>(V8Value value) => _serializer.Deserialize<T>(new KvValue(value.ToBytes(), KvEncoding.V8));

    private sealed record Pet(string Name, int? Age);

    private sealed record User(
        string Name,
        DateTimeOffset Born,
        BigInteger Fortune,
        byte[] Photo,
        ReadOnlyMemory<byte> More,
        Pet[] Pets,
        Dictionary<string, double> Scores,
        string? Gone,
        int Level)
    {
        public V8Value? Extra { get; init; }
    }

    private sealed class Hidden
    {
        private readonly int _state = Environment.ProcessId;

        public override string ToString() => $"{_state}";
    }

    private sealed class Epoch : JsonConverter<DateTimeOffset>
    {
        public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            DateTimeOffset.FromUnixTimeMilliseconds(reader.GetInt64());

        public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
            writer.WriteNumberValue(value.ToUnixTimeMilliseconds());
    }
}
