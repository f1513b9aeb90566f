using System.Numerics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kv.Tests.Units;

public sealed partial class JsonSerializerTests
{
    private readonly KvJsonSerializer _serializer = new();

    [Fact]
    public void Objects_become_JSON_and_come_back()
    {
        var value = _serializer.Serialize(new Order(42, ["a", "é"]));

        Assert.Equal(KvEncoding.Json, value.Encoding);
        Assert.Equal("""{"Id":42,"Tags":["a","é"]}""", Encoding.UTF8.GetString(value.Bytes.Span));
        var order = _serializer.Deserialize<Order>(value)!;
        Assert.Equal(42, order.Id);
        Assert.Equal(["a", "é"], order.Tags);
    }

    [Fact]
    public void Only_ulong_is_a_counter()
    {
        Assert.Equal(KvValue.FromUInt64(5), _serializer.Serialize(5UL));
        Assert.Equal(KvValue.FromUInt64(5), _serializer.Serialize<ulong?>(5UL));
        Assert.Equal(KvEncoding.Json, _serializer.Serialize(5L).Encoding);
        Assert.Equal(KvEncoding.Json, _serializer.Serialize<ulong?>(null).Encoding);
    }

    [Fact]
    public void Bytes_are_stored_as_bytes_whatever_holds_them()
    {
        byte[] bytes = [1, 2, 3];
        var value = KvValue.FromBytes(bytes);

        Assert.Equal(value, _serializer.Serialize(bytes));
        Assert.Equal(value, _serializer.Serialize((ReadOnlyMemory<byte>)bytes));
        Assert.Equal(value, _serializer.Serialize((Memory<byte>)bytes));
        Assert.Equal(bytes, _serializer.Deserialize<byte[]>(value));
        Assert.Equal(bytes, _serializer.Deserialize<ReadOnlyMemory<byte>>(value).ToArray());
        Assert.Equal(bytes, _serializer.Deserialize<Memory<byte>>(value).ToArray());
        Assert.Equal(bytes, _serializer.Deserialize<ReadOnlyMemory<byte>?>(value)!.Value.ToArray());
    }

    [Fact]
    public void Changing_an_array_that_was_read_leaves_the_value_alone()
    {
        var value = KvValue.FromBytes([1, 2]);

        _serializer.Deserialize<byte[]>(value)![0] = 9;
        _serializer.Deserialize<Memory<byte>>(value).Span[0] = 9;

        Assert.Equal([1, 2], value.Bytes.ToArray());
    }

    [Fact]
    public void A_value_passes_unchanged()
    {
        var value = new KvValue([0xFF, 0x0F, 0x30], KvEncoding.V8);

        Assert.Same(value, _serializer.Serialize(value));
        Assert.Same(value, _serializer.Deserialize<KvValue>(value));
    }

    [Fact]
    public void A_counter_is_read_as_any_number_it_fits()
    {
        var value = KvValue.FromUInt64(7);

        Assert.Equal(7UL, _serializer.Deserialize<ulong>(value));
        Assert.Equal(7L, _serializer.Deserialize<long>(value));
        Assert.Equal(7, _serializer.Deserialize<int>(value));
        Assert.Equal(7U, _serializer.Deserialize<uint>(value));
        Assert.Equal((UInt128)7, _serializer.Deserialize<UInt128>(value));
        Assert.Equal(7, _serializer.Deserialize<BigInteger>(value));
        Assert.Equal(7m, _serializer.Deserialize<decimal>(value));
        Assert.Equal(7.0, _serializer.Deserialize<double>(value));
        Assert.Equal(7UL, _serializer.Deserialize<ulong?>(value));
        Assert.Equal(7, _serializer.Deserialize<int?>(value));
        Assert.Equal(7.0, _serializer.Deserialize<double?>(value));
        Assert.Equal(7UL, _serializer.Deserialize<object>(value));
    }

    [Fact]
    public void A_counter_that_does_not_fit_is_refused_instead_of_rounded()
    {
        AssertRange<long>(1UL << 63);
        AssertRange<int>(1UL << 31);
        AssertRange<int?>(1UL << 31);
        AssertRange<uint>(1UL << 32);
        AssertRange<double>((1UL << 53) + 1);
        AssertRange<double>(ulong.MaxValue);
        Assert.Equal(Math.Pow(2, 63), _serializer.Deserialize<double>(KvValue.FromUInt64(1UL << 63)));
        Assert.Equal(ulong.MaxValue, _serializer.Deserialize<decimal>(KvValue.FromUInt64(ulong.MaxValue)));
    }

    [Fact]
    public void A_counter_or_bytes_read_as_something_else_are_refused()
    {
        var counter = Assert.Throws<KvException>(() => _serializer.Deserialize<string>(KvValue.FromUInt64(1)));
        var bytes = Assert.Throws<KvException>(() => _serializer.Deserialize<Order>(KvValue.FromBytes([1])));

        Assert.Equal((KvErrorKind.Type, KvErrorKind.Type), (counter.Kind, bytes.Kind));
        Assert.Contains("encoding UInt64, a counter, and cannot be read as String", counter.Message, StringComparison.Ordinal);
        Assert.Contains("encoding Bytes and cannot be read as Order", bytes.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(9)]
    public void A_counter_of_another_length_is_refused(int size)
    {
        var error = Assert.Throws<KvException>(() => _serializer.Deserialize<ulong>(new KvValue(new byte[size], KvEncoding.UInt64)));

        Assert.Equal(KvErrorKind.Encoding, error.Kind);
        Assert.StartsWith($"A value with encoding UInt64 has 8 bytes; this one has {size}.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Values_that_are_none_of_V8_s_and_of_unknown_encodings_are_kept_but_not_read()
    {
        var deno = Assert.Throws<KvException>(() => _serializer.Deserialize<int>(new KvValue([0xFF], KvEncoding.V8)));
        var unknown = Assert.Throws<KvException>(() => _serializer.Deserialize<int>(new KvValue((byte[])[0xFF], (KvEncoding)77)));

        Assert.Equal((KvErrorKind.Encoding, KvErrorKind.Encoding), (deno.Kind, unknown.Kind));
        Assert.StartsWith("The bytes are no value of V8's format", deno.Message, StringComparison.Ordinal);
        Assert.StartsWith("The value encoding 77 is unknown.", unknown.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("\"text\"")]
    [InlineData("{\"Id\":\"no number\"}")]
    public void JSON_that_does_not_fit_the_type_is_an_encoding_error(string json)
    {
        var value = new KvValue(Encoding.UTF8.GetBytes(json), KvEncoding.Json);

        var error = Assert.Throws<KvException>(() => _serializer.Deserialize<Order>(value));

        Assert.Equal(KvErrorKind.Encoding, error.Kind);
        Assert.IsType<JsonException>(error.InnerException);
    }

    [Fact]
    public void JSON_nested_deeper_than_64_is_refused()
    {
        var deep = Encoding.UTF8.GetBytes(new string('[', 65) + new string(']', 65));
        var allowed = Encoding.UTF8.GetBytes(new string('[', 64) + new string(']', 64));

        Assert.Throws<KvException>(() => _serializer.Deserialize<JsonElement>(new KvValue(deep, KvEncoding.Json)));
        Assert.Equal(1, _serializer.Deserialize<JsonElement>(new KvValue(allowed, KvEncoding.Json)).GetArrayLength());
    }

    [Fact]
    public void Null_is_a_value()
    {
        var value = _serializer.Serialize<Order?>(null);

        Assert.Equal("null", Encoding.UTF8.GetString(value.Bytes.Span));
        Assert.Null(_serializer.Deserialize<Order>(value));
        Assert.Null(_serializer.Deserialize<byte[]>(_serializer.Serialize<byte[]?>(null)));
    }

    [Fact]
    public void A_source_generated_context_is_enough()
    {
        var serializer = new KvJsonSerializer(OrderContext.Default.Options);

        var value = serializer.Serialize(new Order(1, []));

        Assert.Equal("""{"id":1,"tags":[]}""", Encoding.UTF8.GetString(value.Bytes.Span));
        Assert.Equal(1, serializer.Deserialize<Order>(value)!.Id);
        Assert.Equal(KvErrorKind.Encoding, Assert.Throws<KvException>(() => serializer.Serialize(new Version(1, 0))).Kind);
    }

    [Fact]
    public void An_entry_that_cannot_be_read_is_named()
    {
        var entry = new KvEntry(["orders", 42], KvValue.FromUInt64(7), KvVersionstamp.FromVersion(5), _serializer);

        var error = Assert.Throws<KvException>(() => entry.As<string>());

        Assert.Equal(7, entry.As<int>());
        Assert.Equal(KvErrorKind.Type, error.Kind);
        Assert.StartsWith(
            "The entry [\"orders\", 42] (UInt64, 8 bytes) cannot be read: The value has encoding UInt64",
            error.Message,
            StringComparison.Ordinal);
        Assert.Equal("[\"orders\", 42]: UInt64, 8 bytes, 00000000000000050000", entry.ToString());
    }

    private void AssertRange<T>(ulong number)
    {
        var error = Assert.Throws<KvException>(() => _serializer.Deserialize<T>(KvValue.FromUInt64(number)));

        Assert.Equal(KvErrorKind.Range, error.Kind);
        Assert.StartsWith($"The counter {number} does not fit", error.Message, StringComparison.Ordinal);
    }

    private sealed record Order(int Id, string[] Tags);

    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
    [JsonSerializable(typeof(Order))]
    private sealed partial class OrderContext : JsonSerializerContext;
}
