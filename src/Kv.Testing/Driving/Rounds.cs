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
internal sealed class Rounds(KvStore store, KvWorker? worker, Scheduler? scheduler, WorkerRegistration? registration)
{
    private readonly ScheduleEntries _entries = new(store);
    private TimeSpan _pause;
    private TimeSpan _schedulePause;
    private DateTimeOffset _beatAt;

    public KvStore Store => store;

    public KvWorker? Worker => worker;

    public WorkerRegistration? Registration => registration;

    private IReadOnlyList<TopicClaim> Topics =>
        [.. registration?.Handlers.Handled.Select(static topic => new TopicClaim(topic, 1, TimeSpan.FromSeconds(1))) ?? []];

    private DateTimeOffset Now => store.Engine.Clock.Time.GetUtcNow();

    /// <summary>Does once what is due.</summary>
    /// <returns>Whether there may be more.</returns>
    public async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        var more = await RunSchedulesAsync(cancellationToken).ConfigureAwait(false);
        var (now, expiry, _) = await store.Engine.Reader.NextExpiryAsync(cancellationToken).ConfigureAwait(false);
        if (expiry <= now)
        {
            await store.Engine.Sweeper.SweepAsync(cancellationToken).ConfigureAwait(false);
        }

        if (worker is not null)
        {
            _pause = await worker.RunRoundAsync(cancellationToken).ConfigureAwait(false);
            more |= _pause <= TimeSpan.Zero;
        }

        return more;
    }

    /// <summary>Enqueues once what is due of the schedules.</summary>
    /// <returns>Whether there may be more.</returns>
    public async Task<bool> RunSchedulesAsync(CancellationToken cancellationToken)
    {
        if (scheduler is null)
        {
            return false;
        }

        _schedulePause = await scheduler.RunRoundAsync(cancellationToken).ConfigureAwait(false);
        return _schedulePause <= TimeSpan.Zero;
    }

    /// <summary>Extends the leases of what runs, as the heartbeat of a worker does by itself.</summary>
    public async Task BeatAsync()
    {
        if (worker is { Running.Count: > 0 })
        {
            _beatAt = Now;

            // It blocks its thread.
            await Task.Run(worker.Heartbeat.Beat).ConfigureAwait(false);
        }
    }

    /// <summary>Extends the leases if that is due.</summary>
    public Task BeatIfDueAsync() => worker is not null && Now - _beatAt >= worker.Heartbeat.Interval ? BeatAsync() : Task.CompletedTask;

    /// <summary>The next moments at which something is due; none has passed.</summary>
    public async Task<List<DateTimeOffset>> NextAsync(CancellationToken cancellationToken)
    {
        List<DateTimeOffset> next = [];
        var (now, expiry, _) = await store.Engine.Reader.NextExpiryAsync(cancellationToken).ConfigureAwait(false);
        if (expiry > now)
        {
            next.Add(DateTimeOffset.FromUnixTimeMilliseconds(expiry.Value));
        }

        if (worker is not null)
        {
            var (due, deferred, lapse, _) = await store.Engine.Queue.NextDueAsync(Topics, cancellationToken).ConfigureAwait(false);
            Add(next, now + due, _pause);
            Add(next, now + deferred, _pause);
            Add(next, now + lapse, _pause);
            if (worker.Running.Count > 0)
            {
                next.Add(_beatAt + worker.Heartbeat.Interval);
            }
        }

        if (scheduler is not null)
        {
            await foreach (var (name, _, state) in _entries.ListAsync(cancellationToken).ConfigureAwait(false))
            {
                if (state is { Paused: false } && (state.Message is not null || registration?.Schedules.Find(name) is not null))
                {
                    Add(next, state.Next, _schedulePause);
                }
            }
        }

        return next;
    }

    // What is due and was not done waits for something that is not known here: it is looked at again when its loop would look.
    private void Add(List<DateTimeOffset> next, long? at, TimeSpan pause)
    {
        if (at is not { } milliseconds)
        {
            return;
        }

        var now = Now;
        var longest = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();
        var time = DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(milliseconds, 0, longest));
        next.Add(time > now ? time : now + (pause > TimeSpan.Zero ? pause : TimeSpan.FromMilliseconds(1)));
    }
}
