namespace Kv.Diagnostics;

/// <summary>How the worker's rounds and its schedules go, for the health check: a failure counts until the next success.</summary>
internal sealed class WorkerHealth
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (int Failures, long Since, Exception Error)> _loops = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, (int Failures, long Since, Exception Error)> _schedules = new(StringComparer.Ordinal);

    /// <summary>A round of a loop succeeded.</summary>
    public void Succeeded(string loop)
    {
        lock (_gate)
        {
            _loops.Remove(loop);
        }
    }

    /// <summary>A round of a loop failed.</summary>
    /// <returns>How many failed in a row.</returns>
    public int Failed(string loop, Exception error, TimeProvider time) => Failed(_loops, loop, error, time);

    /// <summary>A schedule did what was due.</summary>
    /// <returns>How often it had failed before, in a row.</returns>
    public int ScheduleSucceeded(string name)
    {
        lock (_gate)
        {
            return _schedules.Remove(name, out var failing) ? failing.Failures : 0;
        }
    }

    /// <summary>A schedule failed by a fault of its own.</summary>
    /// <returns>How often in a row.</returns>
    public int ScheduleFailed(string name, Exception error, TimeProvider time) => Failed(_schedules, name, error, time);

    /// <summary>Whether the last that is known of a schedule is a failure.</summary>
    public bool IsFailing(string name)
    {
        lock (_gate)
        {
            return _schedules.ContainsKey(name);
        }
    }

    /// <summary>Of the loop that has been failing for the longest time: how often in a row, for how long, and why.</summary>
    public (int Failures, TimeSpan For, Exception? Error) Look(TimeProvider time)
    {
        lock (_gate)
        {
            return _loops.Count == 0
                ? default
                : _loops.Values.Select(f => (f.Failures, time.GetElapsedTime(f.Since), (Exception?)f.Error)).MaxBy(static f => f.Item2);
        }
    }

    /// <summary>The schedules that fail by a fault of their own: how often in a row, for how long, and why.</summary>
    public IReadOnlyList<(string Name, int Failures, TimeSpan For, Exception Error)> FailingSchedules(TimeProvider time)
    {
        lock (_gate)
        {
            return [.. _schedules.Select(s => (s.Key, s.Value.Failures, time.GetElapsedTime(s.Value.Since), s.Value.Error))];
        }
    }

    private int Failed(
        IDictionary<string, (int Failures, long Since, Exception Error)> failing, string name, Exception error, TimeProvider time)
    {
        lock (_gate)
        {
            var (failures, since) = failing.TryGetValue(name, out var before) ? (before.Failures, before.Since) : (0, time.GetTimestamp());
            failing[name] = (failures + 1, since, error);
            return failures + 1;
        }
    }
}
