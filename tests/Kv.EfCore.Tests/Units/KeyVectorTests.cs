namespace Kv.Tests.Units;

public sealed class KeyVectorTests
{
    public static TheoryData<string> Names => [.. KeyVectors.All.Select(vector => vector.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_key_is_encoded_as_Deno_does(string name)
    {
        var (_, key, hex) = KeyVectors.All.Single(vector => vector.Name == name);

        Assert.Equal(hex, Convert.ToHexString(key.Encoded.Span));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_key_that_Deno_wrote_is_decoded(string name)
    {
        var (_, key, hex) = KeyVectors.All.Single(vector => vector.Name == name);

        var decoded = KvKey.FromEncoded(Convert.FromHexString(hex));

        Assert.Equal(key, decoded);
        Assert.Equal([.. key], [.. decoded]);
    }

    [Fact]
    public void Keys_sort_as_Deno_sorts_them()
    {
        var shuffled = KeyVectors.All.OrderBy(vector => vector.Name, StringComparer.Ordinal).ToArray();

        Assert.Equal(KeyVectors.All.Select(vector => vector.Name), shuffled.OrderBy(vector => vector.Key).Select(vector => vector.Name));
    }

    [Fact]
    public void Parts_sort_as_the_keys_made_of_them()
    {
        var parts = KeyVectors.All.Where(vector => vector.Key.Count == 1).Select(vector => vector.Key[0]).ToArray();

        for (var i = 1; i < parts.Length; i++)
        {
            Assert.True(parts[i - 1] < parts[i], $"{parts[i - 1]} and {parts[i]}");
        }
    }
}
