using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Reads;

namespace Kv.Store;

/// <summary>A listing with its options looked through: what to read, batch by batch.</summary>
internal sealed class Listing
{
    private readonly ListRange _first;
    private readonly int _limit;
    private readonly bool _snapshot;
    private readonly KvRange _selector;
    private readonly IFaults? _faults;

    public Listing(KvRange selector, KvListOptions? options, KvStoreOptions store, bool keysOnly, IFaults? faults = null)
    {
        _faults = faults;
        ArgumentNullException.ThrowIfNull(selector);
        options ??= new KvListOptions();
        if (options.Limit is <= 0)
        {
            throw new ArgumentException(
                $"Limit must be a positive integer: received {options.Limit}. Leave it out to list everything.", nameof(options));
        }

        if (options.BatchSize is <= 0)
        {
            throw new ArgumentException(
                $"batchSize must be a positive integer: received {options.BatchSize}. Leave it out for the default.", nameof(options));
        }

        if (options.BatchSize > store.MaxReadEntries)
        {
            throw new ArgumentException(
                $"Too many entries (max {store.MaxReadEntries}): the batch size is {options.BatchSize}. A listing may have any length; "
                + "only its batches are bounded. Lower it, or raise KvStoreOptions.MaxReadEntries.",
                nameof(options));
        }

        Consistency = Freshness.Of(options.Consistency, nameof(options));
        _selector = selector;
        _limit = options.Limit ?? int.MaxValue;
        _snapshot = options.Snapshot;
        var batch = options.BatchSize ?? Math.Min(
            Math.Min(options.Limit ?? KvLimits.DefaultBatchSize, KvLimits.MaxDefaultBatchSize), store.MaxReadEntries);
        var (start, end) = selector.Resume(options.Cursor, options.Reverse);

        // A listing finds versionstamped keys, which are longer than any key that can be asked for, and its cursor may name one.
        var most = KvLimits.MaxReadKeySize + (string.IsNullOrEmpty(options.Cursor) ? 0 : CommitEvaluator.VersionstampSize);
        if (start.Length > most || end.Length > most)
        {
            throw new ArgumentException(
                $"Key too large for read (max {most} bytes): a bound of the range takes {Math.Max(start.Length, end.Length)} bytes. "
                + "Shorten its parts.",
                nameof(selector));
        }

        _first = new ListRange(start, end, options.Reverse, Math.Min(batch, _limit), keysOnly);
    }

    /// <summary>How fresh its batches have to be.</summary>
    public KvConsistency Consistency { get; }

    /// <param name="reader">Where it reads.</param>
    /// <param name="read">What becomes of a row, called while the database still sends the next ones.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public IAsyncEnumerable<List<T>> ReadAsync<T>(StoreReader reader, Func<Row, T> read, CancellationToken cancellationToken) =>
        CutAsync(_snapshot ? reader.ListSnapshotAsync(_first, read, CursorAt, cancellationToken) : ReadBatchesAsync(
            range => reader.ListAsync(range, read, cancellationToken)));

    /// <inheritdoc cref="ReadAsync{T}(StoreReader, Func{Row, T}, CancellationToken)" />
    /// <param name="reader">What reads.</param>
    /// <param name="snapshot">What it reads of.</param>
    /// <param name="read">What becomes of a row, called while the database still sends the next ones.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public IAsyncEnumerable<List<T>> ReadAsync<T>(
        StoreReader reader, ReadSnapshot snapshot, Func<Row, T> read, CancellationToken cancellationToken) =>
        CutAsync(ReadBatchesAsync(range => reader.ListAsync(snapshot, range, read, cancellationToken)));

    private async IAsyncEnumerable<List<T>> ReadBatchesAsync<T>(Func<ListRange, ValueTask<(List<T> Rows, byte[]? Last)>> list)
    {
        var range = _first;
        byte[]? last = null;
        while (true)
        {
            List<T> rows;
            try
            {
                (rows, last) = await list(range).ConfigureAwait(false);
            }
            catch (KvException error) when (last is not null)
            {
                throw DatabaseErrors.At(error, CursorAt(last));
            }

            yield return rows;
            if (last is null)
            {
                break;
            }

            range = range.After(last);
        }
    }

    private string CursorAt(byte[] key) => _selector.CursorAt(KvKey.FromStored(key));

    private async IAsyncEnumerable<List<T>> CutAsync<T>(IAsyncEnumerable<List<T>> batches)
    {
        var left = _limit;
        var failsAfter = _faults?.ListingFailsAfter();
        await foreach (var batch in batches.ConfigureAwait(false))
        {
            if (failsAfter <= batch.Count)
            {
                yield return batch[..failsAfter.Value];
                throw _faults!.ListingFailed();
            }

            failsAfter -= batch.Count;
            if (batch.Count > left)
            {
                batch.RemoveRange(left, batch.Count - left);
            }

            left -= batch.Count;
            yield return batch;
            if (left == 0)
            {
                break;
            }
        }
    }
}
