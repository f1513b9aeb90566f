namespace Kv.Time;

/// <summary>
/// A clock that stands still until the test moves it. Timers fire in the order of their times, on the thread that moves the clock.
/// </summary>
internal sealed class TestClock(DateTimeOffset start) : TimeProvider
{
    private readonly Lock _gate = new();
    private readonly List<TestTimer> _timers = [];
    private readonly AsyncLocal<object?> _owner = new();
    private TaskCompletionSource _changed = New();
    private long _passed;

    /// <summary>Whose timers are made in this flow of calls; null for nothing that the test waits for.</summary>
    public object? Owner
    {
        get => _owner.Value;
        set => _owner.Value = value;
    }

    /// <summary>When the next timer fires; null if none is armed.</summary>
    public DateTimeOffset? NextTimer
    {
        get
        {
            lock (_gate)
            {
                return _timers.Min(static timer => timer.DueAt) is { } due ? start + TimeSpan.FromTicks(due) : null;
            }
        }
    }

    /// <summary>Done when a timer is armed, fires or goes after this was asked for.</summary>
    public Task WhenChanged
    {
        get
        {
            lock (_gate)
            {
                return _changed.Task;
            }
        }
    }

    /// <summary>How many timers are armed that fire once, and not by a period.</summary>
    public int ArmedOnce
    {
        get
        {
            lock (_gate)
            {
                return _timers.Count(static timer => timer.DueAt is not null && timer.Period == Timeout.InfiniteTimeSpan);
            }
        }
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    // What has passed is all that moves: both readings follow from it, so no reader sees one without the other.
    public override DateTimeOffset GetUtcNow() => start + TimeSpan.FromTicks(GetTimestamp());

    public override long GetTimestamp() => Volatile.Read(ref _passed);

    /// <summary>Whether a timer is armed that was made in the flow of an owner.</summary>
    public bool HasTimerOf(object owner)
    {
        lock (_gate)
        {
            return _timers.Exists(timer => timer.DueAt is not null && ReferenceEquals(timer.Owner, owner));
        }
    }

    /// <summary>Forgets the timers that were made in the flow of an owner: what waits for them waits for ever.</summary>
    public void DropTimersOf(object owner)
    {
        lock (_gate)
        {
            _timers.RemoveAll(timer => ReferenceEquals(timer.Owner, owner));
        }
    }

    /// <summary>Moves the clock forward: to the next timer, which it fires, or to a time if there is none until then.</summary>
    /// <returns>Whether a timer fired.</returns>
    public bool Fire(DateTimeOffset until)
    {
        if (MoveToNext((until - start).Ticks) is not { } timer)
        {
            return false;
        }

        timer.Fire();
        return true;
    }

    /// <summary>Moves the clock forward to a time, and fires each timer on the way at its own.</summary>
    public void FireAll(DateTimeOffset until)
    {
        while (Fire(until))
        {
            // What a timer sets is on the way as well.
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new TestTimer(this, callback, state, Owner);
        timer.Change(dueTime, period);
        return timer;
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Moves to the next timer that is due until then, or to the end.</summary>
    private TestTimer? MoveToNext(long end)
    {
        lock (_gate)
        {
            var next = _timers.Where(timer => timer.DueAt <= end).MinBy(static timer => timer.DueAt);
            Volatile.Write(ref _passed, Math.Max(_passed, next?.DueAt ?? end));
            next?.Schedule(next.Period);
            TellChanged();
            return next;
        }
    }

    private void TellChanged()
    {
        _changed.TrySetResult();
        _changed = New();
    }

    private sealed class TestTimer(TestClock clock, TimerCallback callback, object? state, object? owner) : ITimer
    {
        // Like the timers of the system, it runs with what its maker had around it.
        private readonly ExecutionContext? _context = ExecutionContext.Capture();
        private bool _isDisposed;

        public object? Owner => owner;

        public long? DueAt { get; private set; }

        public TimeSpan Period { get; private set; }

        public void Fire()
        {
            if (_context is null)
            {
                callback(state);
                return;
            }

            ExecutionContext.Run(_context, static timer => ((TestTimer)timer!).Call(), this);
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (clock._gate)
            {
                if (_isDisposed)
                {
                    return false;
                }

                // Among timers of one moment, the one that was set first fires first.
                clock._timers.Remove(this);
                clock._timers.Add(this);
                Period = period > TimeSpan.Zero ? period : Timeout.InfiniteTimeSpan;
                Schedule(dueTime == TimeSpan.Zero ? Period : dueTime);
                clock.TellChanged();
            }

            if (dueTime == TimeSpan.Zero)
            {
                // Never on the thread that arms it, which may hold a lock that the callback wants.
                ThreadPool.QueueUserWorkItem(static timer => timer.Fire(), this, preferLocal: false);
            }

            return true;
        }

        public void Schedule(TimeSpan dueTime) => DueAt = dueTime == Timeout.InfiniteTimeSpan ? null : clock._passed + dueTime.Ticks;

        public void Dispose()
        {
            lock (clock._gate)
            {
                _isDisposed = true;
                if (clock._timers.Remove(this))
                {
                    clock.TellChanged();
                }
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Call() => callback(state);
    }
}
