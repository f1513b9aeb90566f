namespace Kv.Worker;

/// <summary>How the worker's rounds go, for the health check: a failure counts until a round succeeds.</summary>
internal sealed class WorkerHealth
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (int Failures, long Since, Exception Error)> _failing = new(StringComparer.Ordinal);

    /// <summary>A round of a loop succeeded.</summary>
    public void Succeeded(string loop)
    {
        lock (_gate)
        {
            _failing.Remove(loop);
        }
    }

    /// <summary>A round of a loop failed.</summary>
    /// <returns>How many failed in a row.</returns>
    public int Failed(string loop, Exception error, TimeProvider time)
    {
        lock (_gate)
        {
            var (failures, since) = _failing.TryGetValue(loop, out var before) ? (before.Failures, before.Since) : (0, time.GetTimestamp());
            _failing[loop] = (failures + 1, since, error);
            return failures + 1;
        }
    }

    /// <summary>Of the loop that has been failing for the longest time: how often in a row, for how long, and why.</summary>
    public (int Failures, TimeSpan For, Exception? Error) Look(TimeProvider time)
    {
        lock (_gate)
        {
            return _failing.Count == 0 ? default : _failing.Values.Select(f => (f.Failures, time.GetElapsedTime(f.Since), (Exception?)f.Error)).MaxBy(static f => f.Item2);
        }
    }
}
