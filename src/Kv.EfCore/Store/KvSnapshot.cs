using System.Runtime.CompilerServices;
using Kv.Reads;

namespace Kv.Store;

/// <summary>Implements <see cref="IKvSnapshot"/> for a store or a scope of it.</summary>
/// <param name="store">What its keys are of.</param>
/// <param name="reader">What reads.</param>
/// <param name="snapshot">The transaction.</param>
internal sealed class KvSnapshot(KvStore store, StoreReader reader, ReadSnapshot snapshot) : IKvSnapshot
{
    public KvVersionstamp Versionstamp => KvVersionstamp.FromVersion(snapshot.Version);

    public async ValueTask<KvEntry?> GetAsync(KvKey key, CancellationToken cancellationToken = default) =>
        (await ReadAsync([key], cancellationToken).ConfigureAwait(false))[0];

    public async ValueTask<IReadOnlyList<KvEntry?>> GetManyAsync(
        IReadOnlyList<KvKey> keys, CancellationToken cancellationToken = default) =>
        await ReadAsync(store.CopyFew(keys), cancellationToken).ConfigureAwait(false);

    public IAsyncEnumerable<KvEntry> ListAsync(
        KvRange range, KvListOptions? options = null, CancellationToken cancellationToken = default) =>
        ListAsync(store.ListingOf(range, options, keysOnly: false), cancellationToken);

    public ValueTask<long> CountAsync(KvRange range, CancellationToken cancellationToken = default)
    {
        _ = store.ListingOf(range, null, keysOnly: true);
        return StoreReader.CountAsync(snapshot, store.Shown.In(range), cancellationToken);
    }

    public IKvIterator Iterate(KvRange range, bool reverse = false)
    {
        _ = store.ListingOf(range, null, keysOnly: true);
        return new SnapshotIterator(this, store.Shown.In(range), reverse);
    }

    public ValueTask DisposeAsync() => snapshot.DisposeAsync();

    /// <summary>The first entries of a range that is in the store's terms.</summary>
    public async ValueTask<List<KvEntry>> ReadAsync(ListRange range, CancellationToken cancellationToken) =>
        (await reader.ListAsync(snapshot, range, store.EntryOf, cancellationToken).ConfigureAwait(false)).Rows;

    /// <summary>A key of the caller's in the store's terms.</summary>
    public byte[] KeyOf(KvKey key) => store.ReadKeys([key])[0];

    /// <summary>A key that was read in the store's terms.</summary>
    public byte[] StoredKeyOf(KvEntry entry) => store.Shown.In(entry.Key);

    private async ValueTask<KvEntry?[]> ReadAsync(KvKey[] keys, CancellationToken cancellationToken)
    {
        var rows = await reader.GetManyAsync(snapshot, store.ReadKeys(keys), cancellationToken).ConfigureAwait(false);
        return store.Entries(keys, rows);
    }

    private async IAsyncEnumerable<KvEntry> ListAsync(Listing listing, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var batch in listing.ReadAsync(reader, snapshot, store.EntryOf, cancellationToken).ConfigureAwait(false))
        {
            foreach (var entry in batch)
            {
                yield return entry;
            }
        }
    }
}
