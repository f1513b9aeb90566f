using Kv.Reads;

namespace Kv.Store;

/// <summary>Implements <see cref="IKvIterator"/>: reads ahead in the direction in which it goes.</summary>
/// <param name="snapshot">What it reads.</param>
/// <param name="range">The range, in the store's terms.</param>
/// <param name="reverse">Whether it goes from the last key to the first.</param>
internal sealed class SnapshotIterator(KvSnapshot snapshot, KvRange range, bool reverse) : IKvIterator
{
    private readonly ListRange _all = new(range.Start, range.End, reverse, KvLimits.DefaultBatchSize, KeysOnly: false);
    private List<KvEntry> _ahead = [];
    private int _at;

    // What is to be read after those ahead; null for nothing.
    private ListRange? _rest = new(range.Start, range.End, reverse, KvLimits.DefaultBatchSize, KeysOnly: false);

    public KvEntry? Current { get; private set; }

    public async ValueTask<bool> MoveNextAsync(CancellationToken cancellationToken = default)
    {
        if (_at == _ahead.Count && _rest is { } rest)
        {
            await FillAsync(rest, cancellationToken).ConfigureAwait(false);
        }

        Current = _at < _ahead.Count ? _ahead[_at++] : null;
        return Current is not null;
    }

    public async ValueTask<bool> SeekAsync(KvKey key, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        var bytes = snapshot.KeyOf(key);
        var from = reverse
            ? bytes.AsSpan().SequenceCompareTo(_all.End) < 0 ? _all with { End = [.. bytes, 0x00] } : _all
            : bytes.AsSpan().SequenceCompareTo(_all.Start) > 0 ? _all with { Start = bytes } : _all;
        await FillAsync(from, cancellationToken).ConfigureAwait(false);
        return await MoveNextAsync(cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<bool> MoveLastAsync(CancellationToken cancellationToken = default)
    {
        var last = await snapshot.ReadAsync(_all with { Reverse = !reverse, Limit = 1 }, cancellationToken).ConfigureAwait(false);
        (_ahead, _at, _rest) = (last, 0, null);
        return await MoveNextAsync(cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask FillAsync(ListRange from, CancellationToken cancellationToken)
    {
        var read = await snapshot.ReadAsync(from, cancellationToken).ConfigureAwait(false);
        (_ahead, _at) = (read, 0);
        _rest = read.Count < from.Limit ? null : from.After(snapshot.StoredKeyOf(read[^1]));
    }
}
