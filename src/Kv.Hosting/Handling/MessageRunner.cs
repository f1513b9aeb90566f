using System.Diagnostics;
using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Messages;
using Kv.Queue;
using Kv.Store;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Handling;

/// <summary>Takes one claimed message through its handler, unless there is a reason for it not to begin, and has its end written.</summary>
/// <param name="store">Where messages come from.</param>
/// <param name="handlers">What handles them.</param>
/// <param name="scopes">Gives each a scope of services.</param>
/// <param name="options">When a message takes its worker down.</param>
/// <param name="ending">Writes their ends.</param>
/// <param name="logger">Where to say what could not be done.</param>
internal sealed class MessageRunner(
    KvStore store, HandlerRegistry handlers, IServiceScopeFactory scopes, KvWorkerOptions options, MessageEnding ending, ILogger logger)
{
    private readonly MessageQueue _queue = store.Engine.Queue;

    private StoreMetrics Metrics => store.Engine.Metrics;

    public async Task RunAsync(HeldMessage held)
    {
        var message = held.Message;
        if (message.IsCancelled)
        {
            await ending.WriteAsync(held, () => ending.DropAsync(held)).ConfigureAwait(false);
            return;
        }

        if (held.Lease.IsLost || !held.Lease.IsTrusted)
        {
            // The claim's answer took as long as a lease, and no extension came. A handler that begins now would be interrupted at once.
            await ending.WriteAsync(held, () => ending.ReleaseAsync(held)).ConfigureAwait(false);
            return;
        }

        if (message.Crashes >= options.MaxCrashes)
        {
            var crashes = new InvalidOperationException(
                $"The lease lapsed {message.Crashes} times while the message was handled: it takes its worker down.");
            await ending.WriteAsync(held, () => ending.DeadLetterAsync(held, crashes)).ConfigureAwait(false);
            return;
        }

        if (handlers.Find(message.Topic, message.Type) is not { } handle)
        {
            var missing = new KvUnreadableMessageException(
                $"No handler is registered for messages named '{message.Type}', and they come by the topic '{message.Topic}', "
                + "which this worker handles.");
            await ending.WriteAsync(held, () => ending.FailAsync(held, missing)).ConfigureAwait(false);
            return;
        }

        if (await UntilTokenAsync(held).ConfigureAwait(false) is { } wait)
        {
            var token = _queue.UtcNow.ToUnixTimeMilliseconds() + (long)wait.TotalMilliseconds;
            await ending.WriteAsync(held, () => ending.DeferAsync(held, wait, token)).ConfigureAwait(false);
            return;
        }

        var error = await TryHandleAsync(held, handle).ConfigureAwait(false);
        await ending.EndAsync(held, error).ConfigureAwait(false);
    }

    /// <summary>Asks for the tokens that the topic's rates want.</summary>
    /// <returns>How long the message has to wait for one; null if it may begin.</returns>
    private async ValueTask<TimeSpan?> UntilTokenAsync(HeldMessage held)
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
            // The token may have been taken: one message too few begins then, never one too many.
            WorkerLog.FinishRetried(logger, error, held.Message.Fence.Id, held.Message.Topic);
            return Backoff.AfterToken;
        }
    }

    private async Task<Exception?> TryHandleAsync(HeldMessage held, KvMessageDelegate handle)
    {
        var timer = held.Topic.HandlerTimeout is { } most
            ? _queue.Time.CreateTimer(static h => ((HeldMessage)h!).Interrupt(InterruptReason.Late), held, most, Timeout.InfiniteTimeSpan)
            : null;
        var scope = scopes.CreateAsyncScope();
        var since = KvMeter.TimesHandlers ? Stopwatch.GetTimestamp() : 0;
        Exception? failure = null;
        try
        {
            await handle(new KvMessageContext(held, scope.ServiceProvider), held.Interrupted).ConfigureAwait(false);
            return null;
        }
        catch (Exception error)
        {
            return failure = error;
        }
        finally
        {
            if (since != 0)
            {
                Metrics.Processed(held.Message.Topic, Stopwatch.GetElapsedTime(since), failure);
            }

            await held.Handling.EndAsync().ConfigureAwait(false);
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
}
