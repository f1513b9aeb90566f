namespace Kv.Handling;

/// <summary>What a handler decided about its message, for when it ends.</summary>
internal abstract record Decision
{
    /// <summary>Back for a time, at no cost.</summary>
    public sealed record Snooze(TimeSpan Delay) : Decision;

    /// <summary>Failed; again after a time.</summary>
    public sealed record Retry(TimeSpan Delay) : Decision;

    /// <summary>Undeliverable.</summary>
    public sealed record GiveUp(string Reason) : Decision;
}
