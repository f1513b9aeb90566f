namespace Kv.Tests.Codec;

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
        Assert.Equal("77, 1 bytes", new KvValue([1], (KvEncoding)77).ToString());
    }
}
