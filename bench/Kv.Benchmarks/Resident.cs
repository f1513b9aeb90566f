using System.IO.MemoryMappedFiles;

namespace Kv.Benchmarks;

/// <summary>Keeps files in memory while a run lasts, by having them mapped.</summary>
/// <remarks>
/// The kernels of some virtual machines page out what files hold as soon as nobody has mapped it, within seconds (DAMON's proactive reclaim).
/// Who waits for his turn would find his database on the disk.
/// </remarks>
public sealed class Resident : IDisposable
{
    private const int Page = 4096;
    private readonly List<IDisposable> _maps = [];

    public Resident(IEnumerable<string> files)
    {
        foreach (var file in files)
        {
            var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var map = MemoryMappedFile.CreateFromFile(stream, mapName: null, capacity: 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
            var view = map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            _maps.AddRange([view, map]);
            for (var at = 0L; at < view.Capacity; at += Page)
            {
                view.ReadByte(at);
            }
        }
    }

    public void Dispose() => _maps.ForEach(static map => map.Dispose());
}
