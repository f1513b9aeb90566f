namespace Kv;

/// <summary>
/// The store as it was at one version: gets, listings of any ranges and counts that belong together, whatever is written meanwhile.
/// </summary>
/// <remarks>
/// Safe for concurrent use; calls take turns, since they share one transaction that reads. It takes no lock that writers wait for, but the
/// database keeps for it what was overwritten since, on SQLite the whole log: so it ends after
/// <see cref="KvStoreOptions.SnapshotTimeout"/>, and with the connection that it has. A call on one that has ended is refused; take
/// another one, and begin anew.
/// </remarks>
public interface IKvSnapshot : IAsyncDisposable
{
    /// <summary>The last commit that it shows.</summary>
    KvVersionstamp Versionstamp { get; }

    /// <summary>The entry of a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Stops waiting. A call that is stopped while the database works ends the snapshot.</param>
    /// <returns>The entry; null if there is none.</returns>
    /// <exception cref="KvException">
    /// The snapshot has ended (<see cref="KvErrorKind.NotFound"/>), or the database failed, which ends it.
    /// </exception>
    /// <exception cref="ObjectDisposedException">It was disposed of.</exception>
    ValueTask<KvEntry?> GetAsync(KvKey key, CancellationToken cancellationToken = default);

    /// <summary>The entries of several keys.</summary>
    /// <param name="keys">The keys, at most <see cref="KvStoreOptions.MaxReadRanges"/>.</param>
    /// <param name="cancellationToken">Stops waiting. A call that is stopped while the database works ends the snapshot.</param>
    /// <returns>An entry or null for each key, in their order.</returns>
    /// <inheritdoc cref="GetAsync" path="/exception" />
    ValueTask<IReadOnlyList<KvEntry?>> GetManyAsync(IReadOnlyList<KvKey> keys, CancellationToken cancellationToken = default);

    /// <summary>Lists a range. Other calls may be made while it goes on.</summary>
    /// <param name="range">The range.</param>
    /// <param name="options">Order, limit, cursor, batches.</param>
    /// <param name="cancellationToken">Stops the listing. One that is stopped while the database works ends the snapshot.</param>
    /// <inheritdoc cref="GetAsync" path="/exception" />
    IAsyncEnumerable<KvEntry> ListAsync(KvRange range, KvListOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>How many entries a range has.</summary>
    /// <param name="range">The range.</param>
    /// <param name="cancellationToken">Stops waiting. A call that is stopped while the database works ends the snapshot.</param>
    /// <inheritdoc cref="GetAsync" path="/exception" />
    ValueTask<long> CountAsync(KvRange range, CancellationToken cancellationToken = default);

    /// <summary>Goes through a range entry by entry, back and forth.</summary>
    /// <param name="range">The range.</param>
    /// <param name="reverse">Whether it goes from the last key to the first.</param>
    /// <returns>An iterator that stands before the first entry. It ends with the snapshot.</returns>
    IKvIterator Iterate(KvRange range, bool reverse = false);
}
