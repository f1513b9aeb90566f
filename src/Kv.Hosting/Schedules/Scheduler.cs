using System.Runtime.ExceptionServices;
using System.Text.Json;
using Kv.Engine;
using Kv.Worker;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Kv.Schedules;

/// <summary>The hosted service that enqueues the messages of schedules, each tick once over all processes.</summary>
/// <remarks>
/// An entry of the store holds a schedule's next tick. Whoever finds it due moves it on and enqueues, in one commit that is refused if the
/// entry has changed: so of many processes one succeeds, and a crash leaves either both or nothing.
/// </remarks>
internal sealed class Scheduler(KvStore store, ScheduleRegistry schedules, TimeProvider time, WorkerHealth health, ILoggerFactory loggers) : BackgroundService
{
    // So many of the largest messages fit into one commit.
    private const int TicksAtOnce = 10;
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    // A look at the clock, not at the database: it may have been set.
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);
    private static readonly long End = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();
    private readonly ILogger _logger = new UnfailingLogger(loggers.CreateLogger("Kv.Scheduler"));
    private readonly Dictionary<string, DateTimeOffset> _next = new(StringComparer.Ordinal);

    private DateTimeOffset Now => store.Engine.Clock.UtcNow;

    /// <summary>Enqueues what is due.</summary>
    /// <returns>How long until there may be more.</returns>
    /// <exception cref="Exception">What was thrown for the first schedule for which anything was. The others had their turn.</exception>
    public async Task<TimeSpan> RunRoundAsync(CancellationToken cancellationToken)
    {
        Exception? failure = null;

        // By the clock that decides for all processes; a server is asked once a round, and what passes until the next one is reckoned here.
        await store.UtcNowAsync(cancellationToken).ConfigureAwait(false);
        foreach (var schedule in schedules.All)
        {
            try
            {
                await AdvanceAsync(schedule, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception error) when (!cancellationToken.IsCancellationRequested)
            {
                failure ??= error;
            }
        }

        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }

        var wait = _next.Count == 0 ? LongestWait : _next.Values.Min() - Now;
        return wait < TimeSpan.Zero ? TimeSpan.Zero : wait < LongestWait ? wait : LongestWait;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (schedules.All.Count > 0 && !stoppingToken.IsCancellationRequested)
        {
            try
            {
                var wait = await TryRoundAsync(stoppingToken).ConfigureAwait(false);
                await Task.Delay(wait, time, stoppingToken).ConfigureAwait(false);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private async Task AdvanceAsync(ScheduledMessage schedule, CancellationToken cancellationToken)
    {
        // What is further ahead than it can be is looked at once: it may have to be taken back.
        var looked = false;
        while (!_next.TryGetValue(schedule.Name, out var next) || next <= Now || (!looked && next > LatestNext(schedule, Now)))
        {
            if (await TryAdvanceAsync(schedule, cancellationToken).ConfigureAwait(false) is { } advanced)
            {
                _next[schedule.Name] = advanced;
                looked = true;
            }
        }
    }

    // The loop outlives any error of the database, from its start on.
    private async Task<TimeSpan> TryRoundAsync(CancellationToken stoppingToken)
    {
        try
        {
            var wait = await RunRoundAsync(stoppingToken).ConfigureAwait(false);
            health.Succeeded(nameof(Scheduler));
            return wait;
        }
        catch (Exception error) when (!stoppingToken.IsCancellationRequested)
        {
            var failures = health.Failed(nameof(Scheduler), error, time);
            var wait = FirstPause * Math.Pow(2, Math.Min(failures - 1, 10));
            wait = wait < LongestPause ? wait : LongestPause;
            WorkerLog.SchedulesFailed(_logger, error, wait);
            return wait;
        }
    }

    /// <summary>Moves a schedule on, and enqueues what is due.</summary>
    /// <returns>The next tick; null if another process came between.</returns>
    private async Task<DateTimeOffset?> TryAdvanceAsync(ScheduledMessage schedule, CancellationToken cancellationToken)
    {
        var now = Now;
        var entry = await store.GetAsync(schedule.Key, cancellationToken).ConfigureAwait(false);
        var known = Read(entry);
        var definition = schedule.Schedule.ToString();

        // A schedule that is new, or says something else than before, begins with its next tick: nothing of another one is made up for. While
        // programs with another definition run beside this one, each overwrites what the other has noted, and enqueues the ticks that it has
        // been waiting for itself.
        //
        // Nor is what a clock noted that was ahead, if the schedule has ticks before that have not become messages: else it would stand still,
        // for all processes, until that time. What was enqueued early is passed over when its time comes.
        var isSame = known?.Definition == definition;
        var runs = new TickRuns(schedule.Schedule, isSame ? known!.Runs ?? (known.Last > 0 ? [[known.Last, known.Last]] : []) : []);
        var noted = DateTimeOffset.FromUnixTimeMilliseconds(known?.Next ?? 0);
        var anew = known is not null && _next.TryGetValue(schedule.Name, out var awaited) && IsOpen(awaited) ? awaited : runs.NextAfter(now);
        var isAhead = isSame && anew < noted && noted > LatestNext(schedule, now);
        var first = isSame && !isAhead ? noted : anew;
        var (due, next) = Due(schedule, runs, first, now);
        if (isSame && !isAhead && next == first)
        {
            return next;
        }

        due.ForEach(runs.Add);
        var last = due.Count > 0 ? due[^1].ToUnixTimeMilliseconds() : known?.Last ?? 0;
        var state = new State(definition, next.ToUnixTimeMilliseconds(), last, runs.Noted);
        var write = store.Atomic().Check(schedule.Key, entry?.Versionstamp).Set(schedule.Key, new KvValue(JsonSerializer.SerializeToUtf8Bytes(state), KvEncoding.Json));
        foreach (var tick in due)
        {
            schedule.Enqueue(write, tick);
        }

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

        bool IsOpen(DateTimeOffset tick) => isSame ? !runs.Has(tick) && tick <= LatestNext(schedule, now) : tick.ToUnixTimeMilliseconds() > known.Last;
    }

    /// <summary>No clock that is right notes a later tick as the next one, however late somebody's is.</summary>
    private static DateTimeOffset LatestNext(ScheduledMessage schedule, DateTimeOffset now) => schedule.Schedule.NextAfter(now + Grace);

    /// <summary>The ticks that become messages now, and the tick after them.</summary>
    private static (List<DateTimeOffset> Due, DateTimeOffset Next) Due(ScheduledMessage schedule, TickRuns runs, DateTimeOffset first, DateTimeOffset now)
    {
        if (first > now)
        {
            return ([], first);
        }

        if (schedule.Missed == KvMissedTicks.All)
        {
            List<DateTimeOffset> due = [];
            for (; first <= now && due.Count < TicksAtOnce; first = runs.NextAfter(first))
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

    private static State? Read(KvEntry? entry)
    {
        try
        {
            return entry is not null && JsonSerializer.Deserialize<State>(entry.Value.Bytes.Span) is { Next: >= 0 } state && state.Next <= End ? state : null;
        }
        catch (JsonException)
        {
            // Somebody wrote something else there: the schedule begins anew.
            return null;
        }
    }

    /// <param name="Definition">What the next tick was computed from.</param>
    /// <param name="Next">The next tick, in Unix milliseconds.</param>
    /// <param name="Last">The last tick that became a message.</param>
    /// <param name="Runs">Which ticks became messages (<see cref="TickRuns"/>).</param>
    private sealed record State(string Definition, long Next, long Last = 0, long[][]? Runs = null);
}
