using System.Numerics;

namespace Kv.Tests.Units;

public sealed class KeyTextTests
{
    public static TheoryData<string> Vectors => [.. KeyVectors.All.Select(vector => vector.Name)];

    [Fact]
    public void A_key_is_printed_as_it_is_written()
    {
        KvKey key = ["users", 42, 7.0, true, new byte[] { 0x00, 0xFF }];

        Assert.Equal("""["users", 42, 7.0, true, 0x00FF]""", key.ToString());
    }

    [Theory]
    [InlineData(0.0, "0.0")]
    [InlineData(-0.0, "-0.0")]
    [InlineData(-42.5, "-42.5")]
    [InlineData(1e16, "10000000000000000.0")]
    [InlineData(1e21, "1e+21")]
    [InlineData(5e-324, "5e-324")]
    [InlineData(double.PositiveInfinity, "Infinity")]
    [InlineData(double.NegativeInfinity, "-Infinity")]
    public void Doubles_never_look_like_integers(double number, string text)
    {
        Assert.Equal($"[{text}]", KvKey.Create([number]).ToString());
        Assert.Equal(KvKey.Create([number]), KvKey.Parse($"[{text}]"));
    }

    [Fact]
    public void NaN_shows_its_sign()
    {
        Assert.Equal("[NaN]", KvKey.FromEncoded(Convert.FromHexString("21FFF8000000000000")).ToString());
        Assert.Equal("[NaN]", KvKey.Create([Math.CopySign(double.NaN, 1)]).ToString());
        Assert.Equal("[-NaN]", KvKey.Create([double.NaN]).ToString());
        Assert.Equal("[-NaN]", KvKey.FromEncoded(Convert.FromHexString("210007FFFFFFFFFFFF")).ToString());
    }

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Every_key_is_parsed_from_its_text(string name)
    {
        var key = KeyVectors.All.Single(vector => vector.Name == name).Key;

        Assert.Equal(key, KvKey.Parse(key.ToString()));
    }

    [Theory]
    [InlineData("\"", "\\\"")]
    [InlineData("\\", "\\\\")]
    [InlineData("\0", "\\u0000")]
    [InlineData("\n", "\\u000a")]
    [InlineData("\u202E", "\\u202e")]
    [InlineData("\u2028", "\\u2028")]
    [InlineData("\uFEFF", "\\ufeff")]
    [InlineData("\U000E0001", "\\udb40\\udc01")]
    [InlineData("é😀]", "é😀]")]
    public void What_cannot_be_seen_in_a_string_is_escaped(string value, string printed)
    {
        KvKey key = [value];

        Assert.Equal($"[\"{printed}\"]", key.ToString());
        Assert.Equal(key, KvKey.Parse(key.ToString()));
    }

    [Theory]
    [InlineData(" [ \"a\" , 1 ] ", "[\"a\", 1]")]
    [InlineData("[\n]", "[]")]
    [InlineData("[\"\\/\\b\\f\\n\\r\\t\\u0041\"]", "[\"/\\u0008\\u000c\\u000a\\u000d\\u0009A\"]")]
    [InlineData("[\"\\ud83d\\ude00\"]", "[\"😀\"]")]
    [InlineData("[1E2, -1e-2, 0xaB, 0x]", "[100.0, -0.01, 0xAB, 0x]")]
    [InlineData("[007, -0]", "[7, 0]")]
    public void Text_may_be_written_by_hand(string text, string printed) => Assert.Equal(printed, KvKey.Parse(text).ToString());

    [Theory]
    [InlineData("", "'[' is missing (at character 0)")]
    [InlineData("users", "'[' is missing (at character 0)")]
    [InlineData("[1", "',' or ']' is missing (at character 2)")]
    [InlineData("[1 2]", "',' or ']' is missing (at character 3)")]
    [InlineData("[1] 2", "there is text after the key (at character 4)")]
    [InlineData("[1,]", "a part is missing: a string in quotes, a number, true, false, or 0x with hexadecimal digits (at character 3)")]
    [InlineData("[users]", "a part is missing: a string in quotes, a number, true, false, or 0x with hexadecimal digits (at character 1)")]
    [InlineData("[+1]", "a part is missing: a string in quotes, a number, true, false, or 0x with hexadecimal digits (at character 1)")]
    [InlineData("[1x]", "the number is malformed (at character 1)")]
    [InlineData("[1.2.3]", "the number is malformed (at character 1)")]
    [InlineData("[--1]", "the number is malformed (at character 1)")]
    [InlineData("[1e999]", "the number is too large for a double; Infinity is spelled out (at character 1)")]
    [InlineData("[0x1]", "a byte array needs an even number of hexadecimal digits (at character 1)")]
    [InlineData("[0xZZ]", "a byte array needs an even number of hexadecimal digits (at character 1)")]
    [InlineData("[\"a]", "the string is not closed (at character 4)")]
    [InlineData("[\"\\", "a string has an unknown escape; those of JSON are known (at character 3)")]
    [InlineData("[\"\\x\"]", "a string has an unknown escape; those of JSON are known (at character 3)")]
    [InlineData("[\"\\ud83d\"]", "a string has U+D83D, half of a surrogate pair (at character 9)")]
    [InlineData("[\"\\ude00\\ud83d\"]", "a string has U+DE00, half of a surrogate pair (at character 15)")]
    [InlineData("[\"\\u12\"]", "a string has an unknown escape; those of JSON are known (at character 3)")]
    public void Text_that_is_no_key_is_refused_with_place_and_reason(string text, string reason)
    {
        var error = Assert.Throws<FormatException>(() => KvKey.Parse(text));

        Assert.Equal($"The text is not a key: {reason}. A key looks like [\"users\", 42, 7.0, true, 0x00FF].", error.Message);
        Assert.False(KvKey.TryParse(text, out _));
    }

    [Fact]
    public void Integers_of_255_bytes_are_parsed_and_larger_ones_refused()
    {
        var largest = BigInteger.Pow(2, 2040) - 1;

        Assert.Equal(-largest, KvKey.Parse($"[-{largest}]")[0].AsInteger());
        var error = Assert.Throws<FormatException>(() => KvKey.Parse($"[{largest + 1}]"));
        Assert.Contains("at most 255 bytes", error.Message, StringComparison.Ordinal);
        Assert.False(KvKey.TryParse($"[{new string('9', 1_000_000)}]", out _));
    }

    [Fact]
    public void Null_is_no_text() => Assert.False(KvKey.TryParse(null, out _));

    [Fact]
    public void The_text_of_an_undecodable_key_is_not_parsed() =>
        Assert.False(KvKey.TryParse(KvKey.FromStored([0x30]).ToString(), out _));
}
