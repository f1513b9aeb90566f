namespace Kv.Schedules;

/// <summary>A recurring message.</summary>
/// <param name="Name">What its ticks are counted under.</param>
/// <param name="Schedule">When.</param>
/// <param name="Missed">What happens to missed ticks.</param>
/// <param name="Enqueue">Adds the message of a tick to a write.</param>
internal sealed record ScheduledMessage(string Name, KvSchedule Schedule, KvMissedTicks Missed, Action<KvAtomic, DateTimeOffset> Enqueue)
{
    /// <summary>Whether the program has it in its code, and not the store in an entry.</summary>
    public bool IsRegistered { get; init; } = true;

    /// <summary>A schedule whose message is stored; null if what is noted has none.</summary>
    /// <exception cref="TimeZoneNotFoundException">This machine does not know the time zone.</exception>
    public static ScheduledMessage? Find(string name, ScheduleState? state) =>
        state is { Message: { } message, Timing: { } timing }
            ? new(name, KvSchedule.From(timing), state.Missed, (write, _) => write.Enqueue(message with { })) { IsRegistered = false }
            : null;

    /// <summary>Refuses what no schedule can have.</summary>
    /// <exception cref="ArgumentException">The name cannot be one, or the options cannot work together.</exception>
    public static void Validate(string name, KvScheduleOptions options)
    {
        KvMessageAttribute.Valid(name, nameof(name));
        var error = options switch
        {
            { Enqueue.IfDuplicate: KvDuplicatePolicy.Refuse } =>
                $"The schedule '{name}' asks for ticks to be refused whose unique key is taken, which would stop it. "
                + "Use KvDuplicatePolicy.Keep, which leaves such a tick out.",
            { Enqueue.DueAt: { } due } =>
                $"The schedule '{name}' asks for all its messages to be due at {due:O}. Its ticks say when they are due; leave it out.",
            _ when !Enum.IsDefined(options.Missed) => $"{options.Missed} is not a value of KvMissedTicks. Use Once, Skip or All.",
            _ => null,
        };
        if (error is not null)
        {
            throw new ArgumentException(error, nameof(options));
        }
    }
}
