namespace Kv.Messages;

/// <summary>A message to put into the queue.</summary>
/// <param name="Id">Its id, which each commit that is tried gives anew.</param>
/// <param name="Data">The payload.</param>
/// <param name="Encoding">How the payload is stored.</param>
/// <param name="Topic">Its topic.</param>
/// <param name="Type">The name of its type.</param>
/// <param name="Delay">
/// When it is due: milliseconds after its commit; above <see cref="LongestDelay"/>, a time in Unix milliseconds, or at once if that is
/// past.
/// </param>
/// <param name="Backoff">The waits before further attempts, as stored.</param>
/// <param name="Undelivered">Where it goes if it cannot be delivered, as stored.</param>
/// <param name="Trace">The trace context.</param>
internal sealed record NewMessage(
    string Id, byte[] Data, int Encoding, string Topic, string Type, long Delay, string Backoff, string Undelivered, string? Trace)
{
    /// <summary>The longest delay, in milliseconds; times are far above it.</summary>
    public static readonly long LongestDelay = (long)KvLimits.MaxDelay.TotalMilliseconds;

    /// <summary>Its id, which each commit that is tried gives anew.</summary>
    public string Id { get; set; } = Id;

    public int Priority { get; init; }

    public string? GroupKey { get; init; }

    public int GroupLimit { get; init; }

    public string? RateKey { get; init; }

    /// <summary>What the store that it was enqueued in shows; null for all.</summary>
    public byte[]? Scope { get; init; }

    public string? UniqueKey { get; init; }

    /// <summary>How long the unique key is taken at least, in milliseconds.</summary>
    public long UniqueFor { get; init; }

    public KvDuplicatePolicy IfDuplicate { get; init; }

    public bool TopicRetries { get; init; }

    /// <summary>Whether it waits for its time before it looks for a slot of its group.</summary>
    public bool IsDeferred => GroupLimit > 0 && Delay > 0;
}
