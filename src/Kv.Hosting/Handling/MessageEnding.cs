using System.Runtime.CompilerServices;
using Kv.Connections;
using Kv.Control;
using Kv.Diagnostics;
using Kv.Messages;
using Kv.Queue;
using Kv.Store;
using Microsoft.Extensions.Logging;

namespace Kv.Handling;

/// <summary>
/// Decides what becomes of a message and writes it: completed, waiting for its next attempt, a dead letter, or given back.
/// </summary>
/// <param name="store">Where messages come from.</param>
/// <param name="handled">Told of each that has been handled, before its end is written.</param>
/// <param name="logger">Where to say what became of them.</param>
internal sealed class MessageEnding(KvStore store, Action<HeldMessage> handled, ILogger logger)
{
    private readonly MessageQueue _queue = store.Engine.Queue;
    private readonly DeadLetters _letters = new(store);

    private StoreMetrics Metrics => store.Engine.Metrics;

    /// <summary>What becomes of a message when its handler has ended.</summary>
    /// <param name="held">The message.</param>
    /// <param name="error">What the handler threw; null if it returned.</param>
    public async Task EndAsync(HeldMessage held, Exception? error)
    {
        var message = held.Message;
        switch (held.State)
        {
            case HeldState.Completed:
                Metrics.Completed(message.Topic);
                held.End = new(MessageOutcome.Completed, error);
                if (error is not null)
                {
                    WorkerLog.ThrewAfterCompletion(logger, error, message.Fence.Id, message.Topic);
                }

                break;
            case HeldState.Released:
                WorkerLog.EndedAfterRelease(logger, message.Fence.Id, message.Topic);
                break;
            case HeldState.Unsure:
                // Either the write took the message out of the queue, or the message is still here as it was: the fence tells.
                await WriteAsync(held, () => DecideOrAsync(() => ReleaseAsync(held)), isUnsure: true).ConfigureAwait(false);
                break;
            case HeldState.Joined:
                // If the handler's transaction was committed, the message is gone, and the fence refuses this.
                if (error is not null)
                {
                    WorkerLog.ThrewAfterJoining(logger, error, message.Fence.Id, message.Topic);
                }

                var uncommitted = error ?? new InvalidOperationException(
                    "The transaction that CompleteAsync joined was not committed. Commit it before the handler ends.");
                await WriteAsync(held, () => DecideOrAsync(() => FailAsync(held, uncommitted)), isUnsure: true).ConfigureAwait(false);
                break;
            default:
                await EndUncompletedAsync(held, error).ConfigureAwait(false);
                break;
        }

        ValueTask<bool> DecideOrAsync(Func<ValueTask<bool>> undecided) =>
            held.Handling.Decision is { } decision ? DecideAsync(held, decision, error) : undecided();
    }

    /// <summary>Writes the end of a message, for as long as its lease lasts: after that it is another worker's.</summary>
    /// <param name="held">The message.</param>
    /// <param name="write">Writes it, and says whether the message was still this worker's.</param>
    /// <param name="isUnsure">Whether a write may have taken the message away before: then not finding it means that all is done.</param>
    public Task WriteAsync(HeldMessage held, Func<ValueTask<bool>> write, bool isUnsure = false)
    {
        if (!held.TryEnd())
        {
            WorkerLog.EndedAfterRelease(logger, held.Message.Fence.Id, held.Message.Topic);
            return Task.CompletedTask;
        }

        handled(held);
        held.MayBeGone = isUnsure;
        return Retry.UntilAsync(
            (Ending: this, Held: held, Write: write),
            static (of, _) => of.Ending.TryWriteAsync(of.Held, of.Write),
            static (of, error, backoff) => of.Ending.Classify(of.Held, error, backoff),
            static (_, error) => error,
            CancellationToken.None).AsTask();
    }

    /// <returns>True: nothing is left to be done.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> TryWriteAsync(HeldMessage held, Func<ValueTask<bool>> write)
    {
        try
        {
            if (!await write().ConfigureAwait(false))
            {
                OnGone(held);
            }
        }
        catch (KvException error) when (error.Kind == KvErrorKind.LeaseLost)
        {
            OnGone(held);
        }
        catch (Exception error) when (held.IsOver(error))
        {
            held.End = default;
            WorkerLog.NotFinished(logger, error, held.Message.Fence.Id, held.Message.Topic);
        }

        return true;
    }

    private void OnGone(HeldMessage held)
    {
        if (!held.MayBeGone)
        {
            LoseLease(held);
        }
        else if (held.State is HeldState.Joined or HeldState.Unsure)
        {
            held.End = new(MessageOutcome.Completed);
            Metrics.Completed(held.Message.Topic);
        }
    }

    private void LoseLease(HeldMessage held, Exception? error = null)
    {
        var message = held.Message;
        held.End = new(MessageOutcome.LeaseLost, error);
        WorkerLog.LeaseLost(logger, message.Fence.Id, message.Topic);
        Metrics.LeaseLost(message.Topic);
    }

    private Backoff Classify(HeldMessage held, Exception error, Backoff? backoff)
    {
        // The store's own errors say that nothing was written, except for the one that says that it is not known.
        held.MayBeGone |= error is not KvException { Kind: not KvErrorKind.CommitUnknown };
        WorkerLog.FinishRetried(logger, error, held.Message.Fence.Id, held.Message.Topic);
        return backoff ?? Backoff.ForEnds();
    }

    /// <summary>Gives a message back as it was, to the position in the queue that it had.</summary>
    public async ValueTask<bool> ReleaseAsync(HeldMessage held)
    {
        held.End = new(MessageOutcome.Released);
        var released = await RequeueAsync(held.Message, delay: null).ConfigureAwait(false);
        if (released)
        {
            WorkerLog.Released(logger, held.Message.Fence.Id, held.Message.Topic);
        }

        return released;
    }

    private async ValueTask<bool> CompleteAsync(HeldMessage held)
    {
        var message = held.Message;
        held.End = new(MessageOutcome.Completed);
        var completed = await _queue.CompleteAsync(message, CancellationToken.None).ConfigureAwait(false);
        if (completed)
        {
            Metrics.Completed(message.Topic);
        }

        return completed;
    }

    /// <summary>Removes a message that was cancelled.</summary>
    public async ValueTask<bool> DropAsync(HeldMessage held)
    {
        var message = held.Message;
        held.End = new(MessageOutcome.Cancelled);
        var dropped = await _queue.CompleteAsync(message, CancellationToken.None).ConfigureAwait(false);
        if (dropped)
        {
            WorkerLog.Cancelled(logger, message.Fence.Id, message.Topic);
        }

        return dropped;
    }

    /// <summary>Has a message wait for a token of the topic's rate.</summary>
    /// <param name="held">The message.</param>
    /// <param name="wait">How long.</param>
    /// <param name="token">The time that the rate gives to it, in Unix milliseconds.</param>
    public ValueTask<bool> DeferAsync(HeldMessage held, TimeSpan wait, long token)
    {
        held.End = new(MessageOutcome.Deferred, Delay: wait);
        return RequeueAsync(held.Message, wait, token);
    }

    /// <summary>Puts a message back that did not fail; without a delay, to the position in the queue that it had.</summary>
    private ValueTask<bool> RequeueAsync(ClaimedMessage message, TimeSpan? delay, long token = 0) =>
        _queue.RequeueAsync(
            new RequeueWork(message.Fence, delay, message.Backoff, message.Attempt) { Token = token }, CancellationToken.None);

    /// <summary>Counts an attempt as failed: another one after a delay, or a dead letter.</summary>
    public ValueTask<bool> FailAsync(HeldMessage held, Exception error)
    {
        var message = held.Message;
        if (PolicyOf(held, error) is { } policy)
        {
            return policy.Next(error, message.Attempt + 1, Random.Shared.NextDouble()) is { } delay
                ? RetryAsync(held, error, delay, message.Backoff)
                : DeadLetterAsync(held, error);
        }

        if (MessageColumns.ReadDelays(message.Backoff) is not { } delays)
        {
            WorkerLog.BadColumn(logger, message.Fence.Id, message.Topic, "backoff_schedule", message.Backoff);
            delays = [];
        }

        return delays.Count > 0
            ? RetryAsync(held, error, delays[0], MessageColumns.WriteDelays(delays.Skip(1)))
            : DeadLetterAsync(held, error);
    }

    /// <summary>Moves a message to the keys that it names, and to the dead letters, unless it was cancelled.</summary>
    /// <param name="held">The message.</param>
    /// <param name="error">Why its attempt failed; null if it did not.</param>
    /// <param name="reason">Why it cannot be delivered; null for what its last error says.</param>
    public async ValueTask<bool> DeadLetterAsync(HeldMessage held, Exception? error, string? reason = null)
    {
        var message = held.Message;

        // The worker may not have heard of it yet, and a letter about what was cancelled is of no use.
        if (await _queue.IsCancelledAsync(message.Fence, CancellationToken.None).ConfigureAwait(false))
        {
            return await DropAsync(held).ConfigureAwait(false);
        }

        var keys = MessageColumns.ReadKeys(message, store.Engine.IsAdopted);
        if (keys.Bad.Count > 0)
        {
            WorkerLog.BadColumn(logger, message.Fence.Id, message.Topic, "keys_if_undelivered", string.Join("; ", keys.Bad));
        }

        var last = error is null ? MessageColumns.ReadError(message.LastError) : ErrorOf(message, error);
        reason ??= last?.Message ?? "";
        held.End = new(MessageOutcome.DeadLettered, error, Reason: reason);
        var failedAttempts = message.Attempt + (error is null ? 0 : 1);
        var letter = keys is { Good.Count: > 0, Bad.Count: 0 } && !held.Topic.KeepAllDeadLetters
            ? null
            : _letters.Letter(message, keys, last, reason, failedAttempts);
        var (write, name) = _letters.Move(message, keys, letter, held.Topic.DeadLetterExpiry);
        await _queue.CommitAsync(write, CancellationToken.None).ConfigureAwait(false);
        var kept = keys.Good.Select(KvKey.FromStored);
        var keptUnder = string.Join(", ", name is null ? kept : kept.Append(name));
        Metrics.DeadLettered(message.Topic);
        WorkerLog.BecameDeadLetter(logger, error, message.Fence.Id, message.Topic, failedAttempts, reason, keptUnder);
        return true;
    }

    private async Task EndUncompletedAsync(HeldMessage held, Exception? error)
    {
        var message = held.Message;
        var (decision, interruption) = (held.Handling.Decision, held.Reason);
        var failure = error ?? held.Handling.Refusal;
        if (failure is KvException { Kind: KvErrorKind.LeaseLost })
        {
            LoseLease(held, failure);
        }
        else if (interruption == InterruptReason.Cancelled && (failure is not null || decision is not null))
        {
            await WriteAsync(held, () => DropAsync(held)).ConfigureAwait(false);
        }
        else if (decision is not null)
        {
            await WriteAsync(held, () => DecideAsync(held, decision, error)).ConfigureAwait(false);
        }
        else if (failure is null)
        {
            // Tried even when the lease is no longer trusted: the fence refuses it if others have the message.
            await WriteAsync(held, () => CompleteAsync(held)).ConfigureAwait(false);
        }
        else if (interruption == InterruptReason.Late)
        {
            var late = new TimeoutException(
                $"The handler took longer than the {held.Topic.HandlerTimeout} that its topic gives it.", failure);
            await WriteAsync(held, () => FailAsync(held, late)).ConfigureAwait(false);
        }
        else if (held.Interrupted.IsCancellationRequested)
        {
            // Interrupted is not failed: the attempt does not count.
            await WriteAsync(held, () => ReleaseAsync(held)).ConfigureAwait(false);
        }
        else
        {
            // Also one that was refused its completion and returned: it has not said that the message is done.
            await WriteAsync(held, () => FailAsync(held, failure)).ConfigureAwait(false);
        }
    }

    private ValueTask<bool> DecideAsync(HeldMessage held, HandlerDecision decision, Exception? error) => decision switch
    {
        HandlerDecision.Snooze(var delay) => SnoozeAsync(held, delay, error),
        HandlerDecision.Retry(var delay) => RetryAsync(
            held,
            error ?? held.Handling.Refusal ?? new InvalidOperationException("The handler asked for another attempt."),
            delay,
            held.Message.Backoff),
        HandlerDecision.DeadLetter(var reason) => DeadLetterAsync(held, error, reason),
        _ => throw new ArgumentOutOfRangeException(nameof(decision), decision, "Not a decision."),
    };

    private ValueTask<bool> SnoozeAsync(HeldMessage held, TimeSpan delay, Exception? error)
    {
        var message = held.Message;
        held.End = new(MessageOutcome.Snoozed, error, delay);
        if (error is not null)
        {
            // Nothing else tells of it: a snooze leaves the message as it was.
            WorkerLog.ThrewAfterSnooze(logger, error, message.Fence.Id, message.Topic, delay);
        }

        return RequeueAsync(message, delay);
    }

    /// <summary>The policy that decides after a failure; null for the message's own delays.</summary>
    private static KvRetryPolicy? PolicyOf(HeldMessage held, Exception error) => error switch
    {
        KvUnreadableMessageException when held.Topic.UnreadableRetry is { } unreadable => unreadable,
        _ when held.Message.TopicRetries => held.Topic.Retry,
        _ => null,
    };

    private async ValueTask<bool> RetryAsync(HeldMessage held, Exception error, TimeSpan delay, string delays)
    {
        var message = held.Message;
        held.End = new(MessageOutcome.Retried, error, delay);
        var requeue = new RequeueWork(message.Fence, delay, delays, message.Attempt + 1)
        {
            Error = MessageColumns.WriteError(ErrorOf(message, error)),
        };
        var requeued = await _queue.RequeueAsync(requeue, CancellationToken.None).ConfigureAwait(false);
        if (requeued)
        {
            Metrics.Retrying(message.Topic);
            WorkerLog.Retried(logger, error, message.Fence.Id, message.Topic, message.Attempt + 1, delay);
        }

        return requeued;
    }

    private KvMessageError ErrorOf(ClaimedMessage message, Exception error) => KvMessageError.Of(error, message.Attempt + 1, _queue.UtcNow);
}
