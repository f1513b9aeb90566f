namespace Kv.Tests.Units;

public sealed class VersionstampTests
{
    [Fact]
    public void A_version_is_printed_as_Deno_does()
    {
        Assert.Equal("00000000000000050000", KvVersionstamp.FromVersion(5).ToString());
        Assert.Equal("7fffffffffffffff0000", KvVersionstamp.FromVersion(long.MaxValue).ToString());
    }

    [Theory]
    [InlineData("00000000000000050000")]
    [InlineData("000000000000abcdef01")]
    [InlineData("ffffffffffffffffffff")]
    public void A_versionstamp_is_parsed_from_its_text(string text)
    {
        Assert.Equal(text, KvVersionstamp.Parse(text).ToString());
        Assert.Equal(text, KvVersionstamp.Parse(text.ToUpperInvariant()).ToString());
        Assert.True(KvVersionstamp.TryParse(text, out var versionstamp));
        Assert.Equal(text, versionstamp.ToString());
    }

    [Fact]
    public void The_version_is_read_back() => Assert.Equal(42, KvVersionstamp.Parse(KvVersionstamp.FromVersion(42).ToString()).Version);

    [Theory]
    [InlineData("")]
    [InlineData("0000000000000005000")]
    [InlineData("000000000000000500000")]
    [InlineData("0000000000000005000g")]
    [InlineData(" 0000000000000050000")]
    public void Other_text_is_refused(string text)
    {
        var error = Assert.Throws<FormatException>(() => KvVersionstamp.Parse(text));

        Assert.Contains("20 hexadecimal digits", error.Message, StringComparison.Ordinal);
        Assert.False(KvVersionstamp.TryParse(text, out _));
    }

    [Fact]
    public void Null_is_no_versionstamp() => Assert.False(KvVersionstamp.TryParse(null, out _));

    [Fact]
    public void Versionstamps_compare_by_age_as_their_texts_do()
    {
        KvVersionstamp[] sorted =
        [
            default, KvVersionstamp.Parse("00000000000000000001"), KvVersionstamp.FromVersion(1), KvVersionstamp.FromVersion(256),
            KvVersionstamp.Parse("ffffffffffffffff0000"),
        ];

        Assert.Equal(sorted, sorted.Reverse().Order());
        Assert.Equal(sorted, sorted.Reverse().OrderBy(versionstamp => versionstamp.ToString(), StringComparer.Ordinal));
        Assert.True(sorted[1] < sorted[2] && sorted[2] > sorted[1] && sorted[1] <= sorted[2] && sorted[2] >= sorted[1]);
        Assert.True(KvVersionstamp.FromVersion(7) == KvVersionstamp.FromVersion(7));
        Assert.True(KvVersionstamp.FromVersion(7) != KvVersionstamp.FromVersion(8));
    }
}
