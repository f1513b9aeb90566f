using Kv.Diagnostics;
using Kv.Messages;
using Kv.Queue;
using Kv.Store;
using Kv.Topics;

namespace Kv.Handling;

/// <summary>
/// A message that this worker has claimed, until its end: how far it is, its lease, and the token that asks its handler to stop.
/// </summary>
internal sealed class HeldMessage : IAsyncDisposable
{
    private readonly MessageQueue _queue;
    private readonly CancellationTokenSource _interrupt = new();
    private readonly Lock _gate = new();
    private Task _interrupting = Task.CompletedTask;
    private TaskCompletionSource? _news;
    private volatile HeldState _state;
    private volatile InterruptReason _reason;
    private bool _isDisposed;
    private int _hasFreedCapacity;

    /// <param name="message">The message.</param>
    /// <param name="topic">How its topic is treated.</param>
    /// <param name="store">Where it came from: the whole store.</param>
    /// <param name="claimedAt">When the claim was sent, on the monotonic clock.</param>
    public HeldMessage(ClaimedMessage message, TopicSettings topic, KvStore store, long claimedAt)
    {
        (Message, Topic, Store, _queue) = (message, topic, store.Of(message.Scope), store.Engine.Queue);
        Lease = new MessageLease(topic, _queue.Time, claimedAt);
        Handling = new MessageHandling(this, _queue);
    }

    public ClaimedMessage Message { get; }

    public TopicSettings Topic { get; }

    /// <summary>The store that it was enqueued in: the whole one, or a scope.</summary>
    public KvStore Store { get; }

    public MessageLease Lease { get; }

    /// <summary>What its handler does with it.</summary>
    public MessageHandling Handling { get; }

    /// <summary>What time it is by the clock that decides, as far as it is known here.</summary>
    public DateTimeOffset UtcNow => _queue.UtcNow;

    /// <summary>What became of it.</summary>
    public MessageEnd End { get; set; }

    /// <summary>Done when the message has been seen through.</summary>
    public Task Ended { get; set; } = Task.CompletedTask;

    public HeldState State => _state;

    /// <summary>Whether the message is on its way out of the queue, so that not finding it there means nothing.</summary>
    public bool IsLeaving => _state is not (HeldState.Running or HeldState.Joined);

    /// <summary>Whether its lease is to be extended. A row that a handler's transaction may have locked would hold up all others.</summary>
    public bool IsKept => !Lease.IsLost && _state != HeldState.Joined;

    /// <summary>Cancelled when the handler should stop: the lease is lost, or the worker's time is over.</summary>
    public CancellationToken Interrupted => _interrupt.Token;

    /// <summary>Done when all that waits for the token has been told, if the handler was asked to stop.</summary>
    public Task Interrupting
    {
        get
        {
            lock (_gate)
            {
                return _interrupting;
            }
        }
    }

    /// <summary>Why the handler was asked to stop.</summary>
    public InterruptReason Reason => _reason;

    /// <summary>Whether a write may have taken the message out of the queue: then not finding it there means that all is done.</summary>
    public bool MayBeGone { get; set; }

    /// <summary>Frees the capacity that the message takes, once.</summary>
    public bool TryFreeCapacity() => Interlocked.Exchange(ref _hasFreedCapacity, 1) == 0;

    /// <summary>Begins the message's end, unless the worker gives it back already.</summary>
    public bool TryEnd()
    {
        lock (_gate)
        {
            // What a handler's write did, or may have done, stays known.
            _state = _state == HeldState.Running ? HeldState.Ending : _state;
            return _state != HeldState.Released;
        }
    }

    /// <summary>Begins to give the message back, unless its end has begun, or may be part of a transaction of its handler's.</summary>
    public bool TryRelease()
    {
        lock (_gate)
        {
            if (_state != HeldState.Running)
            {
                return false;
            }

            _state = HeldState.Released;
            return true;
        }
    }

    /// <summary>Whether its end cannot be written any more after an error: the message is another worker's by then.</summary>
    /// <remarks>What a test has asked for lasts until the lease has lapsed: its clock stands still between the tries.</remarks>
    public bool IsOver(Exception error) => error is ObjectDisposedException || Lease.IsLost || Lease.HasLapsed
        || (error is not KvCommitUnknownException && FailPoints.IsInjected(error));

    /// <summary>
    /// The process of its worker is gone, as a test has it: nothing more is done about it here, and nothing asks it to stop.
    /// </summary>
    public void Kill()
    {
        lock (_gate)
        {
            (_state, _isDisposed) = (HeldState.Released, true);
        }
    }

    /// <summary>A write of the handler that takes the message out of the queue begins, or has ended.</summary>
    /// <returns>The state before, to which the message goes back if nothing is written.</returns>
    public HeldState Move(HeldState state)
    {
        lock (_gate)
        {
            (var before, _state) = (_state, state);
            return before;
        }
    }

    /// <summary>Its lease counts from the moment at which the extension was sent.</summary>
    public void Extend(long sentAt)
    {
        lock (_gate)
        {
            Lease.Extend(sentAt);
            _news?.TrySetResult();
        }
    }

    /// <summary>Waits until a handler may begin: where little is left of the lease, until it is extended or lost.</summary>
    public async ValueTask UntilFreshAsync()
    {
        while (News() is { } news)
        {
            await news.ConfigureAwait(false);
        }

        Task? News()
        {
            lock (_gate)
            {
                var mayBegin = Lease.IsFresh || _interrupt.IsCancellationRequested;
                _news = mayBegin ? null : new(TaskCreationOptions.RunContinuationsAsynchronously);
                return _news?.Task;
            }
        }
    }

    /// <summary>
    /// Asks the handler to stop. What waits for its token runs on the thread pool, so it can neither block nor break the caller.
    /// </summary>
    public void Interrupt(InterruptReason reason = InterruptReason.Stopping)
    {
        lock (_gate)
        {
            _reason = reason > _reason ? reason : _reason;
            if (!_isDisposed && !_interrupt.IsCancellationRequested)
            {
                _interrupting = _interrupt.CancelAsync();
                _news?.TrySetResult();
            }
        }
    }

    /// <summary>The lease is lost.</summary>
    public void Lose()
    {
        Lease.Lose();
        Interrupt();
    }

    /// <summary>Ends the token's life. From here on nothing is interrupted.</summary>
    /// <exception cref="AggregateException">Something that waited for the token threw.</exception>
    public async ValueTask DisposeAsync()
    {
        Task interrupting;
        lock (_gate)
        {
            _isDisposed = true;
            interrupting = _interrupting;
        }

        try
        {
            await interrupting.ConfigureAwait(false);
        }
        finally
        {
            _interrupt.Dispose();
        }
    }
}
