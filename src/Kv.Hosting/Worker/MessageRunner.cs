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
        else if (held.IsLost || error is KvException { Kind: KvError.LeaseLost })
        {
            WorkerLog.LeaseLost(logger, message.Fence.Id, message.Topic);
        }
        else if (error is null)
        {
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
    public ValueTask<bool> ReleaseAsync(HeldMessage held)
    {
        var message = held.Message;
        WorkerLog.Released(logger, message.Fence.Id, message.Topic);
        return queue.RequeueAsync(message.Fence, TimeSpan.Zero, message.Backoff, message.Attempt, CancellationToken.None);
    }

    private async Task<Exception?> TryHandleAsync(HeldMessage held, HandleMessage handle)
    {
        var message = held.Message;
        using var activity = Source.StartActivity(
            $"handle {message.Type}", ActivityKind.Consumer, default(ActivityContext), links: ActivityContext.TryParse(message.Trace, null, out var origin) ? [new(origin)] : []);
        try
        {
            var scope = scopes.CreateAsyncScope();
            await using (scope.ConfigureAwait(false))
            {
                var context = new KvMessageContext(held, store, scope.ServiceProvider);
                await handle(store.Serializer, context, held.Interrupted).ConfigureAwait(false);
                return null;
            }
        }
        catch (Exception error)
        {
            activity?.SetStatus(ActivityStatusCode.Error, error.Message);
            return error;
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

        WorkerLog.Retried(logger, error, message.Fence.Id, message.Topic, message.Attempt + 1, waits[0]);
        return await queue.RequeueAsync(message.Fence, waits[0], FailureColumns.Format(waits.Skip(1)), message.Attempt + 1, CancellationToken.None).ConfigureAwait(false);
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
            keys = [options.DeadLetterPrefix.Append(message.Topic, message.Fence.Id).Encoded.ToArray()];
        }

        await queue.CommitAsync(FailureColumns.MoveTo(keys, message), CancellationToken.None).ConfigureAwait(false);
        WorkerLog.Undelivered(logger, error, message.Fence.Id, message.Topic, message.Attempt + 1, string.Join(", ", keys.Select(KvKey.FromStored)));
        return true;
    }

    // The end of a message is written as long as the lease lasts; after that it is somebody else's.
    private async Task FinishAsync(HeldMessage held, Func<ValueTask<bool>> finish)
    {
        var message = held.Message;
        held.IsFinishing = true;
        while (!held.IsLost)
        {
            try
            {
                if (await finish().ConfigureAwait(false))
                {
                    return;
                }

                break;
            }
            catch (KvException error) when (error.Kind == KvError.LeaseLost)
            {
                break;
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (Exception error)
            {
                WorkerLog.FinishRetried(logger, error, message.Fence.Id, message.Topic);
                await Task.Delay(TimeSpan.FromMilliseconds(500), TimeProvider.System, CancellationToken.None).ConfigureAwait(false);
            }
        }

        WorkerLog.LeaseLost(logger, message.Fence.Id, message.Topic);
    }
}
