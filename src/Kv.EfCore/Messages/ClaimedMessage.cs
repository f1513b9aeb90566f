namespace Kv.Messages;

/// <summary>A message as a worker holds it.</summary>
internal sealed record ClaimedMessage(Fence Fence, byte[] Data, int Encoding, string Topic, string Type)
{
    /// <summary>A message that is taken by the commit that brings it.</summary>
    /// <param name="message">The message.</param>
    /// <param name="owner">The worker that takes it.</param>
    /// <param name="enqueuedAt">When, in Unix milliseconds.</param>
    /// <param name="uniqueUntil">
    /// Until when its unique key stays taken at least, in Unix milliseconds; 0 for no longer than it is there.
    /// </param>
    public static ClaimedMessage Of(NewMessage message, string owner, long enqueuedAt, long uniqueUntil) =>
        new(new Fence(message.Id, owner, FirstClaim), message.Data, message.Encoding, message.Topic, message.Type)
        {
            Backoff = message.Backoff,
            Undelivered = message.Undelivered,
            EnqueuedAt = enqueuedAt,
            Trace = message.Trace,
            Priority = message.Priority,
            RateKey = message.RateKey,
            Scope = message.Scope,
            UniqueKey = message.UniqueKey,
            UniqueUntil = uniqueUntil,
            TopicRetries = message.TopicRetries,
        };

    /// <summary>The number of a message's first claim.</summary>
    public const long FirstClaim = 1;

    public required string Backoff { get; init; }

    public required string Undelivered { get; init; }

    public int Attempt { get; init; }

    public int Crashes { get; init; }

    public long EnqueuedAt { get; init; }

    public string? Trace { get; init; }

    public int Priority { get; init; }

    public string? GroupKey { get; init; }

    public int GroupLimit { get; init; }

    public string? RateKey { get; init; }

    /// <summary>What the store that it was enqueued in shows; null for all.</summary>
    public byte[]? Scope { get; init; }

    public long RateToken { get; init; }

    public string? UniqueKey { get; init; }

    public long UniqueUntil { get; init; }

    public bool TopicRetries { get; init; }

    public string? FirstError { get; init; }

    public string? LastError { get; init; }

    public bool IsCancelled { get; init; }

    public byte[]? Checkpoint { get; init; }

    public int CheckpointEncoding { get; init; }

    /// <summary>What its end concerns besides itself; null for nothing.</summary>
    public MessageKeys? Keys => GroupKey is null && UniqueKey is null
        ? null
        : new MessageKeys(Topic, GroupKey, UniqueKey is null ? null : QueueKeys.Unique(Topic, UniqueKey), UniqueUntil);
}
