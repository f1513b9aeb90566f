using Kv.Diagnostics;
using Kv.Messages;

namespace Kv.Handling;

// What becomes of a message when its handler has ended.
internal sealed partial class MessageRunner
{
    private async Task EndAsync(HeldMessage held, Exception? error)
    {
        var message = held.Message;
        if (held.IsCompleted)
        {
            if (error is not null)
            {
                WorkerLog.ThrewAfterCompletion(logger, error, message.Fence.Id, message.Topic);
            }
        }
        else if (held.IsReleased)
        {
            WorkerLog.EndedAfterRelease(logger, message.Fence.Id, message.Topic);
        }
        else if (held.IsUnsure)
        {
            // Either the write took the message out of the queue, or the message is still here as it was: the fence tells.
            await FinishAsync(held, () => held.Decision is { } then ? DecideAsync(held, then, error) : ReleaseAsync(held), unsure: true).ConfigureAwait(false);
        }
        else if (held.IsJoined)
        {
            // If the handler's transaction was committed, the message is gone, and the fence refuses this.
            if (error is not null)
            {
                WorkerLog.ThrewAfterJoining(logger, error, message.Fence.Id, message.Topic);
            }

            var uncommitted = error ?? new InvalidOperationException("The transaction that CompleteAsync joined was not committed. Commit it before the handler ends.");
            await FinishAsync(held, () => held.Decision is { } then ? DecideAsync(held, then, error) : FailAsync(held, uncommitted), unsure: true).ConfigureAwait(false);
        }
        else if ((error ?? held.Refusal) is KvException { Kind: KvErrorKind.LeaseLost })
        {
            WorkerLog.LeaseLost(logger, message.Fence.Id, message.Topic);
        }
        else if (held.IsCancelled && (error is not null || held.Decision is not null || held.Refusal is not null))
        {
            await FinishAsync(held, () => DropAsync(message)).ConfigureAwait(false);
        }
        else if (held.Decision is { } decision)
        {
            await FinishAsync(held, () => DecideAsync(held, decision, error)).ConfigureAwait(false);
        }
        else if ((error ?? held.Refusal) is not { } failure)
        {
            // Tried even when the lease is no longer trusted: the fence refuses it if others have the message.
            await FinishAsync(held, () => _queue.CompleteAsync(message, CancellationToken.None)).ConfigureAwait(false);
        }
        else if (held.IsLate)
        {
            var late = new TimeoutException($"The handler took longer than the {held.Topic.HandlerTimeout} that its topic gives it.", failure);
            await FinishAsync(held, () => FailAsync(held, late)).ConfigureAwait(false);
        }
        else if (held.Interrupted.IsCancellationRequested)
        {
            // Interrupted is not failed: the attempt does not count.
            await FinishAsync(held, () => ReleaseAsync(held)).ConfigureAwait(false);
        }
        else
        {
            // Also one that was refused its completion and returned: it has not said that the message is done.
            await FinishAsync(held, () => FailAsync(held, failure)).ConfigureAwait(false);
        }
    }

    private ValueTask<bool> DecideAsync(HeldMessage held, Decision decision, Exception? error) => decision switch
    {
        Decision.Snooze(var delay) => SnoozeAsync(held.Message, delay, error),
        Decision.Retry(var delay) => RetryAsync(
            held, error ?? held.Refusal ?? new InvalidOperationException("The handler asked for another attempt."), delay, held.Message.Backoff),
        Decision.GiveUp(var reason) => UndeliveredAsync(held, error, reason),
        _ => throw new ArgumentOutOfRangeException(nameof(decision), decision, "Not a decision."),
    };

    private ValueTask<bool> SnoozeAsync(ClaimedMessage message, TimeSpan delay, Exception? error)
    {
        if (error is not null)
        {
            // Nothing else tells of it: a snooze leaves the message as it was.
            WorkerLog.ThrewAfterSnooze(logger, error, message.Fence.Id, message.Topic, delay);
        }

        return RequeueAsync(message, delay);
    }
}
