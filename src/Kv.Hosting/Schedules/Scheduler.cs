using System.Collections.Concurrent;
using Kv.Changes;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Store;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Kv.Schedules;

/// <summary>The hosted service that runs the schedules of a store: those of this program's code, and those that the store holds.</summary>
/// <remarks>Each has a loop of its own, so that one that fails, or whose delegate does not return, holds up no other.</remarks>
internal sealed class Scheduler : BackgroundService
{
    // A look at the clock, not at the database: it may have been set.
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);

    // A change is told of by the process that makes it; where that was not heard, it is found.
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(15);
    private readonly KvStore _store;
    private readonly TimeProvider _time;
    private readonly WorkerHealth _health;
    private readonly ILogger _logger;
    private readonly ScheduleTicker _ticker;
    private readonly ScheduleWatch _watch;
    private readonly ConcurrentDictionary<string, Loop> _loops = new(StringComparer.Ordinal);
    private readonly Signal _changed = new();
    private readonly Lock _gate = new();
    private (long Since, TimeSpan Pause) _outage;
    private CancellationToken? _stopping;

    public Scheduler(
        KvStore store, ScheduleRegistry schedules, string application, TimeProvider time, WorkerHealth health, ILoggerFactory loggers)
    {
        (_store, _time, _health) = (store, time, health);
        _logger = new UnfailingLogger(loggers.CreateLogger("Kv.Scheduler"));
        _ticker = new ScheduleTicker(store, schedules, application, time, health, _logger);
        _watch = new ScheduleWatch(store, schedules, application, time, _logger);
        foreach (var schedule in schedules.All)
        {
            _loops[schedule.Name] = new Loop();
        }
    }

    /// <summary>The store that has the schedules.</summary>
    public KvStore Store => _store;

    private DateTimeOffset Now => _store.Engine.Clock.UtcNow;

    /// <summary>Looks for changes, and gives each schedule a round, one after the other.</summary>
    /// <returns>How long until there may be more.</returns>
    public async Task<TimeSpan> RunRoundAsync(CancellationToken cancellationToken)
    {
        var wait = await LookAsync(cancellationToken).ConfigureAwait(false);
        foreach (var name in _loops.Keys)
        {
            var left = await RunRoundAsync(name, cancellationToken).ConfigureAwait(false);
            wait = left < wait ? left : wait;
        }

        return wait;
    }

    /// <summary>Enqueues what is due of a schedule. What fails is noted and logged.</summary>
    /// <returns>How long until there may be more, or until it is tried again.</returns>
    public async Task<TimeSpan> RunRoundAsync(string name, CancellationToken cancellationToken)
    {
        var round = new ScheduleRound();
        try
        {
            // By the clock that decides for all processes: a server is asked now and then, and what passes until then is reckoned here.
            round.HasAsked = await _store.RefreshTimeAsync(cancellationToken).ConfigureAwait(false);
            var next = await _ticker.AdvanceAsync(name, round, cancellationToken).ConfigureAwait(false);
            if (round.HasAsked)
            {
                OnAnswer();
                if (_health.ScheduleSucceeded(name) is > 0 and var failures)
                {
                    WorkerLog.ScheduleGoesOn(_logger, name, failures);
                }
            }

            var wait = next - Now;
            return wait < TimeSpan.Zero ? TimeSpan.Zero : wait < LongestWait ? wait : LongestWait;
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            if (!round.IsMaking && !IsRefusal(error))
            {
                return OnOutage(error);
            }

            OnAnswer();
            var wait = Backoff.AfterTicks(_health.ScheduleFailed(name, error, _time));
            WorkerLog.ScheduleFailed(_logger, error, name, wait);
            return wait;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_store.Engine.FailPoints.IsStepped)
        {
            return;
        }

        _stopping = stoppingToken;
        _store.Engine.Signals.SchedulesChanged += _changed.Set;
        try
        {
            foreach (var (name, loop) in _loops)
            {
                Start(name, loop);
            }

            await Detached.RunAsync(() => FollowAsync(stoppingToken)).ConfigureAwait(false);
            await Task.WhenAll(_loops.Values.Select(static loop => loop.Running)).ConfigureAwait(false);
        }
        finally
        {
            _store.Engine.Signals.SchedulesChanged -= _changed.Set;
        }
    }

    /// <summary>Whether the store refused what this schedule wants to write, and would take that of others.</summary>
    private static bool IsRefusal(Exception error) => error is ArgumentException or KvException
    {
        Kind: not (KvErrorKind.Unavailable or KvErrorKind.CommitUnknown or KvErrorKind.Conflict or KvErrorKind.Schema),
    };

    /// <summary>Finds what was changed, until the end.</summary>
    private async Task FollowAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var wait = await LookAsync(stoppingToken).ConfigureAwait(false);
                await _changed.WaitAsync(wait, _time, stoppingToken).ConfigureAwait(false);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    /// <summary>Looks once for schedules that were added, changed or removed.</summary>
    /// <returns>How long until the next look.</returns>
    private async Task<TimeSpan> LookAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (await _watch.LookAsync(cancellationToken).ConfigureAwait(false) is { } found)
            {
                OnAnswer();
                Adopt(found);
            }

            return LookInterval;
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            return OnOutage(error);
        }
    }

    /// <summary>Has a loop for each schedule that there is, and each look anew that was changed.</summary>
    private void Adopt(ScheduleChanges found)
    {
        foreach (var name in found.Gone.Where(_loops.ContainsKey))
        {
            _loops.Remove(name, out var loop);
            loop?.End.Cancel();
            _ticker.Forget(name);
            _health.ScheduleSucceeded(name);
        }

        foreach (var name in found.Changed)
        {
            _ticker.Forget(name);
            if (_loops.TryGetValue(name, out var loop))
            {
                loop.Woken.Set();
            }
            else if (_loops.TryAdd(name, loop = new Loop()) && _stopping is not null)
            {
                Start(name, loop);
            }
        }
    }

    private void Start(string name, Loop loop) => loop.Running = Detached.RunAsync(() => RunAsync(name, loop, _stopping!.Value));

    // The loop outlives any error, from its start on.
    private async Task RunAsync(string name, Loop loop, CancellationToken stoppingToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, loop.End.Token);
        while (!ending.IsCancellationRequested)
        {
            try
            {
                var wait = await RunRoundAsync(name, ending.Token).ConfigureAwait(false);
                await loop.Woken.WaitAsync(wait, _time, ending.Token).ConfigureAwait(false);
            }
            catch (Exception) when (ending.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private void OnAnswer()
    {
        _health.Succeeded(nameof(Scheduler));
        lock (_gate)
        {
            _outage = default;
        }
    }

    /// <summary>
    /// The database fails all schedules alike: those that ask it while it rests wait for the same end, and one line tells of all.
    /// </summary>
    private TimeSpan OnOutage(Exception error)
    {
        lock (_gate)
        {
            var left = _outage.Pause - _time.GetElapsedTime(_outage.Since);
            if (_outage.Pause == TimeSpan.Zero || left <= TimeSpan.Zero)
            {
                left = Backoff.AfterTicks(_health.Failed(nameof(Scheduler), error, _time));
                _outage = (_time.GetTimestamp(), left);
                WorkerLog.SchedulesFailed(_logger, error, left);
            }

            return left;
        }
    }

    /// <summary>The loop of a schedule.</summary>
    private sealed class Loop
    {
        public Signal Woken { get; } = new();

        public CancellationTokenSource End { get; } = new();

        public Task Running { get; set; } = Task.CompletedTask;
    }
}
