using Kv.Connections;

namespace Kv.Worker;

/// <summary>Notices when the system's clock is set: deadlines that were written before do not mean then what they say.</summary>
/// <remarks>
/// Within one lease of the step every living worker extends what it runs, by the clock as it is set. So a worker that waits that long takes
/// nothing from the living. A step that happened before the worker began stays unnoticed, so its beginning may count as one.
/// </remarks>
/// <param name="time">The clock.</param>
/// <param name="lease">The longest lease.</param>
/// <param name="begins">Whether a step may have come just before.</param>
internal sealed class ClockGuard(TimeProvider time, TimeSpan lease, bool begins = false)
{
    private readonly ClockSteps _steps = new(time);
    private long? _steppedAt = begins ? time.GetTimestamp() : null;
    private bool _wasSetBack;

    /// <summary>The longest lease.</summary>
    public TimeSpan Lease => lease;

    /// <summary>Looks at the clock.</summary>
    /// <returns>Whether it was set since the last look.</returns>
    public bool HasStepped()
    {
        var step = _steps.Look();
        if (step == TimeSpan.Zero)
        {
            return false;
        }

        _steppedAt = time.GetTimestamp();
        _wasSetBack |= step < TimeSpan.Zero;
        return true;
    }

    /// <summary>Whether deadlines can be believed.</summary>
    public bool IsSteady => _steppedAt is not { } at || time.GetElapsedTime(at) >= lease;

    /// <summary>
    /// Whether a message with a deadline far ahead runs in no worker that lives: the clock was set back, and living workers have extended
    /// what they run since.
    /// </summary>
    public bool LeftDeadlinesBehind => _wasSetBack && IsSteady;

    /// <summary>What was left behind is looked after.</summary>
    public void Forget() => _wasSetBack = false;
}
