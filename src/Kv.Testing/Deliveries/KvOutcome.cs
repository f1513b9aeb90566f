namespace Kv;

/// <summary>What became of a message that a worker took.</summary>
public enum KvOutcome
{
    /// <summary>Its handler runs: it waits for the test's clock.</summary>
    Running = 0,

    /// <summary>It was handled, and left the queue.</summary>
    Completed = 1,

    /// <summary>The attempt failed, and another one follows at <see cref="KvDelivery.DueAt"/>.</summary>
    Retried = 2,

    /// <summary>The handler put it back until <see cref="KvDelivery.DueAt"/>, which costs no attempt.</summary>
    Snoozed = 3,

    /// <summary>It could not be delivered, and is a dead letter, or was written to the keys that it names.</summary>
    DeadLettered = 4,

    /// <summary>
    /// A rate of its topic had no token for it: its handler did not begin, and it waits until <see cref="KvDelivery.DueAt"/>.
    /// </summary>
    RateLimited = 5,

    /// <summary>It was cancelled by <see cref="IKvQueue.CancelAsync"/>.</summary>
    Cancelled = 6,

    /// <summary>Its handler was interrupted, and it went back as it was.</summary>
    Released = 7,

    /// <summary>Its lease was lost while it was handled: it is another worker's.</summary>
    LeaseLost = 8,

    /// <summary>Its end could not be written: it comes again when its lease lapses.</summary>
    Unfinished = 9,
}
