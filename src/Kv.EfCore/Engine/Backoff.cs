namespace Kv.Engine;

/// <summary>Waits between tries: doubling, with jitter so that rivals do not meet again, and bounded in sum.</summary>
/// <remarks>It waits for other processes, which no injected clock moves: the time here is always the system's.</remarks>
internal sealed class Backoff(TimeSpan first, TimeSpan longest, TimeSpan budget)
{
    private readonly long _started = TimeProvider.System.GetTimestamp();
    private TimeSpan _next = first;

    /// <summary>For locks that others hold for about the time of a commit.</summary>
    public static Backoff ForLocks(TimeSpan budget) => new(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(25), budget);

    /// <summary>For servers that are restarting and networks that are cut.</summary>
    public static Backoff ForConnections(TimeSpan budget) => new(TimeSpan.FromMilliseconds(20), TimeSpan.FromSeconds(1), budget);

    /// <summary>Waits for the next try.</summary>
    /// <returns>False when the budget is spent: the caller gives up with the error it has.</returns>
    public async ValueTask<bool> WaitAsync(CancellationToken cancellationToken)
    {
        var delay = _next * (0.5 + Random.Shared.NextDouble());
        if (TimeProvider.System.GetElapsedTime(_started) + delay > budget)
        {
            return false;
        }

        _next = _next * 2 < longest ? _next * 2 : longest;
        await Task.Delay(delay, TimeProvider.System, cancellationToken).ConfigureAwait(false);
        return true;
    }
}
