namespace Kv.Tests.Units;

public sealed class ValueTests
{
    [Fact]
    public void A_counter_is_eight_little_endian_bytes()
    {
        var value = KvValue.FromUInt64(258);

        Assert.Equal("0201000000000000", Convert.ToHexString(value.Bytes.Span));
        Assert.Equal(KvEncoding.UInt64, value.Encoding);
        Assert.Equal(258UL, value.ReadUInt64());
    }

    [Fact]
    public void Bytes_are_stored_as_they_are_and_copied()
    {
        byte[] bytes = [1, 2, 3];
        var value = KvValue.FromBytes(bytes);

        bytes[0] = 9;

        Assert.Equal([1, 2, 3], value.Bytes.ToArray());
        Assert.Equal(3, (int)value.Encoding);
    }

    [Fact]
    public void Values_are_equal_by_bytes_and_encoding()
    {
        var value = new KvValue([1, 2], KvEncoding.Json);

        Assert.Equal(value, new KvValue([1, 2], KvEncoding.Json));
        Assert.Equal(value.GetHashCode(), new KvValue([1, 2], KvEncoding.Json).GetHashCode());
        Assert.NotEqual(value, new KvValue([1, 2], KvEncoding.Bytes));
        Assert.NotEqual(value, new KvValue([1, 3], KvEncoding.Json));
        Assert.False(value.Equals(null));
    }

    [Fact]
    public void The_content_is_not_printed()
    {
        Assert.Equal("Bytes, 6 bytes", KvValue.FromBytes("secret"u8).ToString());
        Assert.Equal("77, 1 bytes", new KvValue((byte[])[1], (KvEncoding)77).ToString());
    }

    [Theory]
    [InlineData(0, 2, "A value with encoding UInt64 has 8 bytes; this one has 0.")]
    [InlineData(7, 2, "A value with encoding UInt64 has 8 bytes; this one has 7.")]
    [InlineData(9, 2, "A value with encoding UInt64 has 8 bytes; this one has 9.")]
    [InlineData(1, 0, "The value encoding 0 is unknown")]
    [InlineData(1, 5, "The value encoding 5 is unknown")]
    [InlineData(8, -1, "The value encoding -1 is unknown")]
    [InlineData(8, int.MaxValue, "The value encoding 2147483647 is unknown")]
    public void A_value_that_Deno_could_not_read_is_not_made(int size, int encoding, string reason) =>
        Assert.StartsWith(reason, Assert.Throws<ArgumentException>(() => new KvValue(new byte[size].AsSpan(), (KvEncoding)encoding)).Message, StringComparison.Ordinal);
}
