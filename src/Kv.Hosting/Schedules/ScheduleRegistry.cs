namespace Kv.Schedules;

/// <summary>The schedules that this process has in its code.</summary>
internal sealed class ScheduleRegistry
{
    private readonly Dictionary<string, ScheduledMessage> _schedules = new(StringComparer.Ordinal);

    public IReadOnlyCollection<ScheduledMessage> All => _schedules.Values;

    public ScheduledMessage? Find(string name) => _schedules.GetValueOrDefault(name);

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
