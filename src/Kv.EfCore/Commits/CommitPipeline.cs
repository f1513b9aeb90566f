using Kv.Connections;
using Kv.Messages;

namespace Kv.Commits;

/// <summary>
/// The one door for the writes of a process to a store; where claims of a backlog run apart, they have one of their own. What waits while a
/// group commits is the next group, so the price of a commit is shared without any timer; each write of a group keeps an outcome of its
/// own.
/// </summary>
/// <remarks>
/// A caller that finds the pipeline idle leads: it runs its own group at once, without a hop to another thread. Work that yields lets
/// callers go first that are ready to run; if any of them writes, that one leads, and takes the work along.
/// </remarks>
internal sealed class CommitPipeline(CommitRunner runner, KvStoreOptions options) : IAsyncDisposable
{
    /// <summary>
    /// How much one transaction takes: enough for its price not to matter, little enough not to hold up what came before.
    /// </summary>
    private const int MaxGroupWrites = 512;

    /// <summary>In bytes: with so much a group takes no further write.</summary>
    private const int MaxGroupSize = 4 << 20;

    private readonly Lock _gate = new();
    private readonly Queue<Work> _waiting = new();
    private readonly SemaphoreSlim _permits = new(options.MaxPendingWrites, options.MaxPendingWrites);
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _drain = Task.CompletedTask;
    private ITimer? _timer;
    private bool _watched;
    private bool _busy;
    private bool _disposed;

    /// <summary>
    /// Asked before messages are committed that are due at once, with their number by topic: for a claim that shares their commit, or null.
    /// </summary>
    public event Func<IReadOnlyDictionary<string, int>, ClaimWork?>? MessagesComing;

    /// <summary>Told of each write of an application that was committed, before its caller is; null without a test.</summary>
    public Func<AtomicWrite, ValueTask>? Written { get; set; }

    /// <summary>Has the work done, and tells its result once it is committed.</summary>
    /// <param name="work">What to do.</param>
    /// <param name="cancellationToken">Gives up while the work waits. What is part of a group already is carried through.</param>
    public async ValueTask<TResult> SubmitAsync<TResult>(Work<TResult> work, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (!await _permits.WaitAsync(options.CommandTimeout, cancellationToken).ConfigureAwait(false))
        {
            throw Late($"{options.MaxPendingWrites} others wait already (KvStoreOptions.MaxPendingWrites)");
        }

        try
        {
            if (Enter(work))
            {
                if (work.Yields)
                {
                    // To the end of the pool's line, so behind what the caller's thread has set off itself.
                    await Task.Yield();
                }

                if (!work.Task.IsCompleted && TryLead())
                {
                    await LeadAsync(work.Task).ConfigureAwait(false);
                }
            }

            if (work.Task.IsCompleted || !cancellationToken.CanBeCanceled)
            {
                return await work.Task.ConfigureAwait(false);
            }

            var giveUp = cancellationToken.UnsafeRegister(
                static (state, token) =>
                {
                    if (((Work)state!).TryCancel())
                    {
                        ((Work)state).Cancel(token);
                    }
                },
                work);
            await using (giveUp.ConfigureAwait(false))
            {
                return await work.Task.ConfigureAwait(false);
            }
        }
        finally
        {
            _permits.Release();
        }
    }

    /// <summary>Lets the group that runs finish; what waits, and what comes later, fails.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            if (!_busy)
            {
                FailWaiting();
                _idle.SetResult();
            }
        }

        // A group may run on the task of its leader, which is not awaited here: the last one to leave tells.
        await _idle.Task.ConfigureAwait(false);
        await _drain.ConfigureAwait(false);
        if (_timer is not null)
        {
            await _timer.DisposeAsync().ConfigureAwait(false);
        }

        await runner.EndAsync().ConfigureAwait(false);
    }

    /// <returns>Whether the pipeline is idle.</returns>
    private bool Enter(Work work)
    {
        lock (_gate)
        {
            StoreDisposed.ThrowIf(_disposed);
            _waiting.Enqueue(work);
            if (_busy && !_watched)
            {
                // One look for all callers that wait, so that none of them costs a timer.
                _watched = true;
                Watch(options.CommandTimeout);
            }

            return !_busy;
        }
    }

    /// <returns>Whether the caller is to lead: there is work, and no other caller has come to lead meanwhile.</returns>
    private bool TryLead()
    {
        lock (_gate)
        {
            if (_busy || _waiting.Count == 0)
            {
                return false;
            }

            _busy = true;
            return true;
        }
    }

    // A leader stays until its own work is done; those that came meanwhile get a task of their own, which the pipeline owns.
    // Nothing of theirs goes along: a group is many callers' work, and what it brings sets off more.
    private async Task LeadAsync(Task? own)
    {
        Detached.Enter();
        while (Next() is { } group)
        {
            try
            {
                AddClaims(group);
                group.Claims.ForEach(static claim => claim.Begin());
                await runner.RunAsync(group).ConfigureAwait(false);
            }
            catch (Exception error)
            {
                // A defect: it must not stop the groups after this one.
                foreach (var work in group.All)
                {
                    work.Fail(error);
                }
            }

            if (own is { IsCompleted: true })
            {
                lock (_gate)
                {
                    if (_waiting.Count == 0)
                    {
                        Leave();
                    }
                    else
                    {
                        _drain = Detached.RunAsync(() => LeadAsync(own: null));
                    }
                }

                return;
            }
        }
    }

    // A claim that shares the commit of the messages which it is to find costs no commit of its own.
    private void AddClaims(CommitGroup group)
    {
        if (MessagesComing is { } coming && group.DueMessages() is { Count: > 0 } due)
        {
            foreach (var ask in Delegate.EnumerateInvocationList(coming))
            {
                if (ask(due) is { } claim && claim.TryTake())
                {
                    group.Add(claim);
                }
            }
        }
    }

    private CommitGroup? Next()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                FailWaiting();
            }

            var group = new CommitGroup();
            var size = 0;
            while (group.Count < MaxGroupWrites && size < MaxGroupSize && _waiting.TryDequeue(out var work))
            {
                if (work.TryTake())
                {
                    group.Add(work);
                    size += work.Size;
                }
            }

            if (group.Count > 0)
            {
                return group;
            }

            Leave();
            return null;
        }
    }

    // With nothing of the caller that happens to come first: the timer outlives the call.
    private void Watch(TimeSpan after)
    {
        if (_timer is null && !ExecutionContext.IsFlowSuppressed())
        {
            using var alone = ExecutionContext.SuppressFlow();
            Watch(after);
            return;
        }

        _timer ??= TimeProvider.System.CreateTimer(
            static pipeline => ((CommitPipeline)pipeline!).FailLate(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _timer.Change(after, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Answers the callers whose time is over while they wait behind a group that does not come to an end.</summary>
    private void FailLate()
    {
        lock (_gate)
        {
            while (_waiting.TryPeek(out var work))
            {
                var left = options.CommandTimeout - TimeProvider.System.GetElapsedTime(work.AskedAt);
                if (left > TimeSpan.Zero)
                {
                    Watch(left);
                    return;
                }

                _waiting.Dequeue();
                if (work.TryTake())
                {
                    work.Fail(runner.Trouble ?? Late("the writes before it have not come to an end"));
                }
            }

            _watched = false;
        }
    }

    private KvException Late(string why) => new(
        KvErrorKind.Unavailable,
        $"The write was not begun within {options.CommandTimeout.TotalSeconds:0.#} seconds: {why}. Nothing was written; try again later.");

    private void FailWaiting()
    {
        while (_waiting.TryDequeue(out var work))
        {
            work.Fail(StoreDisposed.Error("The store was disposed while the write waited. Nothing was written."));
        }
    }

    private void Leave()
    {
        _busy = false;
        if (_disposed)
        {
            _idle.SetResult();
        }
    }
}
