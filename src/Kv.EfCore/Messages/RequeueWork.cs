namespace Kv.Messages;

/// <summary>Puts a held message back into the queue. The answer is whether it was still held.</summary>
/// <param name="fence">The message.</param>
/// <param name="delay">How long it waits from now on; null to go back to the position that it had.</param>
/// <param name="backoff">The waits that are left, as JSON.</param>
/// <param name="attempt">How many attempts have failed.</param>
internal sealed class RequeueWork(Fence fence, TimeSpan? delay, string backoff, int attempt) : Work<bool>
{
    public Fence Fence { get; } = fence;

    public long? Delay { get; private set; } = (long?)delay?.TotalMilliseconds;

    /// <summary>Takes the next position in the queue: the database has another message of the id there.</summary>
    public void MoveOn() => (Delay, HasMoved) = ((Delay ?? 0) + 1, true);

    /// <summary>Whether it took the next position already.</summary>
    public bool HasMoved { get; private set; }

    public string Backoff { get; } = backoff;

    public int Attempt { get; } = attempt;

    /// <summary>Why the attempt failed, as JSON; null if it did not.</summary>
    public string? Error { get; init; }

    /// <summary>The time that the topic's rate gives to the message, in Unix milliseconds; 0 for none.</summary>
    public long Token { get; init; }
}
