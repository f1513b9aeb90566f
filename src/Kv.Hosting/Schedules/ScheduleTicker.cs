using System.Collections.Concurrent;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Store;
using Microsoft.Extensions.Logging;

namespace Kv.Schedules;

/// <summary>Enqueues the messages of schedules, each tick once over all processes.</summary>
/// <remarks>
/// An entry of the store holds a schedule's next tick. The process that finds it due moves it on and enqueues, in one commit that is
/// refused if the entry has changed: so of many processes one succeeds, and a crash leaves either both or nothing.
/// </remarks>
internal sealed class ScheduleTicker(
    KvStore store, ScheduleRegistry registry, string application, TimeProvider time, WorkerHealth health, ILogger logger)
{
    // So many of the largest messages fit into one commit by default. After a failure they come one by one, so that no other is refused
    // with it.
    private const int TicksAtOnce = 10;
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    // A delegate that makes a message has nothing to wait for.
    private static readonly TimeSpan StandsStillAfter = TimeSpan.FromSeconds(30);
    private readonly ScheduleEntries _entries = new(store);
    private readonly ConcurrentDictionary<string, (ScheduledMessage? Schedule, DateTimeOffset At)> _next = new(StringComparer.Ordinal);
    private int _forgotten;

    private DateTimeOffset Now => store.Engine.Clock.UtcNow;

    /// <summary>Has the next round of a schedule read what is noted of it, also if one is about to end.</summary>
    public void Forget(string name)
    {
        Interlocked.Increment(ref _forgotten);
        _next.TryRemove(name, out _);
    }

    /// <summary>Enqueues what is due of a schedule.</summary>
    /// <param name="name">The schedule.</param>
    /// <param name="round">How far the round has come.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The next tick; the end of time if there is none, or the schedule is paused or gone.</returns>
    public async Task<DateTimeOffset> AdvanceAsync(string name, ScheduleRound round, CancellationToken cancellationToken)
    {
        // What is further ahead than it can be is looked at once: it may have to be taken back.
        var looked = false;
        (ScheduledMessage? Schedule, DateTimeOffset At) next;
        while (!_next.TryGetValue(name, out next) || next.At <= Now
            || (!looked && next.Schedule is { } schedule && next.At > LatestNext(schedule, Now)))
        {
            var forgotten = Volatile.Read(ref _forgotten);
            if (await TryAdvanceAsync(name, round, cancellationToken).ConfigureAwait(false) is { } advanced)
            {
                _next[name] = advanced;
                looked = true;
                if (Volatile.Read(ref _forgotten) != forgotten)
                {
                    _next.TryRemove(name, out _);
                }
            }
        }

        return next.At;
    }

    /// <summary>Moves a schedule on, and enqueues what is due.</summary>
    /// <returns>The next tick; null if there is more to do, or another process came between.</returns>
    private async Task<(ScheduledMessage? Schedule, DateTimeOffset At)?> TryAdvanceAsync(
        string name, ScheduleRound round, CancellationToken cancellationToken)
    {
        round.HasAsked = true;
        var now = Now;
        var (entry, known) = await _entries.FindAsync(name, cancellationToken).ConfigureAwait(false);
        round.IsMaking = true;
        if (entry is not null && known is null)
        {
            WorkerLog.ScheduleUnreadable(logger, name, entry.Key.ToString());
        }

        if ((registry.Find(name) ?? ScheduledMessage.Find(name, known)) is not { } schedule)
        {
            return (null, DateTimeOffset.MaxValue);
        }

        if (known?.Triggered is { Length: > 0 } triggered)
        {
            await RunTriggeredAsync(schedule, entry, known, triggered, round, cancellationToken).ConfigureAwait(false);
            return null;
        }

        if (known is { Paused: true } && IsNoted(schedule, known))
        {
            return (schedule, DateTimeOffset.MaxValue);
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
        var anew = known is not null && _next.TryGetValue(name, out var awaited) && IsOpen(awaited.At)
            ? awaited.At
            : runs.NextAfter(now);
        var isAhead = isSame && anew < noted && noted > LatestNext(schedule, now);
        var first = isSame && !isAhead ? noted : anew;
        var (due, next) = Due(schedule, runs, first, now, health.IsFailing(name) ? 1 : TicksAtOnce);
        if (known is { Paused: true })
        {
            (due, next) = ([], DateTimeOffset.MaxValue);
        }
        else if (isSame && !isAhead && next == first && IsNoted(schedule, known!))
        {
            return (schedule, next);
        }

        var write = _entries.Begin(name, entry);
        var made = due.Count == 0 ? 0 : await MakeAsync(schedule, write, due, cancellationToken).ConfigureAwait(false);
        if (made < due.Count)
        {
            // The others are enqueued; this one is the first of the next round, and its error is told of there.
            next = due[made];
            due.RemoveRange(made, due.Count - made);
        }

        due.ForEach(runs.Add);
        var state = (known ?? new ScheduleState(definition, 0)) with
        {
            Definition = definition,
            Next = (known is { Paused: true } ? first : next).ToUnixTimeMilliseconds(),
            Last = due.Count > 0 ? due[^1].ToUnixTimeMilliseconds() : known?.Last ?? 0,
            Runs = runs.Noted,
        };
        _entries.Set(write, name, Noted(schedule, state, now));
        round.IsMaking = false;
        if (!(await write.CommitAsync(cancellationToken).ConfigureAwait(false)).Succeeded)
        {
            return null;
        }

        if (isAhead)
        {
            WorkerLog.TakenBack(logger, name, noted, now, next);
        }

        if (schedule.IsRegistered && known?.Message is not null)
        {
            WorkerLog.ScheduleTakenOver(logger, name, application);
        }

        foreach (var tick in due)
        {
            WorkerLog.Ticked(logger, name, tick);
        }

        return (schedule, next);

        bool IsOpen(DateTimeOffset tick) =>
            isSame ? !runs.Has(tick) && tick <= LatestNext(schedule, now) : tick.ToUnixTimeMilliseconds() > known.Last;
    }

    /// <summary>Enqueues a message for each time that a schedule was triggered, as many as fit into a commit.</summary>
    private async Task RunTriggeredAsync(
        ScheduledMessage schedule,
        KvEntry? entry,
        ScheduleState known,
        long[] triggered,
        ScheduleRound round,
        CancellationToken cancellationToken)
    {
        List<DateTimeOffset> times =
            [.. triggered.Take(health.IsFailing(schedule.Name) ? 1 : TicksAtOnce).Select(DateTimeOffset.FromUnixTimeMilliseconds)];
        var write = _entries.Begin(schedule.Name, entry);
        var made = await MakeAsync(schedule, write, times, cancellationToken).ConfigureAwait(false);
        var left = triggered.Length == made ? null : triggered[made..];
        _entries.Set(write, schedule.Name, Noted(schedule, known with { Triggered = left }, Now));
        round.IsMaking = false;
        if ((await write.CommitAsync(cancellationToken).ConfigureAwait(false)).Succeeded)
        {
            times.Take(made).ToList().ForEach(at => WorkerLog.Triggered(logger, schedule.Name, at));
        }
    }

    /// <summary>Whether what is noted says by itself what the schedule is, for those that know it from there alone.</summary>
    private bool IsNoted(ScheduledMessage schedule, ScheduleState known) => !schedule.IsRegistered
        || (known.Definition == schedule.Schedule.ToString() && known.Message is null && known.Timing is not null
            && known.Missed == schedule.Missed && known.Registered?.ContainsKey(application) == true);

    /// <summary>What is noted of a schedule, with what its registration says.</summary>
    private ScheduleState Noted(ScheduledMessage schedule, ScheduleState state, DateTimeOffset now) => !schedule.IsRegistered
        ? state
        : state.RegisteredBy(application, now.ToUnixTimeMilliseconds()) with
        {
            Timing = schedule.Schedule.ToTiming(),
            Missed = schedule.Missed,
            Message = null,
        };

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
            WorkerLog.ScheduleWaits(logger, schedule.Name, StandsStillAfter);
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
}
