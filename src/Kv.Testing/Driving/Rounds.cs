using Kv.Connections;
using Kv.Diagnostics;
using Kv.Messages;
using Kv.Schedules;
using Kv.Setup;
using Kv.Store;
using Kv.Worker;

namespace Kv.Driving;

/// <summary>The worker of a store and its schedules, which run when the driver says.</summary>
/// <param name="store">The store.</param>
/// <param name="worker">Its worker; null if it has none.</param>
/// <param name="scheduler">What ticks its schedules; null if it has no worker.</param>
/// <param name="registration">Its handlers and schedules; null if it has no worker.</param>
/// <param name="next">Makes another worker, for the time after the end of one.</param>
internal sealed class Rounds(
    KvStore store, KvWorker? worker, Scheduler? scheduler, WorkerRegistration? registration, Func<KvWorker>? next = null)
{
    private readonly ScheduleEntries _entries = new(store);
    private KvWorker? _worker = worker;
    private int _failures;
    private bool _sweepFailed;
    private TimeSpan _pause;
    private TimeSpan _schedulePause;
    private DateTimeOffset _beatAt;

    public KvStore Store => store;

    /// <summary>The worker; null if there is none, or it was killed.</summary>
    public KvWorker? Worker => _worker;

    /// <summary>The worker that took the place of one that was killed; null if that has not happened.</summary>
    public KvWorker? Successor { get; private set; }

    public WorkerRegistration? Registration => registration;

    private IReadOnlyList<TopicClaim> Topics =>
        [.. registration?.Handlers.Handled.Select(static topic => new TopicClaim(topic, 1, TimeSpan.FromSeconds(1))) ?? []];

    private DateTimeOffset Now => store.Engine.Clock.Time.GetUtcNow();

    /// <summary>Does once what is due.</summary>
    /// <returns>Whether there may be more.</returns>
    public async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        var more = await RunSchedulesAsync(cancellationToken).ConfigureAwait(false);
        _sweepFailed = !await TryAsync(() => SweepAsync(cancellationToken)).ConfigureAwait(false);
        if (_worker is { } current)
        {
            var went = await TryAsync(async () => _pause = await current.RunRoundAsync(cancellationToken).ConfigureAwait(false))
                .ConfigureAwait(false);
            _failures = went ? 0 : _failures + 1;
            _pause = went ? _pause : Backoff.AfterRounds(_failures);
            more |= _pause <= TimeSpan.Zero;
        }

        return more;
    }

    /// <summary>The worker's process ends.</summary>
    public void Kill()
    {
        _worker?.Kill();
        _worker = null;
    }

    /// <summary>Starts a worker if there is none any more.</summary>
    public async Task RestartAsync(Action<KvWorker> prepare, CancellationToken cancellationToken)
    {
        if (_worker is null && next is not null)
        {
            var successor = next();
            prepare(successor);
            await successor.StartAsync(cancellationToken).ConfigureAwait(false);
            (_worker, Successor, _pause, _failures) = (successor, successor, TimeSpan.Zero, 0);
        }
    }

    /// <summary>Enqueues once what is due of the schedules.</summary>
    /// <returns>Whether there may be more.</returns>
    public async Task<bool> RunSchedulesAsync(CancellationToken cancellationToken)
    {
        // It ends and begins with the worker.
        if (scheduler is null || _worker is null)
        {
            return false;
        }

        var went = await TryAsync(async () => _schedulePause = await scheduler.RunRoundAsync(cancellationToken).ConfigureAwait(false))
            .ConfigureAwait(false);
        _schedulePause = went ? _schedulePause : Backoff.AfterTicks(1);
        return _schedulePause <= TimeSpan.Zero;
    }

    /// <summary>Extends the leases of what runs, as the heartbeat of a worker does by itself.</summary>
    public async Task BeatAsync()
    {
        if (_worker is { Running.Count: > 0 })
        {
            _beatAt = Now;

            // It blocks its thread.
            await Task.Run(_worker.Heartbeat.Beat).ConfigureAwait(false);
        }
    }

    /// <summary>Extends the leases if that is due.</summary>
    public Task BeatIfDueAsync() => _worker is not null && Now - _beatAt >= _worker.Heartbeat.Interval ? BeatAsync() : Task.CompletedTask;

    /// <summary>The next moments at which something is due; none has passed.</summary>
    public async Task<List<DateTimeOffset>> NextAsync(CancellationToken cancellationToken)
    {
        List<DateTimeOffset> times = [];
        if (!await TryAsync(() => AddNextAsync(times, cancellationToken)).ConfigureAwait(false))
        {
            times.Add(Now + Backoff.AfterRounds(1));
        }

        return times;
    }

    private async Task AddNextAsync(List<DateTimeOffset> times, CancellationToken cancellationToken)
    {
        var (now, expiry, _) = await store.Engine.Reader.NextExpiryAsync(cancellationToken).ConfigureAwait(false);
        if (expiry > now)
        {
            times.Add(DateTimeOffset.FromUnixTimeMilliseconds(expiry.Value));
        }
        else if (_sweepFailed)
        {
            times.Add(Now + Backoff.AfterSweep);
        }

        if (_worker is not null)
        {
            var (due, deferred, lapse, _) = await store.Engine.Queue.NextDueAsync(Topics, cancellationToken).ConfigureAwait(false);
            Add(times, now + due, _pause);
            Add(times, now + deferred, _pause);
            Add(times, now + lapse, _pause);
            if (_worker.Running.Count > 0)
            {
                times.Add(_beatAt + _worker.Heartbeat.Interval);
            }
        }

        if (scheduler is not null && _worker is not null)
        {
            await foreach (var (name, _, state) in _entries.ListAsync(cancellationToken).ConfigureAwait(false))
            {
                if (state is { Paused: false } && (state.Message is not null || registration?.Schedules.Find(name) is not null))
                {
                    Add(times, state.Next, _schedulePause);
                }
            }
        }
    }

    private async Task SweepAsync(CancellationToken cancellationToken)
    {
        var (now, expiry, _) = await store.Engine.Reader.NextExpiryAsync(cancellationToken).ConfigureAwait(false);
        if (expiry <= now)
        {
            await store.Engine.Sweeper.SweepAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    // A loop outlives what a test has asked for, as any error; other errors are the test's to hear of.
    private static async Task<bool> TryAsync(Func<Task> round)
    {
        try
        {
            await round().ConfigureAwait(false);
            return true;
        }
        catch (Exception error) when (FailPoints.IsInjected(error))
        {
            return false;
        }
    }

    // What is due and was not done waits for something that is not known here: it is looked at again when its loop would look.
    private void Add(List<DateTimeOffset> times, long? at, TimeSpan pause)
    {
        if (at is not { } milliseconds)
        {
            return;
        }

        var now = Now;
        var longest = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();
        var time = DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(milliseconds, 0, longest));
        times.Add(time > now ? time : now + (pause > TimeSpan.Zero ? pause : TimeSpan.FromMilliseconds(1)));
    }
}
