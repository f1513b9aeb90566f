namespace Kv;

/// <summary>A schedule as the store knows it.</summary>
public sealed record KvScheduleInfo
{
    /// <summary>What the ticks are counted under.</summary>
    public required string Name { get; init; }

    /// <summary>When it ticks, as text: <c>0 8 * * MON-FRI Europe/Berlin</c>, <c>every 00:05:00</c>.</summary>
    public required string Definition { get; init; }

    /// <summary>The next tick; null while it is paused.</summary>
    public DateTimeOffset? NextAt { get; init; }

    /// <summary>The last tick that became a message; null if there was none yet.</summary>
    public DateTimeOffset? LastAt { get; init; }

    /// <summary>Whether its ticks pass without a message.</summary>
    public bool IsPaused { get; init; }

    /// <summary>What happens to missed ticks.</summary>
    public KvMissedTicks Missed { get; init; }

    /// <summary>The name of its message; null where the code of an application makes it.</summary>
    public string? MessageName { get; init; }

    /// <summary>The topic of its message; null where the code of an application makes it.</summary>
    public string? Topic { get; init; }

    /// <summary>The applications that have it in their code; empty if it was made with <see cref="IKvSchedules"/>.</summary>
    public IReadOnlyList<string> Applications { get; init; } = [];

    /// <summary>How often it was triggered without a worker having enqueued the message yet.</summary>
    public int PendingTriggers { get; init; }
}
