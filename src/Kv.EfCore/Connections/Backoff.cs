namespace Kv.Connections;

/// <summary>Waits between tries: doubling, with jitter so that rivals do not meet again, and bounded in sum.</summary>
/// <remarks>
/// It waits for other processes, which no injected clock moves: the time here is always the system's. The lengths of all waits before
/// another try are here, those of loops that go by an injected clock as well.
/// </remarks>
/// <param name="first">The first wait, about.</param>
/// <param name="longest">The longest one.</param>
/// <param name="budget">How long all tries may take together.</param>
/// <param name="startedAt">When the caller began to wait, as <see cref="TimeProvider.System"/> counts; null for now.</param>
internal sealed class Backoff(TimeSpan first, TimeSpan longest, TimeSpan budget, long? startedAt = null)
{
    /// <summary>How long the sweeper waits after a sweep that failed.</summary>
    public static readonly TimeSpan AfterSweep = TimeSpan.FromSeconds(5);

    /// <summary>How long a look at the version waits at most after one that failed.</summary>
    public static readonly TimeSpan AfterLook = TimeSpan.FromMilliseconds(100);

    /// <summary>How long a message waits whose tokens could not be asked for.</summary>
    public static readonly TimeSpan AfterToken = TimeSpan.FromMilliseconds(500);

    private readonly long _started = startedAt ?? TimeProvider.System.GetTimestamp();
    private readonly TimeSpan _first = first;
    private TimeSpan _next = first;

    /// <summary>For locks that others hold for about the time of a commit.</summary>
    public static Backoff ForLocks(TimeSpan budget, long? startedAt = null) =>
        new(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(25), budget, startedAt);

    /// <summary>For servers that are restarting and networks that are cut.</summary>
    public static Backoff ForConnections(TimeSpan budget, long? startedAt = null) =>
        new(TimeSpan.FromMilliseconds(20), TimeSpan.FromSeconds(1), budget, startedAt);

    /// <summary>For locks where those were in the way, else for connections.</summary>
    public static Backoff For(Fault fault, TimeSpan budget, long? startedAt = null) =>
        fault == Fault.Busy ? ForLocks(budget, startedAt) : ForConnections(budget, startedAt);

    /// <summary>For looks at what may change while a session waits.</summary>
    public static Backoff ForLooks(TimeSpan budget) => new(TimeSpan.FromMilliseconds(20), budget / 2, budget);

    /// <summary>For what a caller wants for as long as it takes.</summary>
    public static Backoff WithoutEnd() => new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5), TimeSpan.MaxValue);

    /// <summary>For the end of a message, which is to be written for as long as its lease lasts.</summary>
    public static Backoff ForEnds() => new(TimeSpan.FromMilliseconds(500), TimeSpan.FromMilliseconds(500), TimeSpan.MaxValue);

    /// <summary>How long a worker's loop waits after so many rounds in a row that failed.</summary>
    public static TimeSpan AfterRounds(int failures) => After(failures, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(2));

    /// <summary>How long a schedule waits after so many failures in a row.</summary>
    public static TimeSpan AfterTicks(int failures) => After(failures, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));

    /// <summary>What is left of the budget.</summary>
    public TimeSpan Left => budget == TimeSpan.MaxValue ? budget : budget - TimeProvider.System.GetElapsedTime(_started);

    /// <summary>The error of the try before; null for none.</summary>
    public Exception? Last { get; set; }

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

    private static TimeSpan After(int failures, TimeSpan first, TimeSpan longest)
    {
        var wait = first * Math.Pow(2, Math.Min(failures - 1, 10));
        return wait < longest ? wait : longest;
    }
}
