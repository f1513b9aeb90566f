using System.Collections.Concurrent;

namespace Kv.Simulated;

/// <summary>Watches one key in a process that writes nothing: it sees states that were there, in their order, and the last one.</summary>
internal sealed class Watcher : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly CancellationTokenSource _stop;
    private readonly ConcurrentQueue<(KvVersionstamp? Stamp, string? Text)> _seen = new();
    private readonly Dictionary<KvVersionstamp, string> _history = [];
    private readonly TimeProvider _clock;
    private readonly Task _watching;
    private TaskCompletionSource _news = New();
    private KvVersionstamp _last;
    private (KvVersionstamp? Stamp, string? Text) _latest;

    public Watcher(IKvStore store, TimeProvider clock, CancellationToken cancellationToken)
    {
        _clock = clock;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _watching = Task.Run(() => WatchAsync(store), CancellationToken.None);
    }

    /// <summary>Compares what was seen so far with what was there.</summary>
    /// <returns>Null if it may be; else what may not.</returns>
    public string? Check(IReadOnlyList<World> worlds)
    {
        foreach (var world in worlds)
        {
            if (world.Find(Writes.Watched, _clock.GetUtcNow()) is { } there)
            {
                _history[there.Stamp] = there.Text;
            }
        }

        while (_seen.TryDequeue(out var seen))
        {
            _latest = seen;
            if (seen.Stamp is not { } stamp)
            {
                continue;
            }

            if (stamp < _last)
            {
                return $"a watcher saw {stamp} after {_last}";
            }

            _last = stamp;
            if (_history.TryGetValue(stamp, out var text) && text != seen.Text)
            {
                return $"a watcher saw {seen.Text} at {stamp}, where there was {text}";
            }
        }

        return null;
    }

    /// <summary>Waits until it has seen what is there at last.</summary>
    /// <exception cref="SimulationFailedException">It does not.</exception>
    public async Task EndAsync(IReadOnlyList<World> worlds, Func<TimeSpan, Task> move)
    {
        var since = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var news = Volatile.Read(ref _news).Task;
            if (Check(worlds) is { } fault)
            {
                throw new SimulationFailedException(fault);
            }

            if (worlds.Any(world => world.Find(Writes.Watched, _clock.GetUtcNow()) is var there && there?.Stamp == _latest.Stamp))
            {
                return;
            }

            if (TimeProvider.System.GetElapsedTime(since) > Patience)
            {
                throw new SimulationFailedException($"a watcher does not see what is there, and stays at {_latest.Stamp}");
            }

            // It looks by the clock; the look itself takes real time.
            await move(TimeSpan.FromSeconds(1));
            await Task.WhenAny(news, Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        try
        {
            await _watching;
        }
        catch (OperationCanceledException)
        {
            // The end that was asked for.
        }

        _stop.Dispose();
    }

    private async Task WatchAsync(IKvStore store)
    {
        await foreach (var entries in store.WatchAsync([Writes.Watched], _stop.Token))
        {
            _seen.Enqueue((entries[0]?.Versionstamp, entries[0] is { } entry ? World.Text(entry) : null));
            Interlocked.Exchange(ref _news, New()).TrySetResult();
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
