using FsCheck;
using FsCheck.Fluent;
using Kv.Keys;

namespace Kv.Tests.Units;

public sealed class CursorTests
{
    public static TheoryData<KvRange, KvKey, string> Vectors => new()
    {
        { KvRange.Prefix(["a"]), ["a", "b"], "AmIA" },
        { KvRange.Prefix(["a"]), ["a", "d"], "AmQA" },
        { KvRange.Between(["a", "a"], ["a", "z"]), ["a", "a"], "YQA=" },
        { KvRange.Between(["a", "a"], ["b"]), ["a", "a"], "YQACYQA=" },
    };

    [Theory]
    [MemberData(nameof(Vectors), DisableDiscoveryEnumeration = true)]
    public void A_cursor_is_that_of_Deno(KvRange selector, KvKey key, string cursor) => Assert.Equal(cursor, selector.CursorAt(key));

    [Theory]
    [MemberData(nameof(Vectors), DisableDiscoveryEnumeration = true)]
    public void A_listing_resumes_behind_the_entry_of_the_cursor(KvRange selector, KvKey key, string cursor)
    {
        var forward = selector.Resume(cursor, reverse: false);
        var reverse = selector.Resume(cursor, reverse: true);

        Assert.Equal([.. key.Bytes, 0x00], forward.Start);
        Assert.Equal(selector.End, forward.End);
        Assert.Equal(selector.Start, reverse.Start);
        Assert.Equal(key.Bytes, reverse.End);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    public void Without_a_cursor_a_listing_is_whole(string? cursor)
    {
        var selector = KvRange.Prefix(["a"]);

        Assert.Equal((selector.Start, selector.End), selector.Resume(cursor, reverse: false));
        Assert.Equal((selector.Start, selector.End), selector.Resume(cursor, reverse: true));
    }

    [Theory]
    [InlineData("AmI")]
    [InlineData(".")]
    [InlineData("+/")]
    [InlineData("+/+/")]
    [InlineData("AmIA ")]
    [InlineData("Am IA")]
    [InlineData("YQA")]
    [InlineData("YQB=")]
    [InlineData("YQA==")]
    [InlineData("=")]
    [InlineData("====")]
    [InlineData("é€😀a")]
    [InlineData("AmIA.")]
    [InlineData("AmIA.AAAA")]
    [InlineData("AmIA.AAAAAAA=")]
    [InlineData("AmIA.AAAA AAA")]
    [InlineData("AmIA.AAAAAAAA.AAAAAAAA")]
    [InlineData(".AAAAAAAA")]
    [InlineData("AmI.AAAAAAAA")]
    public void Text_that_is_not_padded_base64url_is_no_cursor(string cursor)
    {
        var error = Assert.Throws<ArgumentException>(() => KvRange.Prefix(["a"]).Resume(cursor, reverse: false));

        Assert.StartsWith($"invalid cursor: '{cursor}' is not padded base64url.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cursor_before_the_start_or_behind_the_end_is_refused()
    {
        var early = KvRange.Prefix(["a"]).CursorAt(["a", "b"]);
        var late = KvRange.Prefix(["a"]).CursorAt(["a", "y"]);

        var belowStart = Assert.Throws<ArgumentException>(() => KvRange.Prefix(["a"], ["a", "m"], null).Resume(early, reverse: false));
        var aboveEnd = Assert.Throws<ArgumentException>(() => KvRange.Prefix(["a"], null, ["a", "m"]).Resume(late, reverse: true));

        Assert.StartsWith(
            "cursor out of bounds: 'AmIA' names an entry outside of prefix [\"a\"], start [\"a\", \"m\"].",
            belowStart.Message,
            StringComparison.Ordinal);
        Assert.StartsWith("cursor out of bounds", aboveEnd.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_cursor_that_names_no_entry_of_the_range_is_refused_in_either_direction(bool reverse)
    {
        var all = KvRange.Prefix(["a"]);
        foreach (var (selector, cursor) in ((KvRange, string)[])[
            (KvRange.Prefix(["a"], null, ["a", "m"]), all.CursorAt(["a", "y"])), (KvRange.Prefix(["a"], null, ["a", "m"]), all.CursorAt(
                ["a", "m"])),
            (KvRange.Prefix(["a"], ["a", "m"], null), all.CursorAt(["a", "b"])), (all, "_____w==")])
        {
            Assert.StartsWith("cursor out of bounds", Assert.Throws<ArgumentException>(() => selector.Resume(cursor, reverse)).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_cursor_of_a_page_is_good_for_its_range_in_either_direction_and_for_no_other(bool reverse)
    {
        KvRange[] selectors =
        [
            KvRange.Prefix([]), KvRange.Prefix(["pg"]), KvRange.Prefix(["pq"]), KvRange.Prefix(["pg"], ["pg", 1], null), KvRange.Prefix(
                ["pg"], null, ["pg", 9]),
            KvRange.Between(["pg"], ["pq"]), KvRange.Between(["pg", 1], ["pg", 9]), KvRange.Between(["a"], ["z"]), KvRange.Between(
                ["pg", 0], ["pz"]),
        ];
        foreach (var of in selectors)
        {
            KvKey key = of.ToString() == "prefix [\"pq\"]" ? ["pq", 5] : ["pg", 5];
            var cursor = of.PageCursorAt(key);

            Assert.Equal(of.Resume(of.CursorAt(key), reverse).Start, of.Resume(cursor, reverse).Start);
            Assert.Equal(of.Resume(of.CursorAt(key), reverse).End, of.Resume(cursor, reverse).End);
            foreach (var other in selectors.Where(other => other != of))
            {
                Assert.StartsWith(
                    $"cursor of another range: '{cursor}' was not given by a page of {other}",
                    Assert.Throws<ArgumentException>(() => other.Resume(cursor, reverse)).Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void The_cursor_of_an_entry_that_all_others_begin_with_resumes_after_it_and_does_not_begin_anew()
    {
        KvKey first = [Array.Empty<byte>()];
        var range = KvRange.Between(first, [new byte[] { 0 }]);

        foreach (var cursor in new[] { range.CursorAt(first), range.PageCursorAt(first) })
        {
            Assert.Equal("010000", Convert.ToHexString(range.Resume(cursor, reverse: false).Start));
            Assert.Equal("0100", Convert.ToHexString(range.Resume(cursor, reverse: true).End));
            Assert.Throws<ArgumentException>(() => KvRange.Prefix([]).Resume(cursor, reverse: false));
        }
    }

    [Fact]
    public void The_cursor_of_a_page_is_the_same_in_every_version() =>
        Assert.Equal("AmIA.-OgxMdPj", KvRange.Prefix(["a"]).PageCursorAt(["a", "b"]));

    [Fact]
    public void A_cursor_is_given_for_selected_keys_only()
    {
        var error = Assert.Throws<ArgumentException>(() => KvRange.Prefix(["a"]).CursorAt(["b", 1]));

        Assert.StartsWith("The key [\"b\", 1] is not in prefix [\"a\"].", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => KvRange.Prefix(["a"]).CursorAt(["a"]));
        Assert.Throws<ArgumentException>(() => KvRange.Between(["a"], ["b"]).CursorAt(["b"]));
    }

    [Fact]
    public void No_cursor_leads_out_of_the_selector() =>
        Check.One(KeyGenerators.Config, Prop.ForAll(KeyGenerators.Encoded, bytes =>
            StaysInside(KvRange.Prefix(["a"]), Cursor.Encode(bytes), reverse: false)
            && StaysInside(KvRange.Prefix(["a"]), Cursor.Encode(bytes), reverse: true)
            && StaysInside(KvRange.Between(["a"], ["b"]), Cursor.Encode(bytes), reverse: false)
            && StaysInside(KvRange.Between(["a"], ["b"]), Cursor.Encode(bytes), reverse: true)));

    [Fact]
    public void Pages_that_follow_the_cursor_show_every_entry_once() =>
        Check.One(KeyGenerators.Config.WithMaxTest(300), Prop.ForAll(
            KeyGenerators.Keys.Generator.ArrayOf(12).ToArbitrary(),
            keys =>
            {
                var sorted = keys.Select(key => KvKey.Create(["p", .. key])).Where(key => key.Count > 1).Distinct().Order().ToArray();
                var selector = KvRange.Prefix(["p"]);
                return Walk(sorted, selector, reverse: false).SequenceEqual(sorted)
                    && Walk(sorted, selector, reverse: true).SequenceEqual(sorted.Reverse());
            }));

    private static bool StaysInside(KvRange selector, string cursor, bool reverse)
    {
        try
        {
            var (start, end) = selector.Resume(cursor, reverse);
            return start.AsSpan().SequenceCompareTo(selector.Start) >= 0 && end.AsSpan().SequenceCompareTo(selector.End) <= 0;
        }
        catch (ArgumentException error)
        {
            return error.Message.StartsWith("cursor out of bounds", StringComparison.Ordinal);
        }
    }

    private static IEnumerable<KvKey> Walk(KvKey[] sorted, KvRange selector, bool reverse)
    {
        string? cursor = null;
        while (true)
        {
            var (start, end) = selector.Resume(cursor, reverse);
            var left = sorted.Where(key =>
                key.Bytes.AsSpan().SequenceCompareTo(start) >= 0 && key.Bytes.AsSpan().SequenceCompareTo(end) < 0);
            var page = (reverse ? left.Reverse() : left).Take(2).ToArray();
            foreach (var key in page)
            {
                yield return key;
            }

            if (page.Length == 0)
            {
                yield break;
            }

            cursor = selector.CursorAt(page[^1]);
        }
    }
}
