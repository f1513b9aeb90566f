
namespace Kv.Changes;

/// <summary>Tells what waits in this process what a commit brought: never before the commit.</summary>
internal sealed class CommitSignals(TimeProvider time)
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _changed = New();
    private long _version;
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

    /// <summary>Something was committed here that other processes wait for, too: what it is, and the version that it took, or 0.</summary>
    public event Action<ChangeKinds, long>? ForOthers;

    /// <summary>The highest version that this process knows to be committed.</summary>
    public long Version => Interlocked.Read(ref _version);

    /// <summary>A commit of this process has come through.</summary>
    public void Committed(in CommitSummary commit)
    {
        if (commit.Version > 0)
        {
            Advance(commit.Version);
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

    /// <summary>Has all watchers and workers look, in this process and the others, for what a commit brought that is no group's.</summary>
    public void Wake(ChangeKinds what) => Tell(what, version: 0);

    /// <summary>Has what waits in this process look.</summary>
    public void Raise(ChangeKinds what)
    {
        if (what.HasFlag(ChangeKinds.Messages))
        {
            MessagesQueued?.Invoke();
        }

        if (what.HasFlag(ChangeKinds.Cancel))
        {
            CancelRequested?.Invoke();
        }
    }

    /// <summary>A version was seen in the database, written by this process or another.</summary>
    public void Advance(long version)
    {
        TaskCompletionSource changed;
        lock (_gate)
        {
            if (version <= _version)
            {
                return;
            }

            Interlocked.Exchange(ref _version, version);
            changed = _changed;
            _changed = New();
        }

        changed.TrySetResult();
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

    /// <summary>Waits until a version above this one is known.</summary>
    /// <returns>False if the wait was cancelled, or there is nothing more to wait for.</returns>
    public async ValueTask<bool> TryWaitAboveAsync(long version, CancellationToken cancellationToken)
    {
        Task changed;
        lock (_gate)
        {
            if (_ended)
            {
                return false;
            }

            if (_version > version)
            {
                return !cancellationToken.IsCancellationRequested;
            }

            changed = _changed.Task;
        }

        await changed.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (_gate)
        {
            return !_ended && !cancellationToken.IsCancellationRequested;
        }
    }

    private double UntilSweep() =>
        SweepAt is < long.MaxValue and var at ? time.GetElapsedTime(time.GetTimestamp(), at).TotalMilliseconds : long.MaxValue;

    private void Tell(ChangeKinds what, long version)
    {
        if (what != ChangeKinds.None)
        {
            ForOthers?.Invoke(what, version);
            Raise(what);
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
