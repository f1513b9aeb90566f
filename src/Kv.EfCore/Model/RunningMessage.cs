namespace Kv.Model;

/// <summary>A row of <c>queue_running</c>: a message that a worker holds under a lease.</summary>
/// <remarks>Read it with LINQ; write through <see cref="IKvStore"/>.</remarks>
public sealed class RunningMessage : MessageRow
{
    /// <summary>When the lease ends unless the worker extends it, in Unix milliseconds.</summary>
    public long Deadline { get; private set; }

    /// <summary>
    /// When the message was due, in Unix milliseconds: its position in the queue, if it goes back as it was. Null if it runs in a program
    /// that does not say.
    /// </summary>
    public long? DueAt { get; private set; }

    /// <summary>
    /// The worker that holds the message: a name of its own for each start of a worker, by which others on its machine can tell whether it
    /// lives.
    /// </summary>
    public string Owner { get; private set; } = "";

    /// <summary>How far the handler says it is, from 0 to 1.</summary>
    public double? Progress { get; private set; }

    /// <summary>What the handler says it is doing.</summary>
    public string? Note { get; private set; }
}
