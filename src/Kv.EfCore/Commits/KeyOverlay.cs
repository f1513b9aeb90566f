using Kv.Keys;

namespace Kv.Commits;

/// <summary>
/// The keys as they are after the writes so far, over the rows that were read under the lock. What a write does counts once it is
/// merged.
/// </summary>
/// <param name="reads">The rows.</param>
/// <param name="effects">What the commit group changes in all.</param>
internal sealed class KeyOverlay(CommitReads reads, CommitEffects effects)
{
    private readonly Dictionary<byte[], KeyCell> _cells = new(KeyComparer.Instance);
    private readonly Dictionary<byte[], KeyCell> _pending = new(KeyComparer.Instance);
    private readonly List<(byte[] Start, byte[] End)> _pendingRanges = [];

    /// <summary>The key as the write finds it: after the writes of its commit group before it, and after what it has done itself.</summary>
    public KeyCell Find(byte[] key)
    {
        if (_pending.TryGetValue(key, out var pending))
        {
            return pending;
        }

        foreach (var (start, end) in _pendingRanges)
        {
            if (IsWithin(key, start, end))
            {
                return default;
            }
        }

        if (_cells.TryGetValue(key, out var cell))
        {
            return cell;
        }

        return reads.Rows.TryGetValue(key, out var row) && !effects.Ranges.Exists(range => IsWithin(key, range.Start, range.End))
            ? new KeyCell
            {
                Live = row.ExpiresAt < 0 || row.ExpiresAt > reads.Now,
                Version = row.Version,
                Encoding = row.Encoding,
                ExpiresAt = row.ExpiresAt,
                Value = row.Value,
            }
            : default;
    }

    /// <summary>Gives a key a value.</summary>
    public void Put(byte[] key, byte[] value, int encoding, long expiresAt, long version, long versionOffset) => _pending[key] = new KeyCell
    {
        Live = expiresAt < 0 || expiresAt > reads.Now,
        Version = version,
        VersionOffset = versionOffset,
        Value = value,
        Encoding = encoding,
        ExpiresAt = expiresAt,
        Effect = KeyEffect.Put,
    };

    /// <summary>Changes when a key expires, if there is an entry.</summary>
    /// <returns>Whether there is an entry.</returns>
    public bool Touch(byte[] key, long expiresAt, long version, long versionOffset)
    {
        if (Find(key) is { Live: true } touched)
        {
            _pending[key] = touched with
            {
                Effect = touched.Effect == KeyEffect.Put ? KeyEffect.Put : KeyEffect.Touch,
                Live = expiresAt < 0 || expiresAt > reads.Now,
                Version = version,
                VersionOffset = versionOffset,
                ExpiresAt = expiresAt,
            };
            return true;
        }

        return false;
    }

    public void Delete(byte[] key) => _pending[key] = new KeyCell { Effect = KeyEffect.Delete };

    public void DeleteRange(byte[] start, byte[] end)
    {
        DeleteRange(_pending, start, end);
        _pendingRanges.Add((start, end));
    }

    /// <summary>Deletes a key that has expired: under the lock the row may have a later expiry than when it was seen, or be gone.</summary>
    public void DeleteExpired(byte[] key)
    {
        if (reads.Rows.TryGetValue(key, out var row) && row.ExpiresAt >= 0 && row.ExpiresAt <= reads.Now
            && Find(key).Effect == KeyEffect.None)
        {
            Delete(key);
        }
    }

    /// <summary>Forgets what a refused write had begun.</summary>
    public void Forget()
    {
        _pending.Clear();
        _pendingRanges.Clear();
    }

    /// <summary>
    /// What the write did counts. Ranges run before single keys in the database, so what a range covers loses the effect that it had.
    /// </summary>
    public void Merge()
    {
        foreach (var (start, end) in _pendingRanges)
        {
            DeleteRange(_cells, start, end);
            effects.Ranges.Add((start, end));
        }

        foreach (var (key, cell) in _pending)
        {
            _cells[key] = cell;
        }

        Forget();
    }

    /// <summary>Notes what becomes of each key.</summary>
    public void Finish()
    {
        foreach (var (key, cell) in _cells)
        {
            switch (cell.Effect)
            {
                case KeyEffect.Put:
                    effects.Puts.Add((key, cell.Value!, cell.Encoding, cell.VersionOffset, cell.ExpiresAt));
                    break;
                case KeyEffect.Touch:
                    effects.Touches.Add((key, cell.VersionOffset, cell.ExpiresAt));
                    break;
                case KeyEffect.Delete:
                    effects.Deletes.Add(key);
                    break;
                default:
                    continue;
            }

            if (cell.Effect != KeyEffect.Delete && cell.ExpiresAt >= 0)
            {
                effects.SoonestExpiry = Math.Min(effects.SoonestExpiry, Math.Max(0, cell.ExpiresAt - reads.Now));
            }
        }
    }

    private static void DeleteRange(Dictionary<byte[], KeyCell> cells, byte[] start, byte[] end)
    {
        foreach (var key in cells.Keys.Where(key => IsWithin(key, start, end)).ToList())
        {
            cells[key] = default;
        }
    }

    private static bool IsWithin(byte[] key, byte[] start, byte[] end) =>
        key.AsSpan().SequenceCompareTo(start) >= 0 && key.AsSpan().SequenceCompareTo(end) < 0;
}
