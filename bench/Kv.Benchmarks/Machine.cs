using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;

namespace Kv.Benchmarks;

/// <summary>What a table of numbers must say about where and when it was made.</summary>
public static class Machine
{
    public static string Describe()
    {
        const string Cpus = "/proc/cpuinfo";
        var cpu = File.Exists(Cpus)
            ? File.ReadLines(Cpus).FirstOrDefault(static line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim()
            : null;
        var memory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (double)(1 << 30);
        using var sqlite = new SqliteConnection();
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{TimeProvider.System.GetUtcNow():yyyy-MM-dd}, {cpu ?? RuntimeInformation.ProcessArchitecture.ToString()}, {Environment.ProcessorCount} cores, {memory:0} GiB, {RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}, SQLite {sqlite.ServerVersion}");
    }
}
