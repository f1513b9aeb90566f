using FsCheck;
using FsCheck.Fluent;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Listings of random keys against a sorted list of their bytes.</summary>
public abstract class ListModelSpec(KvDatabase database)
{
    private static readonly Gen<KvKeyPart> Parts = Gen.Elements<KvKeyPart>(
        (byte[])[], (byte[])[0x00], (byte[])[0xFF], (byte[])[0x00, 0xFF], (byte[])[0xFF, 0x00], "", "\0", "a", "a\0b", "ab", "ÿ", -256, -1, 0, 1, 255, 256, -0.0, 0.0, 1.5, false, true);

    private static readonly Gen<KvKey> Keys = Gen.Choose(1, 3).SelectMany(count => Parts.ArrayOf(count)).Select(parts => KvKey.Create(parts));

    private static readonly Arbitrary<Case> Cases = Arb.From(
        from keys in Keys.ArrayOf()
        from prefix in Gen.Choose(0, 1).SelectMany(count => Parts.ArrayOf(count))
        from left in Keys
        from right in Keys
        from limit in Gen.Choose(1, 12)
        from batch in Gen.Choose(1, 5)
        select new Case(keys, KvKey.Create(prefix), left, right, limit, batch),
        static c => Enumerable.Range(0, c.Keys.Length).Select(skipped => c with { Keys = [.. c.Keys.Where((_, i) => i != skipped)] }));

    [Fact]
    public async Task Every_listing_is_the_part_of_the_sorted_list_that_its_range_names()
    {
        await using var test = await database.CreateStoreAsync();

        await Task.Run(() => Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(40),
            Prop.ForAll(Cases, c => RunAsync(test.Store, c).GetAwaiter().GetResult())));
    }

    private static async Task RunAsync(IKvStore store, Case c)
    {
        var atomic = store.Atomic().DeleteRange(KvRange.Prefix([]));
        foreach (var key in c.Keys)
        {
            atomic.Set(key, key.ToString());
        }

        await atomic.CommitAsync();
        var sorted = c.Keys.Select(static key => key.Encoded.ToArray()).ToList();
        sorted.Sort(static (left, right) => left.AsSpan().SequenceCompareTo(right));
        foreach (var (selector, start, end) in Selectors(c))
        {
            string[] range = [.. sorted.Where(k => k.AsSpan().SequenceCompareTo(start) >= 0 && k.AsSpan().SequenceCompareTo(end) < 0).Select(Convert.ToHexString).Distinct()];
            Assert.Equal(range.Length, await store.CountAsync(selector));
            foreach (var reverse in (bool[])[false, true])
            {
                string[] expected = reverse ? [.. range.Reverse()] : range;
                var options = new KvListOptions { Reverse = reverse, BatchSize = c.Batch };

                var entries = await store.ListAsync(selector, options with { Limit = c.Limit }).ToListAsync();
                Assert.Equal(expected.Take(c.Limit), entries.Select(static e => Convert.ToHexString(e.Key.Encoded.Span)));
                Assert.All(entries, static e => Assert.Equal(e.Key.ToString(), e.As<string>()));
                Assert.Equal(expected, await store.ListKeysAsync(selector, options).Select(static k => Convert.ToHexString(k.Encoded.Span)).ToListAsync());

                List<string> paged = [];
                KvPage page;
                do
                {
                    page = await store.ListPageAsync(selector, options with { Limit = c.Limit, Cursor = paged.Count == 0 ? null : selector.CursorAt(KvKey.FromEncoded(Convert.FromHexString(paged[^1]))) });
                    paged.AddRange(page.Entries.Select(static e => Convert.ToHexString(e.Key.Encoded.Span)));
                    Assert.Equal(paged.Count < expected.Length, page.Cursor is not null);
                }
                while (page.Cursor is not null);

                Assert.Equal(expected, paged);
            }
        }
    }

    // The table of section 1.5 of the specification.
    private static IEnumerable<(KvRange Selector, byte[] Start, byte[] End)> Selectors(Case c)
    {
        var prefix = c.Prefix.Encoded.ToArray();
        KvKey start = c.Prefix.Append([.. c.Left]);
        KvKey end = c.Prefix.Append([.. c.Right]);
        var (low, high) = c.Left.Encoded.Span.SequenceCompareTo(c.Right.Encoded.Span) <= 0 ? (c.Left, c.Right) : (c.Right, c.Left);
        yield return (KvRange.Prefix(c.Prefix), [.. prefix, 0x00], [.. prefix, 0xFF]);
        yield return (KvRange.Prefix(c.Prefix, start, null), start.Encoded.ToArray(), [.. prefix, 0xFF]);
        yield return (KvRange.Prefix(c.Prefix, null, end), [.. prefix, 0x00], end.Encoded.ToArray());
        yield return (KvRange.Between(low, high), low.Encoded.ToArray(), high.Encoded.ToArray());
    }

    private sealed record Case(KvKey[] Keys, KvKey Prefix, KvKey Left, KvKey Right, int Limit, int Batch);
}

public sealed class SqliteListModelTests(SqliteDatabase database) : ListModelSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresListModelTests(PostgresDatabase database) : ListModelSpec(database), IClassFixture<PostgresDatabase>;
