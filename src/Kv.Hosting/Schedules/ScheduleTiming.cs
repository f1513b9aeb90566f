namespace Kv.Schedules;

/// <summary>When a schedule ticks, as it is stored: a cron expression and its zone, or an interval in milliseconds.</summary>
internal sealed record ScheduleTiming(string? Cron, string? Zone, long Interval);
