using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kv.Benchmarks;

/// <summary>One question to a system: an operation and the circumstances it is done in.</summary>
public sealed record Case([property: JsonPropertyName("op")] string Operation, [property: JsonPropertyName("params")] Circumstances In)
{
    /// <summary>Whether the answer is a time, not a rate: the median decides.</summary>
    [JsonIgnore]
    public bool IsTime => Operation is "latency" or "loaded" or "across" or "recovery" or "startup";

    [JsonIgnore]
    public bool IsKeyValue => KeyValueOperations.Contains(Operation);

    /// <summary>Whether the tables are after it as they were before.</summary>
    [JsonIgnore]
    public bool OnlyReads => Operation is "get" or "getmany10" or "list100" or "list1000";

    /// <summary>
    /// Whether systems measure it in turns: what takes little, so that no turn is much longer for who comes last in it. Reads by many are not on
    /// PostgreSQL, where all systems together would need more connections than a server has.
    /// </summary>
    [JsonIgnore]
    public bool TakesTurns => IsKeyValue && (In.Callers == 1 || (OnlyReads && In.Database == "sqlite"));

    [JsonIgnore]
    public bool IsQueue => !IsKeyValue && Operation is not ("startup" or "insert" or "outbox");

    public static IReadOnlyList<string> KeyValueOperations { get; } =
        ["get", "getmany10", "list100", "list1000", "set", "check+set", "sum", "set10", "mixed"];

    public static string ToText(IEnumerable<Case> cases) => JsonSerializer.Serialize(cases);

    public static IReadOnlyList<Case> Parse(string text) => JsonSerializer.Deserialize<List<Case>>(text) ?? [];
}

/// <summary>What is 0 does not matter to the operation.</summary>
/// <param name="Callers">Operations in flight at once.</param>
/// <param name="Value">Bytes of a value.</param>
/// <param name="Rows">Rows of 100 bytes in the database; those of 10 KB are a hundredth as many, beside them.</param>
/// <param name="Messages">Messages to be handled.</param>
/// <param name="Waiting">Messages that wait meanwhile: half of them in another topic, half of them due in a day.</param>
public sealed record Circumstances(
    [property: JsonPropertyName("database")] string Database,
    [property: JsonPropertyName("callers"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Callers = 0,
    [property: JsonPropertyName("value"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Value = 0,
    [property: JsonPropertyName("rows"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Rows = 0,
    [property: JsonPropertyName("messages"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Messages = 0,
    [property: JsonPropertyName("waiting"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Waiting = 0)
{
    public override string ToString() => string.Join(", ", Parts());

    private IEnumerable<string> Parts()
    {
        if (Callers > 1)
        {
            yield return $"{Callers} callers";
        }

        if (Value > 100)
        {
            yield return $"{Value:#,0} B";
        }

        if (Rows > 0)
        {
            yield return $"{Rows:#,0} rows";
        }

        if (Messages > 0)
        {
            yield return $"{Messages:#,0} messages";
        }

        if (Waiting > 0)
        {
            yield return $"{Waiting:#,0} waiting";
        }
    }
}
