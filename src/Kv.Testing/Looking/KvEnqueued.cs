namespace Kv;

/// <summary>A message that waits in the queue.</summary>
/// <typeparam name="T">Its type.</typeparam>
public sealed record KvEnqueued<T>
{
    internal KvEnqueued()
    {
    }

    /// <summary>The message.</summary>
    public required T Message { get; init; }

    /// <summary>The message's id.</summary>
    public required string Id { get; init; }

    /// <summary>Its topic.</summary>
    public required string Topic { get; init; }

    /// <summary>When it is due.</summary>
    public DateTimeOffset DueAt { get; init; }

    /// <summary>How many attempts have failed.</summary>
    public int FailedAttempts { get; init; }

    /// <summary>Its priority.</summary>
    public int Priority { get; init; }
}
