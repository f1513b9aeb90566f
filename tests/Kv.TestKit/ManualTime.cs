using Kv.Time;

namespace Kv.TestKit;

/// <summary>
/// The clock of the public kit for loops that run by themselves: it moves through all timers on the way, and its wall clock can be set.
/// </summary>
public sealed class ManualTime : TimeProvider
{
    // By the system's clock; only a hang takes so long.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly TestClock _clock = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    // Timers and timestamps go by what has passed, so a wall clock that is set back does not hold them up.
    private long _ahead;

    /// <summary>When the next timer fires; null if none is set.</summary>
    public DateTimeOffset? NextTimer => _clock.NextTimer + Ahead;

    public override long TimestampFrequency => _clock.TimestampFrequency;

    private TimeSpan Ahead => TimeSpan.FromTicks(Volatile.Read(ref _ahead));

    public override DateTimeOffset GetUtcNow() => _clock.GetUtcNow() + Ahead;

    public override long GetTimestamp() => _clock.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        _clock.CreateTimer(callback, state, dueTime, period);

    /// <summary>Moves the clock, through every timer on the way.</summary>
    public void Advance(TimeSpan by)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        _clock.FireAll(_clock.GetUtcNow() + by);
    }

    /// <summary>Moves the clock to a time. Back in time, only the wall clock is set, as an administrator would.</summary>
    public void SetUtcNow(DateTimeOffset now)
    {
        var by = now - GetUtcNow();
        if (by < TimeSpan.Zero)
        {
            Step(by);
            return;
        }

        Advance(by);
    }

    /// <summary>Sets the wall clock alone, forward or back: nothing has passed.</summary>
    public void Step(TimeSpan by) => Interlocked.Add(ref _ahead, by.Ticks);

    /// <summary>Waits until so many loops rest: each has a timer that fires once, and one that works has none.</summary>
    public Task WhenRestingAsync(int loops) => WhenAsync(() => _clock.ArmedOnce >= loops);

    /// <summary>Waits until the next timer is one that fits, such as that of a loop which has seen what was written.</summary>
    public Task WhenNextTimerAsync(Func<DateTimeOffset?, bool> fits) => WhenAsync(() => fits(NextTimer));

    private async Task WhenAsync(Func<bool> holds)
    {
        while (true)
        {
            // Asked for before the look, so that no change is missed that comes meanwhile.
            var changed = _clock.WhenChanged;
            if (holds())
            {
                return;
            }

            try
            {
                await changed.WaitAsync(Patience, System);
            }
            catch (TimeoutException error)
            {
                throw new TimeoutException(
                    $"For {Patience} no timer was set, fired or went. It is {GetUtcNow():O}, the next timer is {NextTimer:O}, and "
                    + $"{_clock.ArmedOnce} fire once.",
                    error);
            }
        }
    }
}
