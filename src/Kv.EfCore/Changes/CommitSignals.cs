
namespace Kv.Changes;

/// <summary>Tells what waits in this process what a commit brought: never before the commit.</summary>
internal sealed class CommitSignals(TimeProvider time)
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _changed = New();
    private long _told;
    private long _sweepAt = long.MaxValue;
    private bool _ended;

    /// <summary>Something expires earlier than before.</summary>
    public Signal Expiry { get; } = new();

    /// <summary>When the sweeper looks next, as a timestamp of the store's time: only what expires before wakes it.</summary>
    public long SweepAt
    {
        get => Interlocked.Read(ref _sweepAt);
        set => Interlocked.Exchange(ref _sweepAt, value);
    }

    /// <summary>The sweeper looks again after a time.</summary>
    public void SweepsIn(TimeSpan wait) => SweepAt = time.GetTimestamp() + (long)(wait.TotalSeconds * time.TimestampFrequency);

    /// <summary>Messages came into the queue, or may have: workers look.</summary>
    public event Action? MessagesQueued;

    /// <summary>
    /// A commit of this process left messages that are due at once: workers may claim without a look. Raised before
    /// <see cref="MessagesQueued"/>.
    /// </summary>
    public event Action? MessagesDue;

    /// <summary>A message that runs is to be cancelled, or may be.</summary>
    public event Action? CancelRequested;

    /// <summary>Schedules were changed, or may have been.</summary>
    public event Action? SchedulesChanged;

    /// <summary>Something was committed here that other processes wait for, too: what it is, and the version that it took, or 0.</summary>
    public event Action<ChangeKinds, long>? ForOthers;

    /// <summary>The versions that this process has seen.</summary>
    public SeenVersions Seen { get; } = new();

    /// <summary>Done when something is committed from now on: taken before a look, it tells of what the look may have missed.</summary>
    public Task NextChange
    {
        get
        {
            lock (_gate)
            {
                return _changed.Task;
            }
        }
    }

    /// <summary>A commit of this process has come through.</summary>
    /// <param name="commit">What it brought.</param>
    /// <param name="era">When it was begun.</param>
    public void Committed(in CommitSummary commit, SeenVersions.Era era)
    {
        if (commit.Version > 0)
        {
            Seen.Learn(era, commit.Version, commit.IsDurable);
            Change(commit.Version);
        }

        if (commit.SoonestExpiry < UntilSweep())
        {
            Expiry.Set();
        }

        if (commit.HasDue)
        {
            MessagesDue?.Invoke();
        }

        var what = (commit.Version > 0 ? ChangeKinds.Version : ChangeKinds.None)
            | (commit.HasQueued ? ChangeKinds.Messages : ChangeKinds.None);
        Tell(what, commit.Version);
    }

    /// <summary>
    /// Has all watchers, workers and schedulers look, in this process and the others, for what a commit brought that is no group's.
    /// </summary>
    public void Wake(ChangeKinds what) => Tell(what, version: 0);

    /// <summary>Has what waits in this process look.</summary>
    public void Raise(ChangeKinds what)
    {
        if (what.HasFlag(ChangeKinds.Version))
        {
            Change(0);
        }

        if (what.HasFlag(ChangeKinds.Messages))
        {
            MessagesQueued?.Invoke();
        }

        if (what.HasFlag(ChangeKinds.Cancel))
        {
            CancelRequested?.Invoke();
        }

        if (what.HasFlag(ChangeKinds.Schedules))
        {
            SchedulesChanged?.Invoke();
        }
    }

    /// <summary>A look has found a version in the database: watchers look if it is another one than they were last told of.</summary>
    /// <param name="before">What was known before the look began.</param>
    /// <param name="found">The version.</param>
    public void Look(SeenVersion before, long found)
    {
        Seen.Look(before, found);
        if (Interlocked.Read(ref _told) != found)
        {
            Change(found);
        }
    }

    /// <summary>No more will come: releases what waits for a version.</summary>
    public void End()
    {
        lock (_gate)
        {
            _ended = true;
            _changed.TrySetResult();
        }
    }

    /// <summary>Waits for a change.</summary>
    /// <param name="change">From <see cref="NextChange"/>, taken before what it is about was looked at.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <param name="longest">How long to wait, as the store's time goes; null for as long as it takes.</param>
    /// <returns>False if the wait was cancelled, or there is nothing more to wait for.</returns>
    public async ValueTask<bool> TryWaitAsync(Task change, CancellationToken cancellationToken, TimeSpan? longest = null)
    {
        await change.WaitAsync(longest ?? Timeout.InfiniteTimeSpan, time, cancellationToken)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (_gate)
        {
            return !_ended && !cancellationToken.IsCancellationRequested;
        }
    }

    /// <summary>Wakes watchers.</summary>
    /// <param name="version">The version that they are told of; 0 if it is not known.</param>
    private void Change(long version)
    {
        TaskCompletionSource changed;
        lock (_gate)
        {
            if (_ended)
            {
                return;
            }

            Interlocked.Exchange(ref _told, version);
            changed = _changed;
            _changed = New();
        }

        changed.TrySetResult();
    }

    private double UntilSweep() =>
        SweepAt is < long.MaxValue and var at ? time.GetElapsedTime(time.GetTimestamp(), at).TotalMilliseconds : long.MaxValue;

    private void Tell(ChangeKinds what, long version)
    {
        if (what != ChangeKinds.None)
        {
            ForOthers?.Invoke(what, version);
            Raise(version > 0 ? what & ~ChangeKinds.Version : what);
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
