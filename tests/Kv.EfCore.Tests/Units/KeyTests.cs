using System.Numerics;

namespace Kv.Tests.Units;

public sealed class KeyTests
{
    [Fact]
    public void A_collection_expression_is_a_key()
    {
        KvKey key = ["users", 42L, 7.5, true, 'x', new byte[] { 1 }, ulong.MaxValue, BigInteger.One];

        Assert.Equal(8, key.Count);
        Assert.Equal("users", key[0].AsString());
        Assert.Equal(42, key[1].AsInt64());
        Assert.Equal(7.5, key[2].AsDouble());
        Assert.True(key[3].AsBoolean());
        Assert.Equal("x", key[4].AsString());
        Assert.Equal([1], key[5].AsBytes().ToArray());
        Assert.Equal(ulong.MaxValue, key[6].AsInteger());
        Assert.Equal(1, key[7].AsInteger());
    }

    [Fact]
    public void The_key_without_parts_is_empty()
    {
        KvKey key = [];

        Assert.Same(KvKey.Empty, key);
        Assert.Empty(key);
        Assert.Equal("[]", key.ToString());
        Assert.True(key.Encoded.IsEmpty);
    }

    [Fact]
    public void Append_adds_parts_after_those_of_the_key()
    {
        KvKey key = ["users", 42];

        Assert.Equal(["users", 42, "name", -1], key.Append("name", -1));
        Assert.Same(key, key.Append());
    }

    [Fact]
    public void A_key_starts_with_whole_parts_only()
    {
        KvKey prefix = ["a"];

        Assert.True(KvKey.Create(["a", "b"]).StartsWith(prefix));
        Assert.True(prefix.StartsWith(prefix));
        Assert.True(prefix.StartsWith([]));
        Assert.False(KvKey.Create(["ab"]).StartsWith(prefix));
        Assert.False(KvKey.Create(["a\0b"]).StartsWith(prefix));
        Assert.False(KvKey.Create([]).StartsWith(prefix));
    }

    [Fact]
    public void Keys_are_equal_by_content()
    {
        KvKey one = ["a", 1];
        KvKey same = ["a", 1];
        KvKey other = ["a", 1.0];

        Assert.True(one == same);
        Assert.Equal(one.GetHashCode(), same.GetHashCode());
        Assert.True(one != other);
        Assert.True(one < other);
        Assert.True(other > one && other >= one && one <= same);
        Assert.True(null < one && one > null && !(one == null));
    }

    [Fact]
    public void A_key_does_not_change_with_the_array_it_was_made_of()
    {
        byte[] bytes = [1, 2];
        KvKey key = [bytes];

        bytes[0] = 9;

        Assert.Equal([1, 2], key[0].AsBytes().ToArray());
    }

    [Fact]
    public void Part_of_a_memory_becomes_a_part_of_its_own()
    {
        ReadOnlyMemory<byte> middle = new byte[] { 0, 1, 2, 3 }.AsMemory(1, 2);

        Assert.Equal("[0x0102]", KvKey.Create([middle]).ToString());
    }

    [Fact]
    public void Half_of_a_surrogate_pair_is_refused_with_the_part_and_the_place()
    {
        foreach (var (text, printed, unit, position) in ((string, string, string, int)[])[
            ("\ud800", "\"\\ud800\"", "D800", 0), ("a\udfff", "\"a\\udfff\"", "DFFF", 1), ("😀\ud83d", "\"😀\\ud83d\"", "D83D", 2),
            ("\ud83d\ud83d\ude00", "\"\\ud83d😀\"", "D83D", 0), ("\ude00\ud83d", "\"\\ude00\\ud83d\"", "DE00", 0)])
        {
            foreach (var make in (Action[])[() => _ = (KvKeyPart)text, () => KvKey.Create(["users", text]), () => KvKey.Empty.Append(text), () => KvRange.Prefix([text])])
            {
                Assert.StartsWith(
                    $"The key part {printed} has U+{unit} at position {position}, which is half of a surrogate pair", Assert.Throws<ArgumentException>(make).Message, StringComparison.Ordinal);
            }
        }

        Assert.Throws<ArgumentException>(static () => (KvKeyPart)'\ud800');
        Assert.EndsWith("…", Assert.Throws<ArgumentException>(static () => (KvKeyPart)(new string('x', 1000) + '\ud800')).Message.Split(" has ")[0], StringComparison.Ordinal);
        Assert.Equal("😀", ((KvKeyPart)"😀").AsString());
    }

    [Fact]
    public void All_NaNs_of_one_sign_are_one_part()
    {
        KvKeyPart quiet = BitConverter.UInt64BitsToDouble(0x7FF8000000000000);
        KvKeyPart signalling = BitConverter.UInt64BitsToDouble(0x7FF0000000000001);
        KvKeyPart negative = BitConverter.UInt64BitsToDouble(0xFFF0000000000001);

        Assert.Equal(quiet, signalling);
        Assert.NotEqual(quiet, negative);
    }

    [Fact]
    public void A_part_read_as_another_type_says_which_it_has()
    {
        KvKeyPart part = 42;

        var error = Assert.Throws<InvalidOperationException>(() => part.AsString());

        Assert.Equal("The key part 42 has type Integer, not String. Look at Type before reading it.", error.Message);
        Assert.Throws<InvalidOperationException>(() => part.AsDouble());
        Assert.Throws<InvalidOperationException>(() => part.AsBoolean());
        Assert.Throws<InvalidOperationException>(() => part.AsBytes());
        Assert.Throws<InvalidOperationException>(() => ((KvKeyPart)1.0).AsInteger());
        Assert.Throws<OverflowException>(() => ((KvKeyPart)ulong.MaxValue).AsInt64());
    }

    [Fact]
    public void Null_is_no_part()
    {
        Assert.Throws<ArgumentNullException>(() => (KvKeyPart)(string)null!);
        Assert.Throws<ArgumentNullException>(() => (KvKeyPart)(byte[])null!);
    }

    [Fact]
    public void The_default_part_is_the_empty_byte_array()
    {
        Assert.Equal(Array.Empty<byte>(), default(KvKeyPart));
        Assert.Equal("0x", default(KvKeyPart).ToString());
        Assert.Equal(((KvKeyPart)Array.Empty<byte>()).GetHashCode(), default(KvKeyPart).GetHashCode());
    }

    [Fact]
    public void An_integer_takes_255_bytes_and_not_one_more()
    {
        var largest = BigInteger.Pow(2, 2040) - 1;

        Assert.Equal(largest, KvKey.Create([largest])[0].AsInteger());
        Assert.Equal(-largest, KvKey.FromEncoded(KvKey.Create([-largest]).Encoded.Span)[0].AsInteger());
        foreach (var beyond in new[] { largest + 1, -largest - 1 })
        {
            var error = Assert.Throws<ArgumentOutOfRangeException>(() => (KvKeyPart)beyond);
            Assert.StartsWith("BigUint requires more than 255 bytes to be represented", error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(long.MinValue)]
    [InlineData(long.MaxValue)]
    [InlineData(-65536L)]
    [InlineData(-4294967296L)]
    public void Integers_at_the_edge_of_a_size_survive(long number)
    {
        KvKey key = [number];

        Assert.Equal(number, KvKey.FromEncoded(key.Encoded.Span)[0].AsInt64());
        Assert.Equal(key, KvKey.Create([(BigInteger)number]));
    }

    [Theory]
    [InlineData("00", "invalid tag 0x00 (part at byte 0 of 1)")]
    [InlineData("26FF", "invalid tag 0xFF (part at byte 1 of 2)")]
    [InlineData("0261", "the terminator is missing (part at byte 0 of 2)")]
    [InlineData("026100FF", "the terminator is missing (part at byte 0 of 4)")]
    [InlineData("02FF00", "invalid utf8 (part at byte 0 of 3)")]
    [InlineData("02C300FFA900", "invalid utf8 (part at byte 0 of 6)")]
    [InlineData("02EDA08000", "invalid utf8 (part at byte 0 of 5)")]
    [InlineData("1C01", "tag 0x1C needs 8 bytes, 1 are left (part at byte 0 of 2)")]
    [InlineData("1D", "tag 0x1D needs a length (part at byte 0 of 1)")]
    [InlineData("1DFF00", "tag 0x1D needs 255 bytes, 1 are left (part at byte 0 of 3)")]
    [InlineData("0B0000", "tag 0x0B needs 255 bytes, 1 are left (part at byte 0 of 3)")]
    [InlineData("21C0450000000000", "tag 0x21 needs 8 bytes, 7 are left (part at byte 0 of 8)")]
    public void Bytes_that_are_no_key_are_refused_with_place_and_reason(string hex, string reason)
    {
        var error = Assert.Throws<FormatException>(() => KvKey.FromEncoded(Convert.FromHexString(hex)));

        Assert.Equal($"The bytes 0x{hex} are not a key: {reason}.", error.Message);
    }

    [Fact]
    public void Integers_with_leading_zeros_keep_their_bytes()
    {
        var key = KvKey.FromEncoded([0x16, 0x00, 0x07, 0x1D, 0x02, 0x00, 0x07, 0x0B, 0xFF]);

        Assert.Equal([7, 7, 0], [.. key]);
        Assert.Equal("16000" + "71D02" + "00070BFF", Convert.ToHexString(key.Encoded.Span));
        Assert.NotEqual([7, 7, 0], key);
    }

    [Fact]
    public void A_stored_key_that_cannot_be_decoded_is_still_a_key()
    {
        var key = KvKey.FromStored([0x30, 0x01]);

        Assert.False(key.IsDecodable);
        Assert.Equal("undecodable 0x3001", key.ToString());
        Assert.Equal(key, KvKey.FromStored([0x30, 0x01]));
        Assert.True(key > KvKey.Create(["a"]));
        Assert.Throws<FormatException>(() => key.Count);
        Assert.Throws<FormatException>(() => key[0]);
        Assert.Throws<FormatException>(() => key.GetEnumerator());
    }

    [Fact]
    public void A_malformed_key_of_a_megabyte_costs_no_memory()
    {
        var bytes = new byte[1_000_000];
        Array.Fill(bytes, (byte)0x14);
        bytes[^1] = 0x1C;
        var key = KvKey.FromStored(bytes);
        Assert.False(KvKey.FromStored([0x1C]).IsDecodable);

        var before = GC.GetAllocatedBytesForCurrentThread();
        var decodable = key.IsDecodable;

        Assert.False(decodable);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4096);
    }

    [Fact]
    public void A_key_of_a_few_parts_is_one_array_and_the_key()
    {
        KvKeyPart[] parts = ["users", 42, 7.0, true, "näme"];
        _ = KvKey.Create(parts);

        var before = GC.GetAllocatedBytesForCurrentThread();
        var key = KvKey.Create(parts);

        // An array of 34 bytes has 24 more of header, the key 8 for each of its three fields and 16 of header.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 24 + 40 + 40);
        Assert.Equal(parts, key);
    }
}
