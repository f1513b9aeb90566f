namespace Kv.Tests.Units;

/// <summary>Byte keys that are made for tests.</summary>
public sealed class TestKeysTests
{
    [Fact]
    public void A_seed_names_its_keys()
    {
        Assert.Equal(Hex(KvTestKeys.Random(7, 200)), Hex(KvTestKeys.Random(7, 200)));
        Assert.NotEqual(Hex(KvTestKeys.Random(7, 200)), Hex(KvTestKeys.Random(8, 200)));
        Assert.All(KvTestKeys.Random(7, 200, longest: 4), static key => Assert.InRange(key.Length, 0, 4));
        Assert.Contains(KvTestKeys.Random(7, 200), static key => key is [0xFF, ..]);
        Assert.Contains(KvTestKeys.Random(7, 200), static key => key is []);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3000)]
    public void Ordered_keys_ascend_by_their_bytes_and_so_do_the_keys_that_they_are_parts_of(int count)
    {
        var keys = KvTestKeys.Ordered(3, count, longest: 2);

        Assert.Equal(count, keys.Count);
        for (var i = 1; i < keys.Count; i++)
        {
            Assert.True(keys[i - 1].AsSpan().SequenceCompareTo(keys[i]) < 0);
            Assert.True(KvKey.Create("a", keys[i - 1]).CompareTo(KvKey.Create("a", keys[i])) < 0);
        }
    }

    [Fact]
    public void Numbers_that_make_no_sense_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(static () => KvTestKeys.Random(1, -1));
        Assert.Throws<ArgumentOutOfRangeException>(static () => KvTestKeys.Ordered(1, 1, longest: 1));
    }

    private static string Hex(IEnumerable<byte[]> keys) => string.Join(' ', keys.Select(static key => Convert.ToHexString(key)));
}
