namespace Kv.Worker;

/// <summary>How the worker's rounds go, for the health check: a failure counts until a round succeeds.</summary>
internal sealed class WorkerHealth
{
    private readonly Lock _gate = new();
    private Exception? _error;
    private long _since;
    private int _failures;

    /// <summary>A round succeeded.</summary>
    public void Succeeded()
    {
        lock (_gate)
        {
            (_error, _failures) = (null, 0);
        }
    }

    /// <summary>A round failed.</summary>
    /// <returns>How many failed in a row.</returns>
    public int Failed(Exception error, TimeProvider time)
    {
        lock (_gate)
        {
            if (_failures == 0)
            {
                _since = time.GetTimestamp();
            }

            _error = error;
            return ++_failures;
        }
    }

    /// <summary>How often rounds failed in a row, for how long, and what failed last.</summary>
    public (int Failures, TimeSpan For, Exception? Error) Look(TimeProvider time)
    {
        lock (_gate)
        {
            return (_failures, _failures == 0 ? TimeSpan.Zero : time.GetElapsedTime(_since), _error);
        }
    }
}
