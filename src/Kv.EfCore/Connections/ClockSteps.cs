namespace Kv.Connections;

/// <summary>Notices when the system's clock is set: it moves by more than what has passed.</summary>
internal sealed class ClockSteps(TimeProvider time)
{
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(1);
    private (DateTimeOffset Wall, long Monotonic) _last = (time.GetUtcNow(), time.GetTimestamp());

    /// <summary>Looks at the clock.</summary>
    /// <returns>By how much it was set since the last look, negative for back; zero if it was not.</returns>
    public TimeSpan Look()
    {
        var (wall, monotonic) = (time.GetUtcNow(), time.GetTimestamp());
        var step = wall - _last.Wall - time.GetElapsedTime(_last.Monotonic, monotonic);
        _last = (wall, monotonic);
        return step.Duration() <= Tolerance ? TimeSpan.Zero : step;
    }
}
