using System.Collections.Concurrent;
using Kv.Commits;
using Kv.Handling;

namespace Kv.Driving;

/// <summary>A delivery from the moment at which its worker takes the message.</summary>
/// <param name="held">The message as its worker holds it.</param>
/// <param name="at">When that was.</param>
internal sealed class OpenDelivery(HeldMessage held, DateTimeOffset at)
{
    // A handler may commit several at a time.
    private readonly ConcurrentQueue<KvTestWrite> _writes = new();

    private readonly TaskCompletionSource _killed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public HeldMessage Held => held;

    /// <summary>Its handler has committed a write.</summary>
    public void Note(AtomicWrite write)
    {
        foreach (var part in KvTestWrite.Of(write, held.Store.Serializer))
        {
            _writes.Enqueue(part);
        }
    }

    /// <summary>Done when its handler may begin.</summary>
    public TaskCompletionSource Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool HasEnded => held.Ended.IsCompleted || _killed.Task.IsCompleted;

    /// <summary>Done when it has ended.</summary>
    public Task Ended => Task.WhenAny(held.Ended, _killed.Task);

    /// <summary>The process of its worker is gone.</summary>
    public void Kill() => _killed.TrySetResult();

    /// <summary>What is known of it now.</summary>
    /// <param name="now">What time it is: a delay that it got counts from there.</param>
    public KvDelivery Describe(DateTimeOffset now)
    {
        var (message, end) = (held.Message, HasEnded ? held.End : default);
        return new KvDelivery(held.Store.Serializer)
        {
            Id = message.Fence.Id,
            Topic = message.Topic,
            Type = message.Type,
            Payload = new KvValue(message.Data, (KvEncoding)message.Encoding),
            Attempt = message.Attempt + 1,
            At = at,
            Outcome = HasEnded ? Of(end.Outcome) : KvOutcome.Running,
            Error = end.Error,
            Reason = end.Reason,
            DueAt = now + end.Delay,
            Progress = held.Handling.Progress?.Fraction,
            Note = held.Handling.Progress?.Note,
            Checkpoint = held.Handling.Checkpoint,
            Writes = [.. _writes],
        };
    }

    private static KvOutcome Of(MessageOutcome outcome) => outcome switch
    {
        MessageOutcome.Completed => KvOutcome.Completed,
        MessageOutcome.Retried => KvOutcome.Retried,
        MessageOutcome.Snoozed => KvOutcome.Snoozed,
        MessageOutcome.Deferred => KvOutcome.RateLimited,
        MessageOutcome.DeadLettered => KvOutcome.DeadLettered,
        MessageOutcome.Released => KvOutcome.Released,
        MessageOutcome.Cancelled => KvOutcome.Cancelled,
        MessageOutcome.LeaseLost => KvOutcome.LeaseLost,
        _ => KvOutcome.Unfinished,
    };
}
