using Kv.Store;

namespace Kv;

/// <summary>One run of a block of <see cref="IKvStore.TransactAsync{T}"/>: what it reads is checked when it commits.</summary>
/// <remarks>
/// Reads see the store, not the writes of the run. Good until the block ends; later use is refused with an
/// <see cref="InvalidOperationException"/>. Not safe for concurrent use.
/// </remarks>
public sealed class KvTransaction
{
    private readonly KvStore _store;
    private readonly HashSet<KvKey> _read = [];

    internal KvTransaction(KvStore store)
    {
        _store = store;
        Writes = store.Lend(nameof(IKvStore.TransactAsync));
    }

    /// <summary>What the run writes; the store commits it when the block returns, and committing it in the block is refused.</summary>
    public KvAtomic Writes { get; }

    /// <summary>Reads an entry and remembers it as a check.</summary>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The entry, or null.</returns>
    public async ValueTask<KvEntry?> GetAsync(KvKey key, CancellationToken cancellationToken = default)
    {
        Writes.Require("The transaction cannot read");
        var entry = await _store.GetAsync(key, cancellationToken).ConfigureAwait(false);
        Remember(key, entry);
        return entry;
    }

    /// <summary>Reads a value and remembers it as a check.</summary>
    /// <typeparam name="T">What the value is read as.</typeparam>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The value, or the default of the type if the key is absent.</returns>
    public async ValueTask<T?> GetAsync<T>(KvKey key, CancellationToken cancellationToken = default) =>
        await GetAsync(key, cancellationToken).ConfigureAwait(false) is { } entry ? entry.As<T>() : default;

    /// <summary>Reads several entries of one snapshot and remembers each as a check.</summary>
    /// <param name="keys">The keys.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>One answer for each key, null where there is no entry.</returns>
    public async ValueTask<IReadOnlyList<KvEntry?>> GetManyAsync(IReadOnlyList<KvKey> keys, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(keys);
        Writes.Require("The transaction cannot read");
        KvKey[] asked = [.. keys];
        var entries = await _store.GetManyAsync(asked, cancellationToken).ConfigureAwait(false);
        for (var i = 0; i < asked.Length; i++)
        {
            Remember(asked[i], entries[i]);
        }

        return entries;
    }

    // The first read counts: if a later one saw something else, the check fails and the block runs again.
    private void Remember(KvKey key, KvEntry? entry)
    {
        if (_read.Add(key))
        {
            Writes.Check(key, entry?.Versionstamp);
        }
    }
}
