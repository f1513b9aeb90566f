using FsCheck;
using FsCheck.Fluent;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Listings of random keys against a sorted list of their bytes.</summary>
public abstract class ListModelSpec(KvDatabase database)
{
    private static readonly Gen<KvKeyPart> Known = Gen.Elements<KvKeyPart>(
        (byte[])[], (byte[])[0x00], (byte[])[0xFF], (byte[])[0x00, 0xFF], (byte[])[0xFF, 0x00], "", "\0", "a", "a\0b", "ab", "ÿ", -256, -1,
        0, 1, 255, 256, -0.0, 0.0, 1.5, false, true);

    private static readonly Gen<KvKeyPart> Bytes = Gen.Choose(0, 255).ArrayOf().Select(static bytes =>
        (KvKeyPart)Array.ConvertAll(bytes, static b => (byte)b));

    private static readonly Gen<KvKeyPart> Parts = Gen.Frequency((4, Known), (1, Bytes));

    private static readonly Gen<KvKey> Keys =
        Gen.Choose(1, 3).SelectMany(count => Parts.ArrayOf(count)).Select(parts => KvKey.Create(parts));

    private static readonly Gen<Step> Steps =
        from move in Gen.Elements(Move.Next, Move.Next, Move.Seek, Move.Last)
        from key in Keys
        from place in Gen.Choose(-1, 7)
        select new Step(move, key, place);

    private static readonly Arbitrary<Case> Cases = Arb.From(
        from keys in Keys.ArrayOf()
        from prefix in Gen.Choose(0, 1).SelectMany(count => Parts.ArrayOf(count))
        from left in Keys
        from right in Keys
        from start in Gen.Elements(Side.None, Side.Included, Side.Excluded)
        from end in Gen.Elements(Side.None, Side.Included, Side.Excluded)
        from limit in Gen.Choose(1, 12)
        from batch in Gen.Choose(1, 5)
        from steps in Steps.ArrayOf(12)
        select new Case(keys, KvKey.Create(prefix), left, right, start, end, limit, batch, steps),
        static c => Enumerable.Range(0, c.Keys.Length).Select(skipped => c with { Keys = [.. c.Keys.Where((_, i) => i != skipped)] }));

    private enum Side
    {
        None,
        Included,
        Excluded,
    }

    private enum Move
    {
        Next,
        Seek,
        Last,
    }

    [Fact]
    public async Task Every_listing_is_the_part_of_the_sorted_list_that_its_range_names()
    {
        await using var test = await database.CreateStoreAsync();

        await Task.Run(() => Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(40),
            Prop.ForAll(Cases, c => ListAsync(test.Store, c).GetAwaiter().GetResult())));
    }

    [Fact]
    public async Task An_iterator_stands_where_its_moves_through_the_sorted_list_lead()
    {
        await using var test = await database.CreateStoreAsync();

        await Task.Run(() => Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(40),
            Prop.ForAll(Cases, c => IterateAsync(test.Store, c).GetAwaiter().GetResult())));
    }

    private static async Task ListAsync(IKvStore store, Case c)
    {
        var sorted = await FillAsync(store, c);
        foreach (var (selector, start, end) in Selectors(c))
        {
            var range = Part(sorted, start, end).ConvertAll(Convert.ToHexString);
            Assert.Equal(range.Count, await store.CountAsync(selector));
            foreach (var reverse in (bool[])[false, true])
            {
                string[] expected = [.. reverse ? range.AsEnumerable().Reverse() : range];
                var options = new KvListOptions { Reverse = reverse, BatchSize = c.Batch };

                var entries = await store.ListAsync(selector, options with { Limit = c.Limit }).ToListAsync();
                Assert.Equal(expected.Take(c.Limit), entries.Select(static e => Hex(e.Key)));
                Assert.All(entries, static e => Assert.Equal(e.Key.ToString(), e.As<string>()));
                Assert.Equal(expected, await store.ListKeysAsync(selector, options).Select(Hex).ToListAsync());

                List<string> paged = [];
                KvPage page;
                do
                {
                    var cursor = paged.Count == 0 ? null : selector.CursorAt(KvKey.FromEncoded(Convert.FromHexString(paged[^1])));
                    page = await store.ListPageAsync(selector, options with { Limit = c.Limit, Cursor = cursor });
                    paged.AddRange(page.Entries.Select(static e => Hex(e.Key)));
                    Assert.Equal(paged.Count < expected.Length, page.Cursor is not null);
                }
                while (page.Cursor is not null);

                Assert.Equal(expected, paged);
            }
        }
    }

    private static async Task IterateAsync(IKvStore store, Case c)
    {
        var sorted = await FillAsync(store, c);
        await using var snapshot = await store.SnapshotAsync();
        foreach (var (selector, start, end) in Selectors(c))
        {
            foreach (var reverse in (bool[])[false, true])
            {
                var range = Part(sorted, start, end);
                if (reverse)
                {
                    range.Reverse();
                }

                var iterator = snapshot.Iterate(selector, reverse);
                var at = -1;
                foreach (var step in c.Steps)
                {
                    // Half of what is sought is there.
                    var sought = step.Place >= 0 && step.Place < range.Count ? KvKey.FromEncoded(range[step.Place]) : step.Key;
                    var moved = step.Move switch
                    {
                        Move.Next => iterator.MoveNextAsync(),
                        Move.Last => iterator.MoveLastAsync(),
                        _ => iterator.SeekAsync(sought),
                    };
                    at = step.Move switch
                    {
                        Move.Next => Math.Min(at + 1, range.Count),
                        Move.Last => range.Count - 1,
                        _ => range.FindIndex(key => Math.Sign(key.AsSpan().SequenceCompareTo(sought.Encoded.Span)) != (reverse ? 1 : -1)),
                    };
                    at = at < 0 ? range.Count : at;

                    Assert.Equal(at < range.Count, await moved);
                    var expected = at < range.Count ? Convert.ToHexString(range[at]) : null;
                    Assert.Equal(expected, iterator.Current is { } entry ? Hex(entry.Key) : null);
                }
            }
        }
    }

    private static async Task<List<byte[]>> FillAsync(IKvStore store, Case c)
    {
        var atomic = store.Atomic().DeleteRange(KvRange.All);
        foreach (var key in c.Keys)
        {
            atomic.Set(key, key.ToString());
        }

        await atomic.CommitAsync();
        List<byte[]> sorted = [.. c.Keys.Distinct().Select(static key => key.Encoded.ToArray())];
        sorted.Sort(static (left, right) => left.AsSpan().SequenceCompareTo(right));
        return sorted;
    }

    private static List<byte[]> Part(List<byte[]> sorted, byte[] start, byte[] end) =>
        sorted.FindAll(k => k.AsSpan().SequenceCompareTo(start) >= 0 && k.AsSpan().SequenceCompareTo(end) < 0);

    private static string Hex(KvKey key) => Convert.ToHexString(key.Encoded.Span);

    // The table of section 1.5 of the specification, and bounds of every kind.
    private static IEnumerable<(KvRange Selector, byte[] Start, byte[] End)> Selectors(Case c)
    {
        var prefix = c.Prefix.Encoded.ToArray();
        KvKey start = c.Prefix.Append([.. c.Left]);
        KvKey end = c.Prefix.Append([.. c.Right]);
        var (low, high) = Sorted(c.Left, c.Right);
        yield return (KvRange.Prefix(c.Prefix), [.. prefix, 0x00], [.. prefix, 0xFF]);
        yield return (KvRange.Prefix(c.Prefix, start, null), start.Encoded.ToArray(), [.. prefix, 0xFF]);
        yield return (KvRange.Prefix(c.Prefix, null, end), [.. prefix, 0x00], end.Encoded.ToArray());
        yield return (KvRange.Between(low, high), low.Encoded.ToArray(), high.Encoded.ToArray());

        var (first, last) = (First(low, c.Start), After(high, c.End));
        yield return (KvRange.Between(Bound(low, c.Start), Bound(high, c.End)), first ?? [0x00], last ?? [0xFF]);
        (low, high) = Sorted(start, end);
        (first, last) = (First(low, c.Start), After(high, c.End));
        yield return (
            KvRange.Prefix(c.Prefix, Bound(low, c.Start), Bound(high, c.End)), first ?? [.. prefix, 0x00], last ?? [.. prefix, 0xFF]);

        static (KvKey Low, KvKey High) Sorted(KvKey left, KvKey right) => left <= right ? (left, right) : (right, left);

        static KvBound Bound(KvKey key, Side side) => side switch
        {
            Side.None => KvBound.None,
            Side.Included => KvBound.Including(key),
            _ => KvBound.Excluding(key),
        };

        static byte[]? First(KvKey key, Side side) => side switch
        {
            Side.None => null,
            Side.Included => key.Encoded.ToArray(),
            _ => [.. key.Encoded.Span, 0x00],
        };

        static byte[]? After(KvKey key, Side side) => side switch
        {
            Side.None => null,
            Side.Included => [.. key.Encoded.Span, 0x00],
            _ => key.Encoded.ToArray(),
        };
    }

    private sealed record Step(Move Move, KvKey Key, int Place);

    private sealed record Case(
        KvKey[] Keys, KvKey Prefix, KvKey Left, KvKey Right, Side Start, Side End, int Limit, int Batch, Step[] Steps);
}

public sealed class SqliteListModelTests(SqliteDatabase database) : ListModelSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresListModelTests(PostgresDatabase database) : ListModelSpec(database), IClassFixture<PostgresDatabase>;
