using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kv.Benchmarks;

/// <summary>One line of a run: what was measured, and how fast it was. Programs in other languages print the same line.</summary>
/// <param name="Allocated">Bytes allocated by an operation; null where the system does not tell.</param>
public sealed record Measurement(
    [property: JsonPropertyName("system")] string System,
    [property: JsonPropertyName("op")] string Operation,
    [property: JsonPropertyName("params")] Circumstances In,
    [property: JsonPropertyName("ops_per_s")] double PerSecond,
    [property: JsonPropertyName("p50_us")] double Median,
    [property: JsonPropertyName("p99_us")] double Slowest,
    [property: JsonPropertyName("alloc_b")] double? Allocated)
{
    // A plus stays a plus.
    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [JsonIgnore]
    public Case Case => new(Operation, In);

    public string ToLine() => JsonSerializer.Serialize(this, Readable);

    public static Measurement? TryParse(string line) => line.StartsWith('{') ? JsonSerializer.Deserialize<Measurement>(line) : null;

    public static async Task<IReadOnlyList<Measurement>> ReadAsync(string file) =>
        [.. (await File.ReadAllLinesAsync(file)).Select(TryParse).OfType<Measurement>()];
}
