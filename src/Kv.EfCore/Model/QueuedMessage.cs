namespace Kv.Model;

/// <summary>A row of <c>queue</c>: a message that waits for its due time or for a worker.</summary>
/// <remarks>Read it with LINQ; write through <see cref="IKvStore"/>.</remarks>
public sealed class QueuedMessage : MessageRow
{
    /// <summary>When the message is due, in Unix milliseconds.</summary>
    public long DueAt { get; private set; }
}
