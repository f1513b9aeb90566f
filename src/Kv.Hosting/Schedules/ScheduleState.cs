using System.Text.Json;
using Kv.Messages;

namespace Kv.Schedules;

/// <summary>What is noted of a schedule, for all processes that have it.</summary>
/// <param name="Definition">What the next tick was computed from.</param>
/// <param name="Next">The next tick, in Unix milliseconds.</param>
/// <param name="Last">The last tick that became a message.</param>
/// <param name="Runs">Which ticks became messages (<see cref="TickRuns"/>).</param>
internal sealed record ScheduleState(string Definition, long Next, long Last = 0, long[][]? Runs = null)
{
    private static readonly long End = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();

    /// <summary>The parts of the definition.</summary>
    public ScheduleTiming? Timing { get; init; }

    /// <summary>What happens to missed ticks.</summary>
    public KvMissedTicks Missed { get; init; }

    /// <summary>The message of each tick; null where a registration makes it.</summary>
    public NewMessage? Message { get; init; }

    /// <summary>Which applications have registered the schedule, and when each last said so, in Unix milliseconds.</summary>
    public SortedDictionary<string, long>? Registered { get; init; }

    /// <summary>Whether its ticks pass without a message.</summary>
    public bool Paused { get; init; }

    /// <summary>A number that every change has of its own, but for those that ticks and registrations make.</summary>
    public long Changed { get; init; }

    /// <summary>When it was triggered, for messages that are still to be enqueued.</summary>
    public long[]? Triggered { get; init; }

    /// <summary>Reads what is noted; null if there is nothing, or something else.</summary>
    public static ScheduleState? Read(KvEntry? entry)
    {
        try
        {
            var read = entry is null ? null : JsonSerializer.Deserialize(entry.Value.Bytes.Span, ScheduleJsonContext.Default.ScheduleState);
            return read is { Definition: not null } state
                && IsTime(state.Next) && IsTime(state.Last) && Array.TrueForAll(state.Triggered ?? [], IsTime) ? state : null;
        }
        catch (JsonException)
        {
            // Something else was written there: the schedule begins anew.
            return null;
        }
    }

    /// <summary>Notes that an application has registered the schedule.</summary>
    public ScheduleState RegisteredBy(string application, long now) => this with
    {
        Registered = new SortedDictionary<string, long>(Registered ?? [], StringComparer.Ordinal) { [application] = now },
    };

    /// <summary>Marks it as changed, so that every process looks at it anew.</summary>
    public ScheduleState AsChanged() => this with { Changed = Random.Shared.NextInt64(1, long.MaxValue) };

    private static bool IsTime(long milliseconds) => milliseconds >= 0 && milliseconds <= End;

    public KvValue ToValue(KvEncoding encoding) =>
        new(JsonSerializer.SerializeToUtf8Bytes(this, ScheduleJsonContext.Default.ScheduleState), encoding);
}
