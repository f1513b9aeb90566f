using System.Globalization;

namespace Kv.Benchmarks;

/// <summary>Medians over the rounds, and how the store stands to the others.</summary>
public static class Table
{
    public static void Print(IReadOnlyList<Measurement> measurements, IReadOnlyList<string> systems)
    {
        var others = systems.Where(static system => system != "efkv").ToList();
        Console.WriteLine($"| database | operation | callers | {string.Join(" | ", systems)} | {string.Join(" | ", others.Select(static other => $"efkv / {other}"))} |");
        Console.WriteLine($"|{string.Concat(Enumerable.Repeat("---|", 3 + systems.Count + others.Count))}");
        foreach (var row in measurements.GroupBy(static m => (m.Database, m.Operation, m.Callers)))
        {
            var bySystem = row.GroupBy(static m => m.System).ToDictionary(static group => group.Key, static group => group.OrderBy(static m => m.PerSecond).ElementAt(group.Count() / 2));
            var cells = systems.Select(system => bySystem.TryGetValue(system, out var m) ? Cell(m) : "");
            var ratios = others.Select(other => bySystem.TryGetValue("efkv", out var ours) && bySystem.TryGetValue(other, out var theirs)
                ? (ours.PerSecond / theirs.PerSecond).ToString("0.00", CultureInfo.InvariantCulture)
                : "");
            Console.WriteLine($"| {row.Key.Database} | {row.Key.Operation} | {row.Key.Callers} | {string.Join(" | ", cells)} | {string.Join(" | ", ratios)} |");
        }
    }

    private static string Cell(Measurement m) => string.Create(
        CultureInfo.InvariantCulture, $"{m.PerSecond:#,0}/s, {m.Median:0} / {m.Slowest:0} µs, {m.Allocated:#,0} B");
}
