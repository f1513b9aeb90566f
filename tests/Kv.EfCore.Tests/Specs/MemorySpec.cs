using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class MemorySpec(KvDatabase database)
{
    private const int Count = 200_000;
    private const int ValueSize = 400;

    [Fact]
    public async Task A_long_listing_keeps_no_more_than_a_batch()
    {
        await using var test = await database.CreateStoreAsync(options: static options =>
        {
            options.MaxMutations = Count;
            options.MaxTotalSize = int.MaxValue;
            options.MaxTotalKeySize = int.MaxValue;
            options.Durability = KvDurability.Relaxed;
        });
        var value = KvValue.FromBytes(new byte[ValueSize]);
        for (var first = 0; first < Count; first += 10_000)
        {
            var atomic = test.Store.Atomic();
            for (var i = first; i < first + 10_000; i++)
            {
                atomic.Set(["n", i], value);
            }

            await atomic.CommitAsync();
        }

        foreach (var snapshot in (bool[])[false, true])
        {
            long read = 0, least = long.MaxValue, most = 0;
            await foreach (var entry in test.Store.ListAsync(KvRange.Prefix(["n"]), new() { BatchSize = 1000, Snapshot = snapshot }))
            {
                read += entry.Value.Bytes.Length;
                if (read % (Count / 8 * ValueSize) == 0)
                {
                    var live = GC.GetTotalMemory(forceFullCollection: true);
                    (least, most) = (Math.Min(least, live), Math.Max(most, live));
                }
            }

            // A buffered listing would hold more than 80 MB at its end; the rest is what other tests hold meanwhile.
            Assert.Equal((long)Count * ValueSize, read);
            Assert.InRange(most - least, 0, Count * ValueSize / 2);
        }
    }
}

public sealed class SqliteMemoryTests(SqliteDatabase database) : MemorySpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresMemoryTests(PostgresDatabase database) : MemorySpec(database), IClassFixture<PostgresDatabase>;
