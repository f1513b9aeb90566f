using System.Text.Json;

namespace Kv.Schedules;

/// <summary>What is noted of a schedule, for all processes that have it.</summary>
/// <param name="Definition">What the next tick was computed from.</param>
/// <param name="Next">The next tick, in Unix milliseconds.</param>
/// <param name="Last">The last tick that became a message.</param>
/// <param name="Runs">Which ticks became messages (<see cref="TickRuns"/>).</param>
internal sealed record ScheduleState(string Definition, long Next, long Last = 0, long[][]? Runs = null)
{
    private static readonly long End = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();

    /// <summary>Reads what is noted; null if there is nothing, or something else.</summary>
    public static ScheduleState? Read(KvEntry? entry)
    {
        try
        {
            return entry is not null
                && JsonSerializer.Deserialize(entry.Value.Bytes.Span, ScheduleJsonContext.Default.ScheduleState) is { Next: >= 0 } state
                && state.Next <= End ? state : null;
        }
        catch (JsonException)
        {
            // Something else was written there: the schedule begins anew.
            return null;
        }
    }

    public KvValue ToValue(KvEncoding encoding) =>
        new(JsonSerializer.SerializeToUtf8Bytes(this, ScheduleJsonContext.Default.ScheduleState), encoding);
}
