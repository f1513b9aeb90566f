using System.Diagnostics;
using Kv.Engine;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Worker;

/// <summary>Takes one held message through its handler to its end: completed, waiting for its next attempt, undelivered, or given back.</summary>
internal sealed class MessageRunner(
    KvStore store, MessageQueue queue, HandlerRegistry handlers, IServiceScopeFactory scopes, KvWorkerOptions options, ILogger logger)
{
    private static readonly ActivitySource Source = new("Kv");
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    public async Task RunAsync(HeldMessage held)
    {
        var message = held.Message;
        if (message.Crashes >= options.MaxCrashes)
        {
            var crashes = new InvalidOperationException($"The lease lapsed {message.Crashes} times while the message was handled: it takes its worker down.");
            await FinishAsync(held, () => UndeliveredAsync(held, crashes)).ConfigureAwait(false);
            return;
        }

        if (handlers.Find(message.Topic, message.Type) is not { } handle)
        {
            var missing = new InvalidOperationException(
                $"No handler is registered for messages named '{message.Type}', and they come by the topic '{message.Topic}', which this worker handles.");
            await FinishAsync(held, () => UndeliveredAsync(held, missing)).ConfigureAwait(false);
            return;
        }

        var error = await TryHandleAsync(held, handle).ConfigureAwait(false);
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
            await FinishAsync(held, () => ReleaseAsync(held), unsure: true).ConfigureAwait(false);
        }
        else if (error is KvException { Kind: KvError.LeaseLost })
        {
            WorkerLog.LeaseLost(logger, message.Fence.Id, message.Topic);
        }
        else if (error is null)
        {
            // Tried even when the lease is no longer trusted: the fence refuses it if others have the message.
            await FinishAsync(held, () => queue.CompleteAsync(message.Fence, CancellationToken.None)).ConfigureAwait(false);
        }
        else if (held.Interrupted.IsCancellationRequested)
        {
            // Interrupted is not failed: the attempt does not count.
            await FinishAsync(held, () => ReleaseAsync(held)).ConfigureAwait(false);
        }
        else
        {
            await FinishAsync(held, () => FailAsync(held, error)).ConfigureAwait(false);
        }
    }

    /// <summary>Gives a message back as it was.</summary>
    public async ValueTask<bool> ReleaseAsync(HeldMessage held)
    {
        var message = held.Message;
        var released = await queue.RequeueAsync(message.Fence, TimeSpan.Zero, message.Backoff, message.Attempt, CancellationToken.None).ConfigureAwait(false);
        if (released)
        {
            WorkerLog.Released(logger, message.Fence.Id, message.Topic);
        }

        return released;
    }

    private async Task<Exception?> TryHandleAsync(HeldMessage held, HandleMessage handle)
    {
        var message = held.Message;
        using var activity = Source.StartActivity(
            $"handle {message.Type}", ActivityKind.Consumer, default(ActivityContext), links: ActivityContext.TryParse(message.Trace, null, out var origin) ? [new(origin)] : []);
        var scope = scopes.CreateAsyncScope();
        try
        {
            await handle(store.Serializer, new KvMessageContext(held, store, scope.ServiceProvider), held.Interrupted).ConfigureAwait(false);
            return null;
        }
        catch (Exception error)
        {
            activity?.SetStatus(ActivityStatusCode.Error, error.Message);
            return error;
        }
        finally
        {
            await DisposeAsync(scope, message).ConfigureAwait(false);
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

    private async ValueTask<bool> FailAsync(HeldMessage held, Exception error)
    {
        var message = held.Message;
        if (FailureColumns.Backoff(message.Backoff) is not { } waits)
        {
            WorkerLog.BadColumn(logger, message.Fence.Id, message.Topic, "backoff_schedule", message.Backoff);
            waits = [];
        }

        if (waits.Count == 0)
        {
            return await UndeliveredAsync(held, error).ConfigureAwait(false);
        }

        var rest = FailureColumns.Format(waits.Skip(1));
        var requeued = await queue.RequeueAsync(message.Fence, waits[0], rest, message.Attempt + 1, CancellationToken.None).ConfigureAwait(false);
        if (requeued)
        {
            WorkerLog.Retried(logger, error, message.Fence.Id, message.Topic, message.Attempt + 1, waits[0]);
        }

        return requeued;
    }

    private async ValueTask<bool> UndeliveredAsync(HeldMessage held, Exception error)
    {
        var message = held.Message;
        var keys = FailureColumns.Keys(message.Undelivered);
        if (keys is null)
        {
            WorkerLog.BadColumn(logger, message.Fence.Id, message.Topic, "keys_if_undelivered", message.Undelivered);
        }

        if (keys is not { Count: > 0 })
        {
            keys = [FailureColumns.DeadLetterKey(options.DeadLetterPrefix, message)];
        }

        await queue.CommitAsync(FailureColumns.MoveTo(keys, message), CancellationToken.None).ConfigureAwait(false);
        WorkerLog.Undelivered(logger, error, message.Fence.Id, message.Topic, message.Attempt + 1, string.Join(", ", keys.Select(KvKey.FromStored)));
        return true;
    }

    /// <summary>Writes the end of a message, for as long as its lease lasts: after that it is somebody else's.</summary>
    /// <param name="held">The message.</param>
    /// <param name="finish">Writes it, and says whether the message was still held.</param>
    /// <param name="unsure">Whether a write may have taken the message away before: then not finding it means that all is done.</param>
    private async Task FinishAsync(HeldMessage held, Func<ValueTask<bool>> finish, bool unsure = false)
    {
        var message = held.Message;
        held.IsFinishing = true;
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
            catch (KvException error) when (error.Kind == KvError.LeaseLost)
            {
                if (!unsure)
                {
                    WorkerLog.LeaseLost(logger, message.Fence.Id, message.Topic);
                }

                return;
            }
            catch (Exception error) when (error is ObjectDisposedException || held.IsLost || held.SinceLeased > options.Lease)
            {
                WorkerLog.NotFinished(logger, error, message.Fence.Id, message.Topic);
                return;
            }
            catch (Exception error)
            {
                // The store's own errors say that nothing was written, except for the one that says that nobody knows.
                unsure |= error is not KvException { Kind: not KvError.CommitUnknown };
                WorkerLog.FinishRetried(logger, error, message.Fence.Id, message.Topic);
                await Task.Delay(Pause, TimeProvider.System, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }
}
