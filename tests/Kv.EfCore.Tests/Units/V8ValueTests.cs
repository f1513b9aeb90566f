using System.Globalization;
using System.Numerics;
using System.Text.Json;

namespace Kv.Tests.Units;

public sealed class V8ValueTests
{
    public static TheoryData<string> Names => [.. V8Vectors.All.Select(static v => v.Name)];

    public static TheoryData<string> ForeignNames => [.. V8Vectors.Foreign.Select(static v => v.Name)];

    public static TheoryData<string> RefusedNames => [.. V8Vectors.Refused.Select(static v => v.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void What_Deno_writes_is_read_and_written_again_byte_for_byte(string name)
    {
        var (_, hex, json) = V8Vectors.All.Single(v => v.Name == name);
        var bytes = Convert.FromHexString(hex);

        var value = V8Value.Parse(bytes);

        // Deno writes 16 in its header, which Node does not read.
        bytes[1] = 15;
        Assert.Equal(Convert.ToHexString(bytes), Convert.ToHexString(value.ToBytes()));
        if (json is not null)
        {
            Assert.Equal(json, value.ToJson());
            Assert.NotNull(JsonDocument.Parse(json));
        }
        else
        {
            Assert.Contains("refers to itself", Assert.Throws<KvException>(value.ToJson).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [MemberData(nameof(ForeignNames))]
    public void What_others_write_is_read_and_written_as_Deno_reads_it(string name)
    {
        var (_, hex, written) = V8Vectors.Foreign.Single(v => v.Name == name);

        var value = V8Value.Parse(Convert.FromHexString(hex));

        Assert.Equal(written, Convert.ToHexString(value.ToBytes()));
    }

    [Theory]
    [MemberData(nameof(RefusedNames))]
    public void What_is_no_value_is_refused_and_its_place_is_named(string name)
    {
        var (_, hex) = V8Vectors.Refused.Single(v => v.Name == name);

        var refused = Assert.Throws<KvException>(() => V8Value.Parse(Convert.FromHexString(hex)));

        Assert.Equal(KvErrorKind.Encoding, refused.Kind);
        Assert.Matches("^The bytes are no value of V8's format: at byte [0-9]+ of [0-9]+, .+\\.$", refused.Message);
    }

    [Fact]
    public void Objects_that_are_the_same_stay_so_and_members_are_found_by_their_names()
    {
        var shared = new V8Object().Add("x", 1);
        var array = new V8Array(shared, shared);
        var root = new V8Object().Add("list", array).Add("big", BigInteger.Pow(2, 80)).Add("10", "ten").Add("9", "nine");
        for (var i = 0; i < 20; i++)
        {
            root[$"n{i}"] = i;
        }

        root["n3"] = "three";
        root["root"] = root;

        var read = Assert.IsType<V8Object>(V8Value.Parse(root.ToBytes()));

        Assert.Equal(["9", "10", "list", "big"], read.Properties.Take(4).Select(static p => p.Key));
        Assert.Equal(V8Vectors.Primitive("three"), read["n3"]);
        Assert.Same(read, read["root"]);
        var list = Assert.IsType<V8Array>(read["list"]);
        Assert.Same(list[0], list[1]);
        Assert.Null(list[2]);
        Assert.Null(read["none"]);
        Assert.Equal(BigInteger.Pow(2, 80), Assert.IsType<V8Primitive>(read["big"]).AsBigInteger());
        Assert.Throws<ArgumentException>(() => read.Add("n3", 1));
        Assert.Throws<InvalidOperationException>(() => Assert.IsType<V8Primitive>(read["n4"]).AsString());
    }

    [Fact]
    public void A_view_that_follows_its_buffer_s_length_and_one_of_a_fixed_length_stay_what_they_are()
    {
        var tracking = V8Value.Parse(Convert.FromHexString("FF0F7E0408010203045642010003"));
        var view = Assert.IsType<V8View>(tracking);

        Assert.Equal([2, 3, 4], view.Bytes.ToArray());
        Assert.Equal("FF0F7E0408010203045642010003", Convert.ToHexString(tracking.ToBytes()));
        var resizable = new V8View(new V8ArrayBuffer([1, 2], maxLength: 8), V8ViewType.Uint8, 0, 2);
        Assert.Equal("FF0F7E0208010256420002" + "02", Convert.ToHexString(resizable.ToBytes()));
    }

    [Theory]
    [InlineData("6F220161", "49027B01", 3900)]
    [InlineData("4101", "240001", 3900)]
    [InlineData("3B2201614102", "30240002" + "3A02", 1900)]
    public void Values_are_read_as_deep_as_Deno_writes_them(string begin, string end, int depth)
    {
        var hex = "FF0F" + string.Concat(Enumerable.Repeat(begin, depth)) + (begin[0] == '6' ? "" : "30")
            + (begin[0] == '6' ? end + string.Concat(Enumerable.Repeat("7B01", depth - 1)) : string.Concat(Enumerable.Repeat(end, depth)));

        Assert.NotNull(V8Value.Parse(Convert.FromHexString(hex)));
        var tooDeep = "FF0F" + string.Concat(Enumerable.Repeat(begin, 5000));
        var refused = Assert.Throws<KvException>(() => V8Value.Parse(Convert.FromHexString(tooDeep)));
        Assert.Contains("nested deeper than 4000", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_of_a_value_that_refers_to_objects_again_and_again_is_bounded()
    {
        V8Value value = new V8Array("0123456789");
        for (var i = 0; i < 40; i++)
        {
            value = new V8Array(value, value);
        }

        var read = V8Value.Parse(value.ToBytes());

        Assert.Contains("far longer than it is", Assert.Throws<KvException>(read.ToJson).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_array_takes_memory_for_what_is_in_it_however_long_it_is()
    {
        var hex = "FF0F61FFFFFFFF0F" + "4E0000C0FFFFFFEF41" + "4902" + "4001FFFFFFFF0F";
        var before = GC.GetAllocatedBytesForCurrentThread();

        var array = Assert.IsType<V8Array>(V8Value.Parse(Convert.FromHexString(hex)));

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
        Assert.Equal(uint.MaxValue, array.Length);
        Assert.Equal([4294967294u], array.Elements.Select(static e => e.Key));
        Assert.Contains("holes", Assert.Throws<KvException>(array.ToJson).Message, StringComparison.Ordinal);
    }

    /// <summary>
    /// Ten million inputs were run once (docs/deno.md), by EFKV_FUZZ_INPUTS; these are enough to see a reader that fails.
    /// </summary>
    [Fact]
    public void No_input_does_anything_but_be_read_or_refused()
    {
        var inputs = int.Parse(Environment.GetEnvironmentVariable("EFKV_FUZZ_INPUTS") ?? "60000", CultureInfo.InvariantCulture);
        var fuzz = new V8Fuzz(seed: 17);

        fuzz.Run(inputs);

        Assert.InRange(fuzz.Read, inputs / 12, inputs - (inputs / 12));
    }
}
