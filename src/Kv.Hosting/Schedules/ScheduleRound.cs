namespace Kv.Schedules;

/// <summary>How far a round of a schedule has come: what fails while the messages are made is the schedule's own fault.</summary>
internal sealed class ScheduleRound
{
    public bool HasAsked { get; set; }

    public bool IsMaking { get; set; }
}
