namespace Kv.Model;

/// <summary>A row of <c>queue</c>: a message that waits for its due time or for a worker.</summary>
/// <remarks>Read it with LINQ; write through <see cref="IKvStore"/>.</remarks>
public sealed class QueuedMessage : MessageRow
{
    /// <summary>When the message is due, in Unix milliseconds.</summary>
    public long DueAt { get; private set; }

    /// <summary>Whether the message may be claimed when it is due, or waits for a slot of its group first.</summary>
    public MessageState State { get; private set; }

    /// <summary>
    /// The store's version at the commit that put the message in; orders the messages of a group. 0 for messages that have a slot.
    /// </summary>
    public long Version { get; private set; }
}

/// <summary>What a message in <c>queue</c> waits for.</summary>
public enum MessageState
{
    /// <summary>Its due time and a worker.</summary>
    Ready = 0,

    /// <summary>A slot of its group.</summary>
    Blocked = 1,

    /// <summary>Its due time; then a slot of its group is looked for.</summary>
    Deferred = 2,

    /// <summary>A worker that makes it a dead letter: it could not be claimed, since another message has the same id.</summary>
    Aside = 3,
}
