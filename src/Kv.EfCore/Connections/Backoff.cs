namespace Kv.Connections;

/// <summary>Waits between tries: doubling, with jitter so that rivals do not meet again, and bounded in sum.</summary>
/// <remarks>It waits for other processes, which no injected clock moves: the time here is always the system's.</remarks>
/// <param name="first">The first wait, about.</param>
/// <param name="longest">The longest one.</param>
/// <param name="budget">How long all tries may take together.</param>
/// <param name="startedAt">When the caller began to wait, as <see cref="TimeProvider.System"/> counts; null for now.</param>
internal sealed class Backoff(TimeSpan first, TimeSpan longest, TimeSpan budget, long? startedAt = null)
{
    private readonly long _started = startedAt ?? TimeProvider.System.GetTimestamp();
    private readonly TimeSpan _first = first;
    private TimeSpan _next = first;

    /// <summary>For locks that others hold for about the time of a commit.</summary>
    public static Backoff ForLocks(TimeSpan budget, long? startedAt = null) => new(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(25), budget, startedAt);

    /// <summary>For servers that are restarting and networks that are cut.</summary>
    public static Backoff ForConnections(TimeSpan budget, long? startedAt = null) => new(TimeSpan.FromMilliseconds(20), TimeSpan.FromSeconds(1), budget, startedAt);

    /// <summary>For what a caller wants for as long as it takes.</summary>
    public static Backoff WithoutEnd() => new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5), TimeSpan.MaxValue);

    /// <summary>What is left of the budget.</summary>
    public TimeSpan Left => budget == TimeSpan.MaxValue ? budget : budget - TimeProvider.System.GetElapsedTime(_started);

    /// <summary>Waits for the next try.</summary>
    /// <returns>False when the budget is spent: the caller gives up with the error it has.</returns>
    public async ValueTask<bool> WaitAsync(CancellationToken cancellationToken)
    {
        var left = Left;
        if (left < _first)
        {
            return false;
        }

        // Towards the end the waits become shorter again: what comes back in the last moment is still met.
        var delay = _next * (0.5 + Random.Shared.NextDouble());
        delay = delay < left / 2 ? delay : left / 2;
        _next = _next * 2 < longest ? _next * 2 : longest;
        await Task.Delay(delay, TimeProvider.System, cancellationToken).ConfigureAwait(false);
        return true;
    }
}
