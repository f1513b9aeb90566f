namespace Kv.Tests.Units;

public sealed class SelectorTests
{
    private static readonly KvKey[] Sorted =
    [
        ["a"], ["a", "a"], ["a", "b"], ["a", "b", 1], ["a", "c"], ["a", 1], ["a", true], ["a\0b"], ["ab"], ["b"], ["b", "a"], [1], [1.0],
    ];

    public static TheoryData<KvRange, string, string> Bounds => new()
    {
        { KvRange.Prefix(["a"]), "02610000", "026100FF" },
        { KvRange.Prefix([]), "00", "FF" },
        { KvRange.Prefix(["a"], ["a", "b"], null), "026100026200", "026100FF" },
        { KvRange.Prefix(["a"], null, ["a", "b"]), "02610000", "026100026200" },
        { KvRange.Prefix(["a"], null, null), "02610000", "026100FF" },
        { KvRange.Between(["a"], ["b"]), "026100", "026200" },
        { KvRange.Between(["a"], ["a"]), "026100", "026100" },
        { KvRange.Between([], [1]), "", "1501" },
    };

    [Theory]
    [MemberData(nameof(Bounds), DisableDiscoveryEnumeration = true)]
    public void A_selector_is_the_byte_range_of_Deno(KvRange selector, string start, string end)
    {
        Assert.Equal(start, Convert.ToHexString(selector.Start));
        Assert.Equal(end, Convert.ToHexString(selector.End));
    }

    [Fact]
    public void A_prefix_selects_whole_parts_and_not_itself() =>
        Assert.Equal([["a", "a"], ["a", "b"], ["a", "b", 1], ["a", "c"], ["a", 1], ["a", true]], Select(KvRange.Prefix(["a"])));

    [Fact]
    public void The_empty_prefix_selects_everything() => Assert.Equal(Sorted, Select(KvRange.Prefix([])));

    [Fact]
    public void A_start_is_included_and_an_end_is_not()
    {
        Assert.Equal([["a", "c"], ["a", 1], ["a", true]], Select(KvRange.Prefix(["a"], ["a", "c"], null)));
        Assert.Equal([["a", "a"], ["a", "b"], ["a", "b", 1]], Select(KvRange.Prefix(["a"], null, ["a", "c"])));
        Assert.Equal([["ab"], ["b"], ["b", "a"]], Select(KvRange.Between(["ab"], [1])));
    }

    [Fact]
    public void A_bound_need_not_exist() =>
        Assert.Equal([["a", "c"]], Select(KvRange.Between(["a", "bb"], ["a", "d"])));

    [Fact]
    public void Start_and_end_under_a_prefix_are_refused()
    {
        var error = Assert.Throws<ArgumentException>(() => KvRange.Prefix(["a"], ["a", "b"], ["a", "c"]));

        Assert.StartsWith(
            "Selector can not specify both 'start' and 'end' key when specifying 'prefix'. Start [\"a\", \"b\"] and end [\"a\", \"c\"]",
            error.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_selector_without_prefix_needs_start_and_end()
    {
        var withoutStart = Assert.Throws<ArgumentNullException>(() => KvRange.Between(null!, ["a"]));
        var withoutEnd = Assert.Throws<ArgumentNullException>(() => KvRange.Between(["a"], null!));

        Assert.StartsWith(
            "Selector must specify either 'prefix' or both 'start' and 'end' key", withoutStart.Message, StringComparison.Ordinal);
        Assert.Equal("start", withoutStart.ParamName);
        Assert.Equal("end", withoutEnd.ParamName);
        Assert.Throws<ArgumentNullException>(() => KvRange.Prefix(null!));
    }

    [Theory]
    [InlineData("""["a"]""")]
    [InlineData("""["b"]""")]
    [InlineData("""["ab", 1]""")]
    [InlineData("""["a\u0000b"]""")]
    [InlineData("[]")]
    [InlineData("[1]")]
    public void A_start_or_end_outside_of_the_prefix_is_refused(string text)
    {
        var key = KvKey.Parse(text);

        var start = Assert.Throws<ArgumentException>(() => KvRange.Prefix(["a"], key, null));
        var end = Assert.Throws<ArgumentException>(() => KvRange.Prefix(["a"], null, key));

        var rule = $"key is not in the keyspace defined by prefix: {key} does not continue [\"a\"].";
        Assert.StartsWith($"Start {rule}", start.Message, StringComparison.Ordinal);
        Assert.StartsWith($"End {rule}", end.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_start_after_the_end_is_refused()
    {
        var error = Assert.Throws<ArgumentException>(() => KvRange.Between(["b"], ["a"]));

        Assert.StartsWith("Start key is greater than end key: [\"b\"] sorts after [\"a\"].", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bounds_are_held_to_the_same_rules()
    {
        var (low, high) = (KvBound.Including(["a"]), KvBound.Excluding(["b"]));

        var reversed = Assert.Throws<ArgumentException>(() => KvRange.Between(high, low));
        var start = Assert.Throws<ArgumentException>(() => KvRange.Prefix(["a"], high, KvBound.None));
        var end = Assert.Throws<ArgumentException>(() => KvRange.Prefix(["a"], KvBound.None, high));

        Assert.StartsWith("Start key is greater than end key: [\"b\"] sorts after [\"a\"].", reversed.Message, StringComparison.Ordinal);
        Assert.StartsWith("Start key is not in the keyspace defined by prefix: [\"b\"]", start.Message, StringComparison.Ordinal);
        Assert.StartsWith("End key is not in the keyspace defined by prefix: [\"b\"]", end.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>(() => KvBound.Including(null!));
        Assert.Throws<ArgumentNullException>(() => KvBound.Excluding(null!));
        Assert.Equal(KvBound.Including(["a"]), low);
        Assert.NotEqual(KvBound.Excluding(["a"]), low);
        Assert.Equal(default, KvBound.None);
    }

    [Fact]
    public void A_range_between_one_key_has_that_key_only_where_both_bounds_include_it()
    {
        KvKey key = Sorted[3];
        KvBound[] bounds = [KvBound.Including(key), KvBound.Excluding(key)];

        Assert.Equal([1, 0, 0, 0], from start in bounds from end in bounds select Select(KvRange.Between(start, end)).Length);
    }

    [Fact]
    public void A_range_from_a_key_to_itself_is_empty() => Assert.Empty(Select(KvRange.Between(["a"], ["a"])));

    [Fact]
    public void A_selector_says_what_it_selects()
    {
        Assert.Equal("prefix [\"a\"]", KvRange.Prefix(["a"]).ToString());
        Assert.Equal("prefix [\"a\"], start [\"a\", 1]", KvRange.Prefix(["a"], ["a", 1], null).ToString());
        Assert.Equal("prefix [\"a\"], end [\"a\", 1]", KvRange.Prefix(["a"], null, ["a", 1]).ToString());
        Assert.Equal("start [\"a\"], end [\"b\"]", KvRange.Between(["a"], ["b"]).ToString());
        Assert.Equal(
            "start [\"a\"] excluded, end [\"b\"] included",
            KvRange.Between(KvBound.Excluding(["a"]), KvBound.Including(["b"])).ToString());
        Assert.Equal("all keys", KvRange.Between(KvBound.None, KvBound.None).ToString());
    }

    private static KvKey[] Select(KvRange selector) => [.. Sorted.Where(key =>
        key.Bytes.AsSpan().SequenceCompareTo(selector.Start) >= 0 && key.Bytes.AsSpan().SequenceCompareTo(selector.End) < 0)];
}
