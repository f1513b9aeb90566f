namespace Kv.TestKit;

/// <summary>
/// A clock that stands still until a test moves it. Timers fire in the order of their times, on the thread that moves the clock.
/// </summary>
public sealed class ManualTime : TimeProvider
{
    private readonly Lock _gate = new();
    private readonly List<ManualTimer> _timers = [];
    private DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    // Timers and timestamps go by what has passed, so a wall clock that is set back does not hold them up.
    private long _passed;
    private TaskCompletionSource? _set;

    /// <summary>When the next timer fires; null if none is set.</summary>
    public DateTimeOffset? NextTimer
    {
        get
        {
            lock (_gate)
            {
                return _timers.Min(static timer => timer.DueAt) is { } due ? _now + TimeSpan.FromTicks(due - _passed) : null;
            }
        }
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_gate)
        {
            return _now;
        }
    }

    public override long GetTimestamp()
    {
        lock (_gate)
        {
            return _passed;
        }
    }

    /// <summary>Moves the clock, through every timer on the way.</summary>
    public void Advance(TimeSpan by)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        long end;
        lock (_gate)
        {
            end = _passed + by.Ticks;
        }

        while (MoveToNext(end) is { } timer)
        {
            timer.Fire();
        }
    }

    /// <summary>Moves the clock to a time. Back in time, only the wall clock is set, as an administrator would.</summary>
    public void SetUtcNow(DateTimeOffset now)
    {
        TimeSpan by;
        lock (_gate)
        {
            by = now - _now;
            if (by < TimeSpan.Zero)
            {
                _now = now;
                return;
            }
        }

        Advance(by);
    }

    /// <summary>Sets the wall clock alone, forward or back: nothing has passed.</summary>
    public void Step(TimeSpan by)
    {
        lock (_gate)
        {
            _now += by;
        }
    }

    /// <summary>Waits until so many loops rest: each has a timer that fires once, and one that works has none.</summary>
    /// <param name="loops">How many.</param>
    /// <param name="patience">How long by the system's clock; only a hang takes so long.</param>
    public async Task WhenRestingAsync(int loops, TimeSpan patience)
    {
        while (true)
        {
            Task set;
            lock (_gate)
            {
                if (_timers.Count(static timer => timer.DueAt is not null && timer.Period == Timeout.InfiniteTimeSpan) >= loops)
                {
                    return;
                }

                _set ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                set = _set.Task;
            }

            await set.WaitAsync(patience, System);
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Moves to the next timer that is due until then, or to the end.</summary>
    private ManualTimer? MoveToNext(long end)
    {
        lock (_gate)
        {
            var next = _timers.Where(timer => timer.DueAt <= end).MinBy(static timer => timer.DueAt);
            var to = Math.Max(_passed, next?.DueAt ?? end);
            _now += TimeSpan.FromTicks(to - _passed);
            _passed = to;
            next?.Schedule(next.Period);
            return next;
        }
    }

    private sealed class ManualTimer(ManualTime time, TimerCallback callback, object? state) : ITimer
    {
        private bool _disposed;

        public long? DueAt { get; private set; }

        public TimeSpan Period { get; private set; }

        public void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (time._gate)
            {
                if (_disposed)
                {
                    return false;
                }

                // Among timers of one moment, the one that was set first fires first.
                time._timers.Remove(this);
                time._timers.Add(this);
                Period = period > TimeSpan.Zero ? period : Timeout.InfiniteTimeSpan;
                Schedule(dueTime == TimeSpan.Zero ? Period : dueTime);
                time._set?.SetResult();
                time._set = null;
            }

            if (dueTime == TimeSpan.Zero)
            {
                Fire();
            }

            return true;
        }

        public void Schedule(TimeSpan dueTime) => DueAt = dueTime == Timeout.InfiniteTimeSpan ? null : time._passed + dueTime.Ticks;

        public void Dispose()
        {
            lock (time._gate)
            {
                _disposed = true;
                time._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
