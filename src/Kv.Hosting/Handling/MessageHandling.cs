using Kv.Commits;
using Kv.Connections;
using Kv.Messages;
using Kv.Queue;
using Kv.Store;
using Microsoft.EntityFrameworkCore;

namespace Kv.Handling;

/// <summary>What a handler does with its message, from its beginning to its end: completing it, and what else acts on it.</summary>
internal sealed class MessageHandling(HeldMessage held, MessageQueue queue)
{
    private readonly Lock _gate = new();
    private bool _hasEnded;
    private bool _isCompleting;
    private TaskCompletionSource? _completionEnds;

    /// <summary>Why the handler's last try to complete the message did not; null if there was none.</summary>
    public Exception? Refusal { get; private set; }

    /// <summary>What the handler decided; null for what its end says.</summary>
    public HandlerDecision? Decision { get; private set; }

    /// <summary>How far its handler said it is, and what it is doing; null for nothing.</summary>
    public (double Fraction, string? Note)? Progress { get; private set; }

    /// <summary>The checkpoint that its handler saved last; null for none.</summary>
    public KvValue? Checkpoint { get; private set; }

    private Fence Fence => held.Message.Fence;

    /// <summary>
    /// The handler has ended: from here on its context refuses everything. A completion that it did not wait for is seen through.
    /// </summary>
    public async ValueTask EndAsync()
    {
        Task? completion = null;
        lock (_gate)
        {
            _hasEnded = true;
            if (_isCompleting)
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
    public void Decide(HandlerDecision decision)
    {
        lock (_gate)
        {
            Require(held.State == HeldState.Completed);
            Decision = decision;
        }
    }

    public async ValueTask ReportAsync(double progress, string? note, CancellationToken cancellationToken)
    {
        RequireHandling();
        AmbientTransaction.RefuseWrite();
        RequireHeld(await queue.ReportAsync(Fence, progress, note, cancellationToken).ConfigureAwait(false));
        Progress = (progress, note ?? Progress?.Note);
    }

    public async ValueTask SaveCheckpointAsync<T>(T value, CancellationToken cancellationToken)
    {
        RequireHandling();
        AmbientTransaction.RefuseWrite();
        KvValue stored;
        try
        {
            stored = held.Store.Serializer.Serialize(value);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw new KvException(
                (error as KvException)?.Kind ?? KvErrorKind.Encoding,
                $"The checkpoint of message {Fence.Id} cannot be stored: {error.Message}",
                error);
        }

        if (stored.Defect is { } defect)
        {
            throw new ArgumentException($"The checkpoint cannot be kept. {defect}", nameof(value));
        }

        var most = held.Store.Engine.Options.MaxMessageSize;
        if (stored.Array.Length > most)
        {
            throw new ArgumentException(
                $"The checkpoint takes {stored.Array.Length} bytes; at most {most} are allowed. Store the large part under a key "
                + "and keep the key, or raise KvStoreOptions.MaxMessageSize.",
                nameof(value));
        }

        RequireHeld(await queue.SaveCheckpointAsync(Fence, stored.Array, (int)stored.Encoding, cancellationToken).ConfigureAwait(false));
        Checkpoint = stored;
    }

    /// <summary>Makes the message's end part of a user's transaction.</summary>
    /// <remarks>The row may be locked for as long as the transaction lasts: the heartbeat must not wait for it.</remarks>
    public ValueTask<KvCommitResult> CompleteAsync(Action<KvAtomic>? build, DbContext context, CancellationToken cancellationToken) =>
        CompleteAsync(build, HeldState.Joined, HeldState.Joined, write => held.Store.CommitAsync(write, context, cancellationToken));

    /// <summary>Ends the message with a write.</summary>
    public ValueTask<KvCommitResult> CompleteAsync(Action<KvAtomic> build, CancellationToken cancellationToken) =>
        CompleteAsync(
            build,
            HeldState.Completing,
            HeldState.Completed,
            async write => WriteResults.Of(write, await queue.CommitAsync(write, cancellationToken).ConfigureAwait(false)));

    /// <param name="build">Adds to the write.</param>
    /// <param name="meanwhile">How far the message is while the write is under way.</param>
    /// <param name="done">How far it is when the write succeeded.</param>
    /// <param name="commit">Commits the write, or makes it part of a transaction.</param>
    private async ValueTask<KvCommitResult> CompleteAsync(
        Action<KvAtomic>? build, HeldState meanwhile, HeldState done, Func<AtomicWrite, ValueTask<KvCommitResult>> commit)
    {
        BeginCompletion();
        try
        {
            if (meanwhile == HeldState.Completing)
            {
                AmbientTransaction.RefuseWrite();
            }

            var write = Acknowledging(build);
            var before = held.Move(meanwhile);
            var after = before;
            try
            {
                var result = await commit(write).ConfigureAwait(false);
                after = result.Succeeded ? done : before;
                Refusal = result.Succeeded ? null : Refused(result);
                if (result.Succeeded && held.Store.Engine.Pipeline.Written is { } written)
                {
                    await written(write).ConfigureAwait(false);
                }

                return result;
            }
            catch (KvCommitUnknownException) when (meanwhile == HeldState.Completing && before == HeldState.Running)
            {
                after = HeldState.Unsure;
                throw;
            }
            finally
            {
                held.Move(after);
            }
        }
        catch (Exception error)
        {
            Refusal = error;
            throw;
        }
        finally
        {
            EndCompletion();
        }
    }

    private AtomicWrite Acknowledging(Action<KvAtomic>? build)
    {
        var atomic = held.Store.Lend(nameof(KvMessageContext.CompleteAsync));
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
        (write.Acknowledges, write.Ends) = (Fence, held.Message.Keys);
        return write;
    }

    private void BeginCompletion()
    {
        lock (_gate)
        {
            Require(held.State is HeldState.Completed or HeldState.Joined);
            if (_isCompleting)
            {
                throw new InvalidOperationException(
                    $"A CompleteAsync of the message {Fence.Id} is in flight. Await it before the next one, "
                    + "and put all writes of the message into one.");
            }

            _isCompleting = true;
        }
    }

    private void EndCompletion()
    {
        lock (_gate)
        {
            _isCompleting = false;
            _completionEnds?.SetResult();
        }
    }

    // A handler that goes on as if it had completed the message must find in the message's errors what refused it.
    private static KvException Refused(KvCommitResult result)
    {
        var checks = result.FailedChecks.Select(static check =>
            $"check {check.Index} of {check.Key} found {(check.Present is { } present ? $"versionstamp {present}" : "no entry")}");
        return new(
            KvErrorKind.Conflict,
            $"CompleteAsync was refused, and the handler ended without completing the message: {string.Join("; ", checks)}. "
            + "Look at the result of CompleteAsync: read anew and complete again, complete with other writes, "
            + "or say Snooze, RetryIn or DeadLetter.");
    }

    private void RequireHandling()
    {
        lock (_gate)
        {
            Require(held.State == HeldState.Completed);
        }
    }

    private void Require(bool isCompleted)
    {
        if (_hasEnded)
        {
            throw new InvalidOperationException(
                $"The handler of the message {Fence.Id} has ended, and its context with it: nothing more can be done about the "
                + "message here. Await everything that uses the context before the handler returns.");
        }

        if (isCompleted)
        {
            throw new InvalidOperationException(
                $"The message {Fence.Id} is completed already. Put all its writes into one CompleteAsync, and call it last.");
        }
    }

    private void RequireHeld(bool isHeld)
    {
        if (!isHeld)
        {
            RequireHandling();
            throw new KvException(
                KvErrorKind.LeaseLost,
                $"The message {Fence.Id} is not held by this worker any more: its lease ran out, and others may be handling it. "
                + "Nothing was written; stop handling it.");
        }
    }
}
