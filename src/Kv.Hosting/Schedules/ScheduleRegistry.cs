using Kv.Messages;

namespace Kv.Schedules;

/// <summary>The schedules of this process.</summary>
internal sealed class ScheduleRegistry
{
    private readonly Dictionary<string, ScheduledMessage> _schedules = new(StringComparer.Ordinal);

    public IReadOnlyCollection<ScheduledMessage> All => _schedules.Values;

    /// <exception cref="InvalidOperationException">The name is taken.</exception>
    public void Add(ScheduledMessage schedule)
    {
        if (!_schedules.TryAdd(schedule.Name, schedule))
        {
            throw new InvalidOperationException(
                $"There is a schedule named '{schedule.Name}' already. Give each one a name of its own: "
                + "it is what its ticks are counted under.");
        }
    }
}

/// <summary>A recurring message.</summary>
/// <param name="Name">What its ticks are counted under.</param>
/// <param name="Schedule">When.</param>
/// <param name="Missed">What happens to missed ticks.</param>
/// <param name="Enqueue">Adds the message of a tick to a write.</param>
internal sealed record ScheduledMessage(string Name, KvSchedule Schedule, KvMissedTicks Missed, Action<KvAtomic, DateTimeOffset> Enqueue)
{
    /// <summary>The entry that knows the next tick.</summary>
    public KvKey Key { get; } = [QueueKeys.Prefix, "schedules", Name];
}
