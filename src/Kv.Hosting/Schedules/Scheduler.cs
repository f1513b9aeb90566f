using System.Collections.Concurrent;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Store;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Kv.Schedules;

/// <summary>The hosted service that enqueues the messages of schedules, each tick once over all processes.</summary>
/// <remarks>
/// An entry of the store holds a schedule's next tick. The process that finds it due moves it on and enqueues, in one commit that is
/// refused if the entry has changed: so of many processes one succeeds, and a crash leaves either both or nothing. Each schedule has a loop
/// of its own, so that one that fails, or whose delegate does not return, holds up no other.
/// </remarks>
internal sealed class Scheduler(KvStore store, ScheduleRegistry schedules, TimeProvider time, WorkerHealth health, ILoggerFactory loggers)
    : BackgroundService
{
    // So many of the largest messages fit into one commit by default. After a failure they come one by one, so that no other is refused
    // with it.
    private const int TicksAtOnce = 10;
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    // A look at the clock, not at the database: it may have been set.
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);

    // A delegate that makes a message has nothing to wait for.
    private static readonly TimeSpan StandsStillAfter = TimeSpan.FromSeconds(30);
    private readonly ILogger _logger = new UnfailingLogger(loggers.CreateLogger("Kv.Scheduler"));
    private readonly ConcurrentDictionary<string, DateTimeOffset> _next = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private (long Since, TimeSpan Pause) _outage;

    private DateTimeOffset Now => store.Engine.Clock.UtcNow;

    /// <summary>Gives each schedule a round, one after the other.</summary>
    /// <returns>How long until there may be more.</returns>
    public async Task<TimeSpan> RunRoundAsync(CancellationToken cancellationToken)
    {
        var wait = LongestWait;
        foreach (var schedule in schedules.All)
        {
            var left = await RunRoundAsync(schedule, cancellationToken).ConfigureAwait(false);
            wait = left < wait ? left : wait;
        }

        return wait;
    }

    /// <summary>Enqueues what is due of a schedule. What fails is noted and logged.</summary>
    /// <returns>How long until there may be more, or until it is tried again.</returns>
    public async Task<TimeSpan> RunRoundAsync(ScheduledMessage schedule, CancellationToken cancellationToken)
    {
        var round = new Round();
        try
        {
            // By the clock that decides for all processes: a server is asked now and then, and what passes until then is reckoned here.
            round.HasAsked = await store.RefreshTimeAsync(cancellationToken).ConfigureAwait(false);
            var next = await AdvanceAsync(schedule, round, cancellationToken).ConfigureAwait(false);
            if (round.HasAsked)
            {
                OnAnswer();
                if (health.ScheduleSucceeded(schedule.Name) is > 0 and var failures)
                {
                    WorkerLog.ScheduleGoesOn(_logger, schedule.Name, failures);
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
            var wait = Backoff.AfterTicks(health.ScheduleFailed(schedule.Name, error, time));
            WorkerLog.ScheduleFailed(_logger, error, schedule.Name, wait);
            return wait;
        }
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(schedules.All.Select(schedule => Detached.RunAsync(() => RunAsync(schedule, stoppingToken))));

    /// <summary>Whether the store refused what this schedule wants to write, and would take that of others.</summary>
    private static bool IsRefusal(Exception error) => error is ArgumentException or KvException
    {
        Kind: not (KvErrorKind.Unavailable or KvErrorKind.CommitUnknown or KvErrorKind.Conflict or KvErrorKind.Schema),
    };

    // The loop outlives any error, from its start on.
    private async Task RunAsync(ScheduledMessage schedule, CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var wait = await RunRoundAsync(schedule, stoppingToken).ConfigureAwait(false);
                await Task.Delay(wait, time, stoppingToken).ConfigureAwait(false);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private void OnAnswer()
    {
        health.Succeeded(nameof(Scheduler));
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
            var left = _outage.Pause - time.GetElapsedTime(_outage.Since);
            if (_outage.Pause == TimeSpan.Zero || left <= TimeSpan.Zero)
            {
                left = Backoff.AfterTicks(health.Failed(nameof(Scheduler), error, time));
                _outage = (time.GetTimestamp(), left);
                WorkerLog.SchedulesFailed(_logger, error, left);
            }

            return left;
        }
    }

    private async Task<DateTimeOffset> AdvanceAsync(ScheduledMessage schedule, Round round, CancellationToken cancellationToken)
    {
        // What is further ahead than it can be is looked at once: it may have to be taken back.
        var looked = false;
        DateTimeOffset next;
        while (!_next.TryGetValue(schedule.Name, out next) || next <= Now || (!looked && next > LatestNext(schedule, Now)))
        {
            if (await TryAdvanceAsync(schedule, round, cancellationToken).ConfigureAwait(false) is { } advanced)
            {
                _next[schedule.Name] = advanced;
                looked = true;
            }
        }

        return next;
    }

    /// <summary>Moves a schedule on, and enqueues what is due.</summary>
    /// <returns>The next tick; null if another process came between.</returns>
    private async Task<DateTimeOffset?> TryAdvanceAsync(ScheduledMessage schedule, Round round, CancellationToken cancellationToken)
    {
        round.HasAsked = true;
        var now = Now;
        var entry = await store.GetAsync(schedule.Key, cancellationToken).ConfigureAwait(false);
        round.IsMaking = true;
        var known = ScheduleState.Read(entry);
        if (entry is not null && known is null)
        {
            WorkerLog.ScheduleUnreadable(_logger, schedule.Name, schedule.Key.ToString());
        }

        var definition = schedule.Schedule.ToString();

        // A schedule that is new, or says something else than before, begins with its next tick: nothing of another one is made up for.
        // While programs with another definition run beside this one, each overwrites what the other has noted, and enqueues the ticks that
        // it has been waiting for itself.
        //
        // Nor is what a clock noted that was ahead, if the schedule has ticks before that have not become messages: else it would stand
        // still, for all processes, until that time. What was enqueued early is passed over when its time comes.
        var isSame = known?.Definition == definition;
        var runs = new TickRuns(schedule.Schedule, isSame ? known!.Runs ?? (known.Last > 0 ? [[known.Last, known.Last]] : []) : []);
        var noted = DateTimeOffset.FromUnixTimeMilliseconds(known?.Next ?? 0);
        var anew = known is not null && _next.TryGetValue(schedule.Name, out var awaited) && IsOpen(awaited)
            ? awaited
            : runs.NextAfter(now);
        var isAhead = isSame && anew < noted && noted > LatestNext(schedule, now);
        var first = isSame && !isAhead ? noted : anew;
        var (due, next) = Due(schedule, runs, first, now, health.IsFailing(schedule.Name) ? 1 : TicksAtOnce);
        if (isSame && !isAhead && next == first)
        {
            return next;
        }

        var write = store.Atomic().Check(schedule.Key, entry?.Versionstamp);
        var made = due.Count == 0 ? 0 : await MakeAsync(schedule, write, due, cancellationToken).ConfigureAwait(false);
        if (made < due.Count)
        {
            // The others are enqueued; this one is the first of the next round, and its error is told of there.
            next = due[made];
            due.RemoveRange(made, due.Count - made);
        }

        due.ForEach(runs.Add);
        var last = due.Count > 0 ? due[^1].ToUnixTimeMilliseconds() : known?.Last ?? 0;
        var state = new ScheduleState(definition, next.ToUnixTimeMilliseconds(), last, runs.Noted);
        write.Set(schedule.Key, state.ToValue(store.Engine.IsAdopted ? KvEncoding.Bytes : KvEncoding.Json));
        round.IsMaking = false;
        if (!(await write.CommitAsync(cancellationToken).ConfigureAwait(false)).Succeeded)
        {
            return null;
        }

        if (isAhead)
        {
            WorkerLog.TakenBack(_logger, schedule.Name, noted, now, next);
        }

        foreach (var tick in due)
        {
            WorkerLog.Ticked(_logger, schedule.Name, tick);
        }

        return next;

        bool IsOpen(DateTimeOffset tick) =>
            isSame ? !runs.Has(tick) && tick <= LatestNext(schedule, now) : tick.ToUnixTimeMilliseconds() > known.Last;
    }

    /// <summary>No clock that is right notes a later tick as the next one, however late another's is.</summary>
    private static DateTimeOffset LatestNext(ScheduledMessage schedule, DateTimeOffset now) =>
        schedule.Schedule.FindNext(now + Grace) ?? DateTimeOffset.MaxValue;

    /// <summary>Adds the messages of ticks to a write.</summary>
    /// <returns>How many could be made, at least one.</returns>
    private async Task<int> MakeAsync(
        ScheduledMessage schedule, KvAtomic write, List<DateTimeOffset> due, CancellationToken cancellationToken)
    {
        // On a thread that can be left behind: a delegate that does not return holds up neither the end of the application nor anything
        // else.
        var making = Task.Run(Make, CancellationToken.None);
        try
        {
            return await making.WaitAsync(StandsStillAfter, time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException) when (!making.IsCompleted)
        {
            // Another call of it would not return either.
            health.ScheduleFailed(
                schedule.Name, new TimeoutException($"The delegate that makes its message for {due[0]:O} does not return."), time);
            WorkerLog.ScheduleWaits(_logger, schedule.Name, StandsStillAfter);
            return await making.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            making.Abandon();
        }

        int Make()
        {
            for (var made = 0; made < due.Count; made++)
            {
                try
                {
                    schedule.Enqueue(write, due[made]);
                }
                catch (Exception) when (made > 0)
                {
                    return made;
                }
            }

            return due.Count;
        }
    }

    /// <summary>The ticks that become messages now, and the tick after them.</summary>
    private static (List<DateTimeOffset> Due, DateTimeOffset Next) Due(
        ScheduledMessage schedule, TickRuns runs, DateTimeOffset first, DateTimeOffset now, int most)
    {
        if (first > now)
        {
            return ([], first);
        }

        if (schedule.Missed == KvMissedTicks.All)
        {
            List<DateTimeOffset> due = [];
            for (; first <= now && due.Count < most; first = runs.NextAfter(first))
            {
                if (!runs.Has(first))
                {
                    due.Add(first);
                }
            }

            return (due, first);
        }

        var last = runs.LastUpTo(first, now);
        return (last is null || (schedule.Missed == KvMissedTicks.Skip && now - last > Grace) ? [] : [last.Value], runs.NextAfter(now));
    }

    /// <summary>How far a round has come: what fails while the messages are made is the schedule's own fault.</summary>
    private sealed class Round
    {
        public bool HasAsked { get; set; }

        public bool IsMaking { get; set; }
    }
}
