using System.Buffers.Binary;
using static Kv.Tests.Specs.StoreModelSpec;

namespace Kv.Tests;

/// <summary>A store as simple as can be: a sorted dictionary, copied for each write.</summary>
internal sealed class StoreModel
{
    private SortedDictionary<KvKey, Cell> _cells = [];

    public static IReadOnlyList<KvKey> Keys { get; } = [["a"], ["a", 1], ["a", 2], ["a", 2, "x"], ["ab"], ["b"]];

    public Cell? Find(KvKey key, DateTimeOffset now) => _cells.TryGetValue(key, out var cell) && cell.IsLive(now) ? cell : null;

    public List<(KvKey Key, string Value, KvVersionstamp Versionstamp)> Live(DateTimeOffset now) =>
        [.. _cells.Where(pair => pair.Value.IsLive(now)).Select(static pair => (pair.Key, Convert.ToHexString(pair.Value.Bytes), pair.Value.Versionstamp))];

    public List<KvFailedCheck> FailedChecks(IReadOnlyList<(KvKey Key, KvVersionstamp? Versionstamp)> checks, DateTimeOffset now) =>
        [.. checks.Index().Where(c => Find(c.Item.Key, now)?.Versionstamp != c.Item.Versionstamp).Select(c => new KvFailedCheck(c.Index, c.Item.Key, Find(c.Item.Key, now)?.Versionstamp))];

    /// <summary>Does all of a write, or none of it and tells why.</summary>
    public KvErrorKind? Apply(IEnumerable<Change> changes, DateTimeOffset now, KvVersionstamp versionstamp)
    {
        var before = new SortedDictionary<KvKey, Cell>(_cells);
        foreach (var change in changes)
        {
            if (Apply(change, now, versionstamp) is { } error)
            {
                _cells = before;
                return error;
            }
        }

        return null;
    }

    private KvErrorKind? Apply(Change change, DateTimeOffset now, KvVersionstamp versionstamp)
    {
        var key = change.Key;
        var expiresAt = change.ExpireIn is { } expireIn ? now + expireIn : (DateTimeOffset?)null;
        var present = Find(key, now);
        switch (change.Kind)
        {
            case ChangeKind.SetText:
                _cells[key] = new Cell([(byte)change.Number], null, expiresAt, versionstamp);
                return null;
            case ChangeKind.SetCounter:
                _cells[key] = Cell.Counter(change.Number, expiresAt, versionstamp);
                return null;
            case ChangeKind.SetVersionstamped:
                _cells[key.Append(versionstamp.ToString())] = Cell.Counter(change.Number, expiresAt, versionstamp);
                return null;
            case ChangeKind.Delete:
                _cells.Remove(key);
                return null;
            case ChangeKind.DeleteRange:
                foreach (var below in _cells.Keys.Where(k => k.Count > key.Count && k.Take(key.Count).SequenceEqual(key)).ToList())
                {
                    _cells.Remove(below);
                }

                return null;
            case ChangeKind.Touch:
                if (present is not null)
                {
                    _cells[key] = present with { ExpiresAt = expiresAt, Versionstamp = versionstamp };
                }

                return null;
            default:
                return Count(change, present, versionstamp);
        }
    }

    private KvErrorKind? Count(Change change, Cell? present, KvVersionstamp versionstamp)
    {
        if (present is { Number: null })
        {
            return KvErrorKind.Type;
        }

        Int128 sum = (Int128)(present?.Number ?? 0) + change.Delta;
        if (change.Kind == ChangeKind.SumWithin && change.ExpireIn is null && (sum < 0 || sum > 25))
        {
            return KvErrorKind.Range;
        }

        var result = change.Kind switch
        {
            ChangeKind.Sum => unchecked((present?.Number ?? 0) + change.Number),
            ChangeKind.SumWithin => (ulong)Int128.Clamp(sum, 0, 25),
            ChangeKind.Min => present is { Number: { } number } && number < change.Number ? number : change.Number,
            _ => present is { Number: { } number } && number > change.Number ? number : change.Number,
        };
        _cells[change.Key] = Cell.Counter(result, present?.ExpiresAt, versionstamp);
        return null;
    }

    internal sealed record Cell(byte[] Bytes, ulong? Number, DateTimeOffset? ExpiresAt, KvVersionstamp Versionstamp)
    {
        public static Cell Counter(ulong number, DateTimeOffset? expiresAt, KvVersionstamp versionstamp)
        {
            var bytes = new byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, number);
            return new Cell(bytes, number, expiresAt, versionstamp);
        }

        public bool IsLive(DateTimeOffset now) => ExpiresAt is null || ExpiresAt > now;
    }
}
