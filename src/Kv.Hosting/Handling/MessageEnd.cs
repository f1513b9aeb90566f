namespace Kv.Handling;

/// <summary>What became of a message when its handler had ended, for a test.</summary>
/// <param name="Outcome">What was written.</param>
/// <param name="Error">What the handler threw, or why it could not be called; null for nothing.</param>
/// <param name="Delay">How long it waits; null for not at all.</param>
/// <param name="Reason">Why it is a dead letter.</param>
internal readonly record struct MessageEnd(MessageOutcome Outcome, Exception? Error = null, TimeSpan? Delay = null, string? Reason = null);

/// <summary>What can become of a message.</summary>
internal enum MessageOutcome
{
    /// <summary>It runs, or its end could not be written: its lease lapses.</summary>
    None,

    /// <summary>It left the queue.</summary>
    Completed,

    /// <summary>The attempt failed, and another one follows.</summary>
    Retried,

    /// <summary>It waits, and no attempt is counted.</summary>
    Snoozed,

    /// <summary>It waits for a token of a rate, and its handler did not begin.</summary>
    Deferred,

    /// <summary>It is a dead letter.</summary>
    DeadLettered,

    /// <summary>It was given back as it was.</summary>
    Released,

    /// <summary>It was cancelled.</summary>
    Cancelled,

    /// <summary>It is another worker's.</summary>
    LeaseLost,
}
