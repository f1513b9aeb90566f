using Kv.Control;
using Kv.Diagnostics;
using Kv.Messages;
using Kv.Queue;
using Kv.Store;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Handling;

/// <summary>Takes one held message through its handler to its end: completed, waiting for its next attempt, undelivered, or given back.</summary>
/// <param name="store">Where messages come from.</param>
/// <param name="handlers">What handles them.</param>
/// <param name="scopes">Gives each a scope of services.</param>
/// <param name="options">When a message takes its worker down.</param>
/// <param name="handled">Told of each that has been handled, before its end is written.</param>
/// <param name="logger">Where to say what became of them.</param>
internal sealed partial class MessageRunner(
    KvStore store, HandlerRegistry handlers, IServiceScopeFactory scopes, KvWorkerOptions options, Action<HeldMessage> handled, ILogger logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);
    private readonly MessageQueue _queue = store.Engine.Queue;
    private readonly DeadLetters _letters = new(store);

    public async Task RunAsync(HeldMessage held)
    {
        var message = held.Message;
        if (message.IsCancelled)
        {
            await FinishAsync(held, () => DropAsync(message)).ConfigureAwait(false);
            return;
        }

        if (!held.IsTrusted)
        {
            // The claim's answer took as long as a lease. A handler that begins now would be interrupted at once.
            await FinishAsync(held, () => ReleaseAsync(held)).ConfigureAwait(false);
            return;
        }

        if (message.Crashes >= options.MaxCrashes)
        {
            var crashes = new InvalidOperationException($"The lease lapsed {message.Crashes} times while the message was handled: it takes its worker down.");
            await FinishAsync(held, () => UndeliveredAsync(held, crashes)).ConfigureAwait(false);
            return;
        }

        if (handlers.Find(message.Topic, message.Type) is not { } handle)
        {
            var missing = new KvUnreadableMessageException(
                $"No handler is registered for messages named '{message.Type}', and they come by the topic '{message.Topic}', which this worker handles.");
            await FinishAsync(held, () => FailAsync(held, missing)).ConfigureAwait(false);
            return;
        }

        if (await UntilTurnAsync(held).ConfigureAwait(false) is { } wait)
        {
            var turn = _queue.UtcNow.ToUnixTimeMilliseconds() + (long)wait.TotalMilliseconds;
            await FinishAsync(held, () => RequeueAsync(message, wait, turn)).ConfigureAwait(false);
            return;
        }

        var error = await TryHandleAsync(held, handle).ConfigureAwait(false);
        await EndAsync(held, error).ConfigureAwait(false);
    }

    /// <summary>Gives a message back as it was, to the place that it had.</summary>
    public async ValueTask<bool> ReleaseAsync(HeldMessage held)
    {
        var released = await RequeueAsync(held.Message, delay: null).ConfigureAwait(false);
        if (released)
        {
            WorkerLog.Released(logger, held.Message.Fence.Id, held.Message.Topic);
        }

        return released;
    }

    /// <summary>Removes a message that was cancelled.</summary>
    private async ValueTask<bool> DropAsync(ClaimedMessage message)
    {
        var dropped = await _queue.CompleteAsync(message, CancellationToken.None).ConfigureAwait(false);
        if (dropped)
        {
            WorkerLog.Cancelled(logger, message.Fence.Id, message.Topic);
        }

        return dropped;
    }

    private ValueTask<bool> RequeueAsync(ClaimedMessage message, TimeSpan? delay, long turn = 0) =>
        _queue.RequeueAsync(new RequeueWork(message.Fence, delay, message.Backoff, message.Attempt) { Turn = turn }, CancellationToken.None);

    /// <summary>Asks for the turns that the topic's rates want.</summary>
    /// <returns>How long the message has to wait for one; null if it may begin.</returns>
    private async ValueTask<TimeSpan?> UntilTurnAsync(HeldMessage held)
    {
        var rates = held.Topic.Rates(held.Message);
        if (rates.Count == 0)
        {
            return null;
        }

        try
        {
            var outcome = await _queue.CommitAsync(new AtomicWrite { Rates = rates }, CancellationToken.None).ConfigureAwait(false);
            return outcome.Wait > 0 ? TimeSpan.FromMilliseconds(outcome.Wait) : null;
        }
        catch (Exception error)
        {
            // The turn may have been taken: one too few begins then, never one too many.
            WorkerLog.FinishRetried(logger, error, held.Message.Fence.Id, held.Message.Topic);
            return Pause;
        }
    }

    private async Task<Exception?> TryHandleAsync(HeldMessage held, KvMessageDelegate handle)
    {
        var timer = held.Topic.HandlerTimeout is { } most ? _queue.Time.CreateTimer(static h => ((HeldMessage)h!).Late(), held, most, Timeout.InfiniteTimeSpan) : null;
        var scope = scopes.CreateAsyncScope();
        try
        {
            await handle(new KvMessageContext(held, store, scope.ServiceProvider), held.Interrupted).ConfigureAwait(false);
            return null;
        }
        catch (Exception error)
        {
            return error;
        }
        finally
        {
            await held.EndHandlerAsync().ConfigureAwait(false);
            if (timer is not null)
            {
                await timer.DisposeAsync().ConfigureAwait(false);
            }

            await DisposeAsync(scope, held.Message).ConfigureAwait(false);
        }
    }

    // What the handler did is done: a service that cannot be disposed of must not have it done again.
    private async ValueTask DisposeAsync(AsyncServiceScope scope, ClaimedMessage message)
    {
        try
        {
            await scope.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception error)
        {
            WorkerLog.DisposeFailed(logger, error, message.Fence.Id, message.Topic);
        }
    }

    private ValueTask<bool> FailAsync(HeldMessage held, Exception error)
    {
        var message = held.Message;
        if (PolicyOf(held, error) is { } policy)
        {
            return policy.Next(error, message.Attempt + 1, Random.Shared.NextDouble()) is { } delay
                ? RetryAsync(held, error, delay, message.Backoff)
                : UndeliveredAsync(held, error);
        }

        if (MessageColumns.ReadDelays(message.Backoff) is not { } waits)
        {
            WorkerLog.BadColumn(logger, message.Fence.Id, message.Topic, "backoff_schedule", message.Backoff);
            waits = [];
        }

        return waits.Count > 0 ? RetryAsync(held, error, waits[0], MessageColumns.WriteDelays(waits.Skip(1))) : UndeliveredAsync(held, error);
    }

    /// <summary>The policy that decides after a failure; null for the message's own schedule.</summary>
    private static KvRetryPolicy? PolicyOf(HeldMessage held, Exception error) => error switch
    {
        KvUnreadableMessageException when held.Topic.UnreadableRetry is { } unreadable => unreadable,
        _ when held.Message.TopicRetries => held.Topic.Retry,
        _ => null,
    };

    private async ValueTask<bool> RetryAsync(HeldMessage held, Exception error, TimeSpan delay, string backoff)
    {
        var message = held.Message;
        var requeued = await _queue.RequeueAsync(
            new RequeueWork(message.Fence, delay, backoff, message.Attempt + 1) { Error = MessageColumns.WriteError(ErrorOf(message, error)) }, CancellationToken.None).ConfigureAwait(false);
        if (requeued)
        {
            WorkerLog.Retried(logger, error, message.Fence.Id, message.Topic, message.Attempt + 1, delay);
        }

        return requeued;
    }

    private async ValueTask<bool> UndeliveredAsync(HeldMessage held, Exception? error, string? reason = null)
    {
        var message = held.Message;

        // The worker may not have heard of it yet, and nobody wants a letter about what was cancelled.
        if (await _queue.IsCancelledAsync(message.Fence, CancellationToken.None).ConfigureAwait(false))
        {
            return await DropAsync(message).ConfigureAwait(false);
        }

        var keys = MessageColumns.ReadKeys(message, store.Engine.IsAdopted);
        if (keys.Bad.Count > 0)
        {
            WorkerLog.BadColumn(logger, message.Fence.Id, message.Topic, "keys_if_undelivered", string.Join("; ", keys.Bad));
        }

        var last = error is null ? MessageColumns.ReadError(message.LastError) : ErrorOf(message, error);
        reason ??= last?.Message ?? "";
        var attempts = message.Attempt + (error is null ? 0 : 1);
        var letter = keys is { Good.Count: > 0, Bad.Count: 0 } && !held.Topic.KeepAllDeadLetters
            ? null
            : _letters.Letter(message, keys, last, reason, attempts);
        var (write, name) = _letters.Move(message, keys, letter, held.Topic.DeadLetterExpiry);
        await _queue.CommitAsync(write, CancellationToken.None).ConfigureAwait(false);
        var places = keys.Good.Select(KvKey.FromStored);
        WorkerLog.Undelivered(
            logger, error, message.Fence.Id, message.Topic, attempts, reason, string.Join(", ", name is null ? places : places.Append(name)));
        return true;
    }

    private KvMessageError ErrorOf(ClaimedMessage message, Exception error) => KvMessageError.Of(error, message.Attempt + 1, _queue.UtcNow);

    /// <summary>Writes the end of a message, for as long as its lease lasts: after that it is somebody else's.</summary>
    /// <param name="held">The message.</param>
    /// <param name="finish">Writes it, and says whether the message was still held.</param>
    /// <param name="unsure">Whether a write may have taken the message away before: then not finding it means that all is done.</param>
    private async Task FinishAsync(HeldMessage held, Func<ValueTask<bool>> finish, bool unsure = false)
    {
        var message = held.Message;
        if (!held.TryFinish())
        {
            WorkerLog.EndedAfterRelease(logger, message.Fence.Id, message.Topic);
            return;
        }

        handled(held);
        while (true)
        {
            try
            {
                if (!await finish().ConfigureAwait(false) && !unsure)
                {
                    WorkerLog.LeaseLost(logger, message.Fence.Id, message.Topic);
                }

                return;
            }
            catch (KvException error) when (error.Kind == KvErrorKind.LeaseLost)
            {
                if (!unsure)
                {
                    WorkerLog.LeaseLost(logger, message.Fence.Id, message.Topic);
                }

                return;
            }
            catch (Exception error) when (error is ObjectDisposedException || held.IsLost || held.SinceLeased > held.Topic.Term)
            {
                WorkerLog.NotFinished(logger, error, message.Fence.Id, message.Topic);
                return;
            }
            catch (Exception error)
            {
                // The store's own errors say that nothing was written, except for the one that says that nobody knows.
                unsure |= error is not KvException { Kind: not KvErrorKind.CommitUnknown };
                WorkerLog.FinishRetried(logger, error, message.Fence.Id, message.Topic);
                await Task.Delay(Pause, TimeProvider.System, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }
}
