using System.Globalization;

namespace Kv.Benchmarks;

/// <summary>Medians over the rounds, and how the store stands to the others.</summary>
public static class Table
{
    public static void Print(IReadOnlyList<Measurement> measurements)
    {
        Console.WriteLine(Machine.Describe());
        foreach (var database in measurements.GroupBy(static m => m.In.Database))
        {
            var systems = Plan.Systems.Keys.Where(system => database.Any(m => m.System == system)).ToList();
            var others = systems.Where(static system => system != "efkv").ToList();
            Console.WriteLine($"\n| {database.Key} | in | {string.Join(" | ", systems)} | {string.Join(" | ", others.Select(static other => $"× {other}"))} |");
            Console.WriteLine($"|{string.Concat(Enumerable.Repeat("---|", 2 + systems.Count + others.Count))}");
            foreach (var row in database.GroupBy(static m => m.Case))
            {
                var medians = systems.ToDictionary(static system => system, system => Median(row.Where(m => m.System == system)));
                var cells = systems.Select(system => medians[system] is { } m ? Cell(m) : "");
                var ratios = others.Select(other => Ratio(medians.GetValueOrDefault("efkv"), medians[other])?.ToString("0.00", CultureInfo.InvariantCulture));
                Console.WriteLine($"| {row.Key.Operation} | {row.Key.In} | {string.Join(" | ", cells)} | {string.Join(" | ", ratios)} |");
            }
        }
    }

    public static Measurement? Median(IEnumerable<Measurement> rounds)
    {
        var sorted = rounds.OrderBy(static m => m.Case.IsTime ? -m.Median : m.PerSecond).ToList();
        return sorted.Count == 0 ? null : sorted[sorted.Count / 2];
    }

    /// <summary>How many times as good the store is: as fast, or as soon.</summary>
    public static double? Ratio(Measurement? ours, Measurement? theirs) =>
        ours is null || theirs is null ? null : ours.Case.IsTime ? theirs.Median / ours.Median : ours.PerSecond / theirs.PerSecond;

    private static string Cell(Measurement m)
    {
        var allocated = m.Allocated is { } bytes ? string.Create(CultureInfo.InvariantCulture, $", {bytes:#,0} B") : "";
        return m.Operation switch
        {
            "idle" => string.Create(CultureInfo.InvariantCulture, $"{m.PerSecond * 60:0.#} statements a minute besides next due times"),
            "startup" => Time(m.Median),
            "drain" => string.Create(CultureInfo.InvariantCulture, $"{m.PerSecond:#,0}/s{allocated}"),
            _ when m.Case.IsTime => $"{Time(m.Median)} / {Time(m.Slowest)}",
            _ => string.Create(CultureInfo.InvariantCulture, $"{m.PerSecond:#,0}/s, {Time(m.Median)} / {Time(m.Slowest)}{allocated}"),
        };
    }

    private static string Time(double microseconds) => microseconds < 1000
        ? string.Create(CultureInfo.InvariantCulture, $"{microseconds:0} µs")
        : string.Create(CultureInfo.InvariantCulture, $"{microseconds / 1000:0.#} ms");
}
