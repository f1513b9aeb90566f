namespace Kv;

/// <summary>How the ticks of a schedule become messages.</summary>
public sealed record KvScheduleOptions
{
    /// <summary>What happens to ticks that passed while no process was there to enqueue them.</summary>
    /// <value>Default: <see cref="KvMissedTicks.Once"/>.</value>
    public KvMissedTicks Missed { get; init; }

    /// <summary>How the messages are delivered.</summary>
    /// <value>Default: null, as for any message.</value>
    public KvEnqueueOptions? Enqueue { get; init; }
}

/// <summary>
/// What happens to ticks that were missed: those for which no process was there within a minute, or before the next tick.
/// </summary>
public enum KvMissedTicks
{
    /// <summary>One message for all of them, for the last one.</summary>
    Once = 0,

    /// <summary>Nothing.</summary>
    Skip = 1,

    /// <summary>A message for each.</summary>
    All = 2,
}
