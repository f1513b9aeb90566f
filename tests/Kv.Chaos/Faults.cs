using System.Diagnostics;

namespace Kv.Chaos;

/// <summary>Breaks things at random, and notes when.</summary>
internal sealed class Faults(ChaosDatabase database, IReadOnlyList<WorkerProcess> workers, ChaosOptions options)
{
    private readonly Random _random = new(options.Seed);
    private readonly List<Fault> _made = [];

    public IReadOnlyList<Fault> Made => _made;

    /// <summary>Makes faults until there were enough kills and the run is over.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var started = Stopwatch.GetTimestamp();
        for (var kills = 0; !stop.IsCancellationRequested && (kills < options.Kills || Stopwatch.GetElapsedTime(started) < options.Duration);)
        {
            if (kills < options.Kills && _random.Next(10) < (database.Proxy is null ? 8 : 6))
            {
                await KillAsync();
                kills++;
            }
            else
            {
                await OtherAsync(stop);
            }

            // Evenly over the run; kills that are late come one after the other.
            var pace = options.Duration / Math.Max(options.Kills * 3.0, 1);
            await WaitAsync(pace * (0.5 + _random.NextDouble()), stop);
        }
    }

    private async Task KillAsync()
    {
        var worker = workers[_random.Next(workers.Count)];
        _made.Add(new Fault("kill -9", Sink.Now, worker.Name));
        await worker.KillAsync();
    }

    private Task OtherAsync(CancellationToken stop) => (database.Proxy is null ? 0 : _random.Next(13)) switch
    {
        < 4 => PauseAsync(stop),
        < 7 => TerminateAsync(),
        < 9 => CutAsync(stop),
        < 11 => SwallowAsync(stop),
        _ => CrashAsync(),
    };

    // Longer than a lease: the worker wakes up as one that has lost what it held. It may stop in the middle of a commit, with the version row
    // locked, so the others may lose what they hold as well.
    private async Task PauseAsync(CancellationToken stop)
    {
        var worker = workers[_random.Next(workers.Count)];
        var fault = new Fault("stop and continue", Sink.Now, null);
        worker.Signal("-STOP");
        await WaitAsync(options.Lease * (1.2 + _random.NextDouble()), stop);
        worker.Signal("-CONT");
        _made.Add(fault with { Until = Sink.Now });
    }

    private async Task TerminateAsync()
    {
        var fault = new Fault("terminate backends", Sink.Now, null);
        await database.TerminateAsync(_random.Next(1, 6));
        _made.Add(fault with { Until = Sink.Now });
    }

    private async Task CutAsync(CancellationToken stop)
    {
        var fault = new Fault("cut TCP", Sink.Now, null);
        database.Proxy!.Cut();
        if (_random.Next(3) == 0)
        {
            database.Proxy.Refuse();
            await WaitAsync(TimeSpan.FromMilliseconds(_random.Next(100, 1500)), stop);
            database.Proxy.Heal();
        }

        _made.Add(fault with { Until = Sink.Now });
    }

    // The server does what it is told, and nobody hears of it. A network that comes back loses nothing of a connection that lives on, so they
    // are all cut in the end.
    private async Task SwallowAsync(CancellationToken stop)
    {
        var fault = new Fault("swallow answers", Sink.Now, null);
        database.Proxy!.SwallowReplies();
        await WaitAsync(options.Lease * (0.25 + (_random.NextDouble() * 1.5)), stop);
        database.Proxy.Cut();
        database.Proxy.Heal();
        _made.Add(fault with { Until = Sink.Now });
    }

    private async Task CrashAsync()
    {
        var fault = new Fault("crash PostgreSQL", Sink.Now, null);
        await database.CrashAsync();
        _made.Add(fault with { Until = Sink.Now });
    }

    private static Task WaitAsync(TimeSpan time, CancellationToken stop) =>
        Task.Delay(time, TimeProvider.System, stop).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
}

/// <param name="Kind">What was done.</param>
/// <param name="At">When, in nanoseconds of the machine's monotonic clock.</param>
/// <param name="Worker">To which life of which worker; null for the database, which concerns all.</param>
internal sealed record Fault(string Kind, long At, string? Worker)
{
    /// <summary>When it was over; for a kill, never.</summary>
    public long Until { get; init; } = long.MaxValue;
}
