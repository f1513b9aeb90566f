namespace Kv.Model;

/// <summary>A row of <c>queue_running</c>: a message that a worker holds under a lease.</summary>
/// <remarks>Read it with LINQ; write through <see cref="IKvStore"/>.</remarks>
public sealed class RunningMessage : MessageRow
{
    /// <summary>When the lease ends unless the worker extends it, in Unix milliseconds.</summary>
    public long Deadline { get; private set; }

    /// <summary>The worker that holds the message: a random name for each start of a worker.</summary>
    public string Owner { get; private set; } = "";
}
