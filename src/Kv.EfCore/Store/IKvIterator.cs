namespace Kv;

/// <summary>A place in a range of an <see cref="IKvSnapshot"/>, which moves from entry to entry.</summary>
/// <remarks>Not safe for concurrent use. Errors are those of the snapshot's calls; where one is thrown, it stays where it was.</remarks>
public interface IKvIterator
{
    /// <summary>The entry at which it stands; null before the first move, and after the last entry.</summary>
    KvEntry? Current { get; }

    /// <summary>Moves to the next entry.</summary>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>False if there is none: then <see cref="Current"/> is null, and it stays there until it is told to seek.</returns>
    ValueTask<bool> MoveNextAsync(CancellationToken cancellationToken = default);

    /// <summary>Moves, forwards or back, to the first entry that does not come before a key.</summary>
    /// <param name="key">
    /// The key, which need not exist. In an iterator that goes in reverse it is the entry with that key or the next lower one. A key
    /// before the range leads to its first entry.
    /// </param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>False if there is none.</returns>
    ValueTask<bool> SeekAsync(KvKey key, CancellationToken cancellationToken = default);

    /// <summary>Moves to the last entry: that with the greatest key, or, in reverse, with the least.</summary>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>False if the range has none.</returns>
    ValueTask<bool> MoveLastAsync(CancellationToken cancellationToken = default);
}
