using Kv.Connections;
using Kv.Messages;
using Kv.Store;
using Microsoft.EntityFrameworkCore;

namespace Kv.Handling;

// What a handler does with its message, from its beginning to its end.
internal sealed partial class HeldMessage
{
    private bool _handlerEnded;
    private bool _completing;
    private TaskCompletionSource? _completionEnds;

    /// <summary>The message left the queue with a write of its handler.</summary>
    public bool IsCompleted { get; private set; }

    /// <summary>A write of the handler may have taken the message out of the queue; nobody could find out.</summary>
    public bool IsUnsure { get; private set; }

    /// <summary>The message's removal is part of a transaction of the handler's, which nobody here sees end.</summary>
    public bool IsJoined { get; private set; }

    /// <summary>Why the handler's last try to complete the message did not; null if there was none.</summary>
    public Exception? Refusal { get; private set; }

    /// <summary>What the handler decided; null for what its end says.</summary>
    public Decision? Decision { get; private set; }

    /// <summary>The handler has ended: from here on its context refuses everything. A completion that it did not wait for is seen through.</summary>
    public async ValueTask EndHandlerAsync()
    {
        Task? completion = null;
        lock (_gate)
        {
            _handlerEnded = true;
            if (_completing)
            {
                completion = (_completionEnds = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            }
        }

        if (completion is not null)
        {
            await completion.ConfigureAwait(false);
        }
    }

    /// <summary>Notes what is to become of the message when the handler ends.</summary>
    public void Decide(Decision decision)
    {
        lock (_gate)
        {
            Require(IsCompleted, _handlerEnded);
            Decision = decision;
        }
    }

    public async ValueTask ReportAsync(double progress, string? note, CancellationToken cancellationToken)
    {
        RequireHandling();
        AmbientTransaction.RefuseWrite();
        RequireHeld(await _queue.ReportAsync(Message.Fence, progress, note, cancellationToken).ConfigureAwait(false));
    }

    public async ValueTask SaveCheckpointAsync<T>(T value, CancellationToken cancellationToken)
    {
        RequireHandling();
        AmbientTransaction.RefuseWrite();
        KvValue stored;
        try
        {
            stored = Store.Serializer.Serialize(value);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw new KvException(
                (error as KvException)?.Kind ?? KvErrorKind.Encoding, $"The checkpoint of message {Message.Fence.Id} cannot be stored: {error.Message}", error);
        }

        if (stored.Defect is { } defect)
        {
            throw new ArgumentException($"The checkpoint cannot be kept. {defect}", nameof(value));
        }

        if (stored.Array.Length > Store.Engine.Options.MaxMessageSize)
        {
            throw new ArgumentException(
                $"The checkpoint takes {stored.Array.Length} bytes; at most {Store.Engine.Options.MaxMessageSize} are allowed. Store the large part under a key and keep the key, or raise KvStoreOptions.MaxMessageSize.",
                nameof(value));
        }

        RequireHeld(await _queue.SaveCheckpointAsync(Message.Fence, stored.Array, (int)stored.Encoding, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Makes the message's end part of a user's transaction.</summary>
    public async ValueTask<KvCommitResult> CompleteAsync(Action<KvAtomic>? build, DbContext context, CancellationToken cancellationToken)
    {
        BeginCompletion();
        var joined = false;
        try
        {
            var write = Acknowledging(build);

            // The row may be locked for as long as the transaction lasts: the heartbeat must not wait for it.
            IsJoined = true;
            var result = await Store.CommitAsync(write, context, cancellationToken).ConfigureAwait(false);
            joined = result.Succeeded;
            Refusal = joined ? null : Refused(result);
            return result;
        }
        catch (Exception error)
        {
            Refusal = error;
            throw;
        }
        finally
        {
            IsJoined = joined;
            EndCompletion();
        }
    }

    /// <summary>Ends the message with a write.</summary>
    public async ValueTask<KvCommitResult> CompleteAsync(Action<KvAtomic> build, CancellationToken cancellationToken)
    {
        BeginCompletion();
        try
        {
            AmbientTransaction.RefuseWrite();
            var write = Acknowledging(build);
            IsFinishing = true;
            var result = KvStore.Result(write, await _queue.CommitAsync(write, cancellationToken).ConfigureAwait(false));
            IsCompleted = result.Succeeded;
            Refusal = IsCompleted ? null : Refused(result);
            return result;
        }
        catch (Exception error)
        {
            Refusal = error;
            IsUnsure |= error is KvCommitUnknownException;
            throw;
        }
        finally
        {
            IsFinishing = IsCompleted || IsUnsure;
            EndCompletion();
        }
    }

    private AtomicWrite Acknowledging(Action<KvAtomic>? build)
    {
        var atomic = Store.Lend(nameof(KvMessageContext.CompleteAsync));
        try
        {
            if (build is not null)
            {
                CallbackContext.Run(build, atomic);
            }
        }
        catch
        {
            atomic.Return();
            throw;
        }

        var write = atomic.TakeBack();
        (write.Acknowledges, write.Ends) = (Message.Fence, Message.Keys);
        return write;
    }

    private void BeginCompletion()
    {
        lock (_gate)
        {
            Require(IsCompleted || IsJoined, _handlerEnded);
            if (_completing)
            {
                throw new InvalidOperationException(
                    $"A CompleteAsync of the message {Message.Fence.Id} is in flight. Await it before the next one, and put all writes of the message into one.");
            }

            _completing = true;
        }
    }

    private void EndCompletion()
    {
        lock (_gate)
        {
            _completing = false;
            _completionEnds?.SetResult();
        }
    }

    // A handler that goes on as if it had completed the message must find in the message's errors what refused it.
    private static KvException Refused(KvCommitResult result) => new(
        KvErrorKind.Conflict,
        $"CompleteAsync was refused, and the handler ended without completing the message: {string.Join("; ", result.FailedChecks.Select(static check => $"check {check.Index} of {check.Key} found {(check.Present is { } present ? $"versionstamp {present}" : "no entry")}"))}. Look at the result of CompleteAsync: read anew and complete again, complete with other writes, or say Snooze, RetryIn or DeadLetter.");

    private void RequireHandling()
    {
        lock (_gate)
        {
            Require(IsCompleted, _handlerEnded);
        }
    }

    private void Require(bool completed, bool ended)
    {
        if (ended)
        {
            throw new InvalidOperationException(
                $"The handler of the message {Message.Fence.Id} has ended, and its context with it: nothing more can be done about the message here. Await everything that uses the context before the handler returns.");
        }

        if (completed)
        {
            throw new InvalidOperationException($"The message {Message.Fence.Id} is completed already. Put all its writes into one CompleteAsync, and call it last.");
        }
    }

    private void RequireHeld(bool held)
    {
        if (!held)
        {
            RequireHandling();
            throw new KvException(
                KvErrorKind.LeaseLost,
                $"The message {Message.Fence.Id} is not held by this worker any more: its lease ran out, and others may be handling it. Nothing was written; stop handling it.");
        }
    }
}
