using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>Looks for the commits of other processes, for as long as somebody watches.</summary>
internal sealed class ChangePoller(
    SnapshotReader reader, CommitSignals signals, StoreClock clock, KvStoreOptions options, ILogger logger, CancellationToken stop)
{
    private readonly Lock _gate = new();
    private Task _loop = Task.CompletedTask;
    private bool _running;
    private int _watchers;

    /// <summary>The loop, for those who wait for its end.</summary>
    public Task Completion
    {
        get
        {
            lock (_gate)
            {
                return _loop;
            }
        }
    }

    public void Enter()
    {
        lock (_gate)
        {
            _watchers++;
            if (!_running)
            {
                _running = true;
                _loop = Task.Run(RunAsync, CancellationToken.None);
            }
        }
    }

    public void Leave()
    {
        lock (_gate)
        {
            _watchers--;
        }
    }

    private async Task RunAsync()
    {
        while (IsWatched())
        {
            try
            {
                await Task.Delay(options.WatchInterval, clock.Time, stop).ConfigureAwait(false);
                signals.Advance(await reader.VersionAsync(stop).ConfigureAwait(false));
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                KvLog.PollFailed(logger, error);
            }
        }
    }

    // The last watcher's leaving is noticed at the next look.
    private bool IsWatched()
    {
        lock (_gate)
        {
            return _running = _watchers > 0;
        }
    }
}
