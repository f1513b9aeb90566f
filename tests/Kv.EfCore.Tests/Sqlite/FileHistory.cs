namespace Kv.Tests.Sqlite;

internal enum FileEventKind
{
    Write,
    Truncate,
    Sync,
}

/// <summary>What was done to a database's file or to its log.</summary>
/// <param name="Kind">What.</param>
/// <param name="IsLog">Whether to the log.</param>
/// <param name="Offset">Where, or the length that was left.</param>
/// <param name="Data">What was written.</param>
internal readonly record struct FileEvent(FileEventKind Kind, bool IsLog, long Offset, byte[] Data);

/// <summary>What happened to a database's file and log, in order.</summary>
internal sealed class FileHistory(string path, Lock gate)
{
    /// <summary>Disks write a sector whole or not at all, and in any order.</summary>
    private const int Sector = 512;

    private readonly List<FileEvent> _events = [];
    private readonly byte[] _first = File.ReadAllBytes(path);

    public int Count
    {
        get
        {
            lock (gate)
            {
                return _events.Count;
            }
        }
    }

    public void Add(FileEvent happened) => _events.Add(happened);

    public int SyncsOfLog()
    {
        lock (gate)
        {
            return _events.Count(static e => e is { Kind: FileEventKind.Sync, IsLog: true });
        }
    }

    /// <summary>Makes the files that a power cut leaves: what was synced, and of the rest whatever the disk had come to.</summary>
    /// <param name="to">The database's file.</param>
    /// <param name="count">How many events had happened.</param>
    /// <param name="random">What the disk had come to.</param>
    public void Cut(string to, int count, Random random)
    {
        File.WriteAllBytes(to, Play(_first, isLog: false, count, random));
        File.WriteAllBytes(to + "-wal", Play([], isLog: true, count, random));
    }

    private byte[] Play(byte[] first, bool isLog, int count, Random random)
    {
        var of = _events.Take(count).Where(e => e.IsLog == isLog).ToList();
        var synced = of.FindLastIndex(static e => e.Kind == FileEventKind.Sync);

        // From nothing over a part to all: a disk that writes in order, and soon, is one of them.
        var share = random.Next(5) switch { 0 => 0, 1 => 1, _ => random.NextDouble() };
        using var file = new MemoryStream();
        file.Write(first);
        for (var i = 0; i < of.Count; i++)
        {
            var (kind, _, offset, data) = of[i];
            if (kind == FileEventKind.Truncate && (i < synced || random.NextDouble() < share))
            {
                file.SetLength(offset);
            }

            for (var at = 0; at < data.Length; at += Sector)
            {
                if (i < synced || random.NextDouble() < share)
                {
                    file.Position = offset + at;
                    file.Write(data, at, Math.Min(Sector, data.Length - at));
                }
            }
        }

        return file.ToArray();
    }
}
