using Kv.Time;

namespace Kv.TestKit;

/// <summary>
/// The clock of the public kit for loops that run by themselves: it moves through all timers on the way, and its wall clock can be set.
/// </summary>
public sealed class ManualTime : TimeProvider
{
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
    /// <param name="loops">How many.</param>
    /// <param name="patience">How long by the system's clock; only a hang takes so long.</param>
    public async Task WhenRestingAsync(int loops, TimeSpan patience)
    {
        while (true)
        {
            // Asked for before the look, so that no timer which is armed meanwhile is missed.
            var armed = _clock.WhenArmed;
            if (_clock.ArmedOnce >= loops)
            {
                return;
            }

            await armed.WaitAsync(patience, System);
        }
    }
}
