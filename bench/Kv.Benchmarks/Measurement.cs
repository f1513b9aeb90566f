using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kv.Benchmarks;

/// <summary>One line of a run: what was measured, and how fast it was.</summary>
public sealed record Measurement(
    [property: JsonPropertyName("system")] string System,
    [property: JsonPropertyName("database")] string Database,
    [property: JsonPropertyName("op")] string Operation,
    [property: JsonPropertyName("callers")] int Callers,
    [property: JsonPropertyName("ops_per_s")] double PerSecond,
    [property: JsonPropertyName("p50_us")] double Median,
    [property: JsonPropertyName("p99_us")] double Slowest,
    [property: JsonPropertyName("alloc_b")] double Allocated)
{
    public string ToLine() => JsonSerializer.Serialize(this);

    public static Measurement? TryParse(string line) => line.StartsWith('{') ? JsonSerializer.Deserialize<Measurement>(line) : null;
}
