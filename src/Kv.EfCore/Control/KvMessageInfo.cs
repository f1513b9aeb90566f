namespace Kv;

/// <summary>A message as it is in the queue at a moment.</summary>
public sealed record KvMessageInfo
{
    internal KvMessageInfo()
    {
    }

    /// <summary>The message's id.</summary>
    public required string Id { get; init; }

    /// <summary>Its topic.</summary>
    public required string Topic { get; init; }

    /// <summary>The name of its type; empty if the program that enqueued it knows no names.</summary>
    public required string Type { get; init; }

    /// <summary>What it waits for, or that it runs.</summary>
    public required KvMessageState State { get; init; }

    /// <summary>The payload.</summary>
    public required KvValue Payload { get; init; }

    /// <summary>When it is or was due; null while it runs.</summary>
    public DateTimeOffset? DueAt { get; init; }

    /// <summary>When its worker's lease ends, unless it is extended; null unless it runs.</summary>
    public DateTimeOffset? LeaseEndsAt { get; init; }

    /// <summary>When it was committed.</summary>
    public DateTimeOffset EnqueuedAt { get; init; }

    /// <summary>How many attempts have failed.</summary>
    public int FailedAttempts { get; init; }

    /// <summary>How many leases ended without a word from their worker.</summary>
    public int Crashes { get; init; }

    /// <summary>Its priority.</summary>
    public int Priority { get; init; }

    /// <summary>Its group or concurrency key.</summary>
    public string? GroupKey { get; init; }

    /// <summary>Its unique key.</summary>
    public string? UniqueKey { get; init; }

    /// <summary>The prefix of the scope that it was enqueued in; null for none.</summary>
    public KvKey? Scope { get; init; }

    /// <summary>The error of the first attempt that failed.</summary>
    public KvMessageError? FirstError { get; init; }

    /// <summary>The error of the last attempt that failed.</summary>
    public KvMessageError? LastError { get; init; }

    /// <summary>How far its handler says it is, from 0 to 1.</summary>
    public double? Progress { get; init; }

    /// <summary>What its handler says it is doing.</summary>
    public string? Note { get; init; }

    /// <summary>
    /// The worker that holds it: a name of its own for each start of a worker. Null or empty if another program holds it.
    /// </summary>
    public string? Owner { get; init; }

    // Other programs have put in times that no date can hold.
    internal static DateTimeOffset Time(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(
        Math.Clamp(milliseconds, DateTimeOffset.MinValue.ToUnixTimeMilliseconds(), DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()));
}

/// <summary>Where a message is on its way.</summary>
public enum KvMessageState
{
    /// <summary>It is due, and waits for a worker.</summary>
    Due = 0,

    /// <summary>It waits for its time: a delay, a retry, or a token of a rate.</summary>
    Delayed = 1,

    /// <summary>It waits for others of its group.</summary>
    Blocked = 2,

    /// <summary>A worker holds it.</summary>
    Running = 3,
}
