namespace Kv.Worker;

/// <summary>Notices when somebody sets the system's clock: deadlines that were written before do not mean then what they say.</summary>
/// <remarks>
/// Within one lease of the step every living worker extends what it holds, by the clock as it is set. So who waits that long takes nothing
/// from the living. A step that happened while no worker ran here stays unnoticed.
/// </remarks>
internal sealed class SteadyClock(TimeProvider time, TimeSpan lease)
{
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(1);
    private (DateTimeOffset Wall, long Monotonic) _last = (time.GetUtcNow(), time.GetTimestamp());
    private long? _steppedAt;

    /// <summary>Looks at the clock.</summary>
    /// <returns>Whether it was set since the last look.</returns>
    public bool HasStepped()
    {
        var (wall, monotonic) = (time.GetUtcNow(), time.GetTimestamp());
        var step = (wall - _last.Wall - time.GetElapsedTime(_last.Monotonic, monotonic)).Duration();
        _last = (wall, monotonic);
        if (step <= Tolerance)
        {
            return false;
        }

        _steppedAt = monotonic;
        return true;
    }

    /// <summary>Whether deadlines can be believed.</summary>
    public bool IsSteady => _steppedAt is not { } at || time.GetElapsedTime(at) >= lease;
}
