namespace Kv.Simulated;

/// <summary>
/// What the store may hold: an ordered map with versionstamps, and the jobs that were enqueued. A write of unknown outcome makes two of
/// one.
/// </summary>
internal sealed class World
{
    private readonly SortedDictionary<KvKey, Cell> _cells = [];
    private readonly HashSet<int> _jobs = [];
    private KvVersionstamp _last;

    public World()
    {
    }

    private World(World other)
    {
        foreach (var (key, cell) in other._cells)
        {
            _cells.Add(key, cell);
        }

        _jobs.UnionWith(other._jobs);
        _last = other._last;
    }

    /// <summary>The numbers of the jobs that were enqueued.</summary>
    public IReadOnlySet<int> Jobs => _jobs;

    /// <summary>What there may be after some writes of one step, in their order.</summary>
    /// <returns>The worlds that follow; none if what the callers were told cannot be.</returns>
    public IEnumerable<World> After(IReadOnlyList<Write> writes)
    {
        if (Next(writes, isUnknownDone: true) is { } done)
        {
            yield return done;
        }

        if (writes.Any(static write => write.Told == Answer.Unknown) && Next(writes, isUnknownDone: false) is { } undone)
        {
            yield return undone;
        }
    }

    /// <summary>Whether it is what was read.</summary>
    /// <param name="entries">All entries of the store in their order.</param>
    /// <param name="now">When they were read.</param>
    /// <returns>Null if it is; else what is different.</returns>
    public string? Compare(IReadOnlyList<KvEntry> entries, DateTimeOffset now)
    {
        var expected = _cells.Where(pair => pair.Value.IsThere(now)).ToList();
        for (var i = 0; i < Math.Max(expected.Count, entries.Count); i++)
        {
            if (i >= expected.Count)
            {
                return $"{entries[i]} is there, and should not be";
            }

            var (key, cell) = expected[i];
            if (i >= entries.Count || !entries[i].Key.Equals(key))
            {
                return $"{(i < entries.Count ? entries[i].Key : "nothing")} is where {key} should be";
            }

            if (Text(entries[i]) != cell.Text)
            {
                return $"{key} is {Text(entries[i])} and should be {cell.Text}";
            }

            if (cell.Stamp is { } stamp && entries[i].Versionstamp != stamp)
            {
                return $"{key} has the versionstamp {entries[i].Versionstamp} and should have {stamp}";
            }

            // A write of unknown outcome that turns out to be done has told none.
            _cells[key] = cell with { Stamp = entries[i].Versionstamp };
            _last = entries[i].Versionstamp > _last ? entries[i].Versionstamp : _last;
        }

        return null;
    }

    /// <summary>What is at a key, if that was read: with its versionstamp; null for nothing.</summary>
    public (KvVersionstamp Stamp, string Text)? Find(KvKey key, DateTimeOffset now) =>
        _cells.TryGetValue(key, out var cell) && cell.IsThere(now) && cell.Stamp is { } stamp ? (stamp, cell.Text) : null;

    /// <summary>What is stored, as text: counters apart from others.</summary>
    public static string Text(KvEntry entry) =>
        entry.Value.Encoding == KvEncoding.UInt64 ? $"#{entry.As<ulong>()}" : entry.As<string>() ?? "";

    private World? Next(IReadOnlyList<Write> writes, bool isUnknownDone)
    {
        var next = new World(this);
        foreach (var write in writes)
        {
            if (!next.Take(write, isUnknownDone))
            {
                return null;
            }
        }

        return next;
    }

    private bool Take(Write write, bool isUnknownDone)
    {
        if (write.Told is Answer.Unavailable or Answer.LeaseLost || (write.Told == Answer.Unknown && !isUnknownDone))
        {
            return true;
        }

        var (cells, jobs) = (new Dictionary<KvKey, Cell?>(), new List<int>());
        var expected = Try(write, cells, jobs);
        if (expected != (write.Told == Answer.Unknown ? Answer.Committed : write.Told))
        {
            return false;
        }

        if (expected != Answer.Committed)
        {
            return true;
        }

        if (write.Told == Answer.Committed)
        {
            if (write.Stamp <= _last)
            {
                return false;
            }

            _last = write.Stamp;
        }

        foreach (var (key, cell) in cells)
        {
            if (cell is null)
            {
                _cells.Remove(key);
            }
            else
            {
                _cells[key] = cell with { Stamp = write.Told == Answer.Committed ? write.Stamp : null };
            }
        }

        _jobs.UnionWith(jobs);
        return true;
    }

    private Answer Try(Write write, Dictionary<KvKey, Cell?> cells, List<int> jobs)
    {
        foreach (var check in write.Parts.Where(static part => part.Kind == PartKind.Check))
        {
            var found = Find(check.Key);
            if (found is null ? check.Stamp is not null : found.Stamp is null || found.Stamp != check.Stamp)
            {
                return Answer.Refused;
            }
        }

        foreach (var part in write.Parts)
        {
            var before = cells.TryGetValue(part.Key, out var changed) ? changed : Find(part.Key);
            switch (part.Kind)
            {
                case PartKind.Set:
                    cells[part.Key] = new Cell(part.Text, null, write.At + part.ExpireIn);
                    break;
                case PartKind.Delete:
                    cells[part.Key] = null;
                    break;
                case PartKind.DeleteRange:
                    var known = _cells.Keys.Concat(cells.Keys);
                    foreach (var key in known.Where(key => key.Count > part.Key.Count && key.StartsWith(part.Key)).ToList())
                    {
                        cells[key] = null;
                    }

                    break;
                case PartKind.Sum or PartKind.Max when before is { Text: not ['#', ..] }:
                    return Answer.Invalid;
                case PartKind.Sum or PartKind.Max:
                    var number = before is null ? 0 : ulong.Parse(before.Text.AsSpan(1), System.Globalization.CultureInfo.InvariantCulture);
                    number = part.Kind == PartKind.Sum ? number + part.Operand : Math.Max(number, part.Operand);
                    cells[part.Key] = new Cell($"#{number}", null, null);
                    break;
                case PartKind.Enqueue:
                    jobs.Add(part.Job!.Number);
                    break;
            }
        }

        return Answer.Committed;

        Cell? Find(KvKey key) => _cells.TryGetValue(key, out var cell) && cell.IsThere(write.At) ? cell : null;
    }

    private sealed record Cell(string Text, KvVersionstamp? Stamp, DateTimeOffset? ExpiresAt)
    {
        public bool IsThere(DateTimeOffset now) => ExpiresAt is null || now < ExpiresAt;
    }
}
