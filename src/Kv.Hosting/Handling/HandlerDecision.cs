namespace Kv.Handling;

/// <summary>What a handler decided about its message, for when it ends.</summary>
internal abstract record HandlerDecision
{
    /// <summary>Back for a time, at no cost.</summary>
    public sealed record Snooze(TimeSpan Delay) : HandlerDecision;

    /// <summary>Failed; again after a time.</summary>
    public sealed record Retry(TimeSpan Delay) : HandlerDecision;

    /// <summary>A dead letter, whatever attempts are left.</summary>
    public sealed record DeadLetter(string Reason) : HandlerDecision;
}
