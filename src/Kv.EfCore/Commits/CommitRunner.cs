using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using Kv.Changes;
using Kv.Connections;
using Kv.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Kv.Commits;

/// <summary>
/// Runs groups one after the other on one writing session, and sees each through to one of three answers: committed, refused, unknown.
/// </summary>
internal sealed class CommitRunner(
    SessionFactory sessions,
    Driver driver,
    Func<Session, CommitWriter> newWriter,
    StoreClock clock,
    KvStoreOptions options,
    CommitSignals signals,
    ChangeNotifier notifier,
    SharedLocks? locks,
    StoreHealth health,
    StoreMetrics metrics,
    ILogger logger)
    : IAsyncDisposable
{
    private static readonly TimeSpan LastMoment = TimeSpan.FromMilliseconds(20);
    private readonly CommitMarks _marks = new(clock);
    private readonly CommitFailures _failures = new(driver, options, health);
    private readonly CommitWaits _waits = new(sessions, driver, options);
    private readonly CommitHistory _history = new(sessions, newWriter, signals, clock, locks);
    private readonly CommitResolver _resolver = new(sessions, driver, newWriter, options, locks);

    /// <summary>A group of this runner was committed, and none of its callers has an answer yet.</summary>
    public event Action<CommitGroup, CommitEffects>? Committed;

    /// <summary>Hears that what was committed is not to be found any more, and why.</summary>
    public event Func<string, ValueTask>? Lost;

    private volatile CommitWriter? _writer;
    private CommitAttempt? _attempt;
    private CommitTrouble? _trouble;

    /// <summary>Runs a group. It never throws: every member gets its answer.</summary>
    public async Task RunAsync(CommitGroup group)
    {
        using var span = KvTracing.IsOn ? StartSpan(group) : null;
        try
        {
            if (group.Writes.Count > 0)
            {
                _marks.Next();
            }

            await RunToTheEndAsync(group).ConfigureAwait(false);
        }
        catch (Exception error) when (group.Count > 1 && driver.Classify(error) == Fault.Permanent && error is not KvException)
        {
            // The database refused the transaction as a whole, and one member is to blame: alone, each finds out for itself.
            KvLog.GroupSplit(logger, error, group.Count);
            span?.Fail(error);
            foreach (var work in group.All.ToList())
            {
                var alone = new CommitGroup();
                alone.Add(work);
                await RunAsync(alone).ConfigureAwait(false);
            }
        }
        catch (System.Data.Common.DbException error) when (driver.Classify(error) == Fault.Permanent && group.TryAdapt())
        {
            KvLog.Adapts(logger, error);
            span?.Fail(error);
            await RunAsync(group).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            span?.Fail(error);
            var told = _failures.Tell(error);
            foreach (var work in group.All)
            {
                work.Fail(told);
            }
        }
    }

    /// <summary>Hears of a commit of this process, by this runner or another one.</summary>
    public void Observe(CommitGroup group, CommitEffects effects) => _writer?.Observe(group, effects);

    /// <inheritdoc cref="CommitResolver.ResolveAsync" />
    public ValueTask<long?> ResolveAsync(CommitMark mark, CancellationToken cancellationToken) =>
        _resolver.ResolveAsync(mark, cancellationToken);

    /// <summary>What callers are told whose time is over while they wait behind a group that fails; null if it does not.</summary>
    public KvException? Trouble => health.Writes is { } failing ? _failures.NotTaken(failing.Error) : null;

    /// <summary>Finds out whether writes that failed would still do so.</summary>
    public async ValueTask ProbeAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _resolver.ProbeAsync(cancellationToken).ConfigureAwait(false);
            health.WriteSucceeded();
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            health.WriteFailed(error);
        }
    }

    /// <summary>Ends with the store. After a commit its session is open for sure: what others were not told yet goes out on it.</summary>
    public async ValueTask EndAsync()
    {
        if (_writer is { } writer)
        {
            await notifier.EndAsync(writer.Session).ConfigureAwait(false);
        }

        await DisposeAsync().ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        if (_writer is { } writer)
        {
            _writer = null;
            await writer.DisposeAsync().ConfigureAwait(false);
        }
    }

    private ValueTask<bool> RunToTheEndAsync(CommitGroup group)
    {
        _trouble = null;
        return Retry.UntilAsync(
            (Runner: this, Group: group),
            static (of, _) => of.Runner.TryAsync(of.Group),
            static (of, error, backoff) => of.Runner.Classify(of.Group, error, backoff),
            static (of, error) => of.Runner.GiveUp(of.Group, error),
            CancellationToken.None);
    }

    /// <returns>True: the members have their answers.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> TryAsync(CommitGroup group)
    {
        if (group.Count == 0)
        {
            return true;
        }

        Exception error;
        LockWait? wait = null;
        try
        {
            if (_history.IsOver)
            {
                await EndTransactionAsync(broken: true).ConfigureAwait(false);
            }

            _writer ??= await _history.OpenAsync(LeftOf(group)).ConfigureAwait(false);

            // Opening took its part of the callers' time.
            var left = LeftOf(group);
            (left, wait) = _waits.Plan(_writer, left, _trouble);
            (_writer.TimeLeft, _writer.Wait, _writer.Durability) = (left, wait, group.DurabilityOr(options.Durability));
            await TryAsync(group, _writer).ConfigureAwait(false);
            health.WriteSucceeded();
            return true;
        }
        catch (Exception caught)
        {
            // What failed before says more than that the little time which was left did not do.
            error = caught is TimeoutException && _writer is null ? _trouble?.Last ?? health.Writes?.Error ?? caught : caught;
        }
        finally
        {
            if (wait is not null)
            {
                await wait.DisposeAsync().ConfigureAwait(false);
            }
        }

        var trouble = (_trouble ??= new CommitTrouble()).Note(error, driver.IsLockWait(error), wait?.Holder);
        if (await LeaveAsync(group, trouble).ConfigureAwait(false))
        {
            return true;
        }

        // Here nothing of the group's writes is in the database.
        ExceptionDispatchInfo.Throw(error);
        return false;
    }

    /// <summary>Ends the transaction of a try that failed.</summary>
    /// <returns>Whether the members have their answers.</returns>
    private async ValueTask<bool> LeaveAsync(CommitGroup group, CommitTrouble trouble)
    {
        var error = trouble.Last!;
        var unsure = _writer is { CommitSent: true } writer && !writer.ProvesRollback(driver, error);
        _writer?.Blame(error);
        await EndTransactionAsync(broken: unsure || driver.IsSpent(error)).ConfigureAwait(false);
        if (!unsure)
        {
            return false;
        }

        // Queue work proves its fences again, so it may run again; writes may not, before it is known that they did not happen.
        trouble.IsUncertain = true;
        KvLog.CommitUnknown(logger, error, group.Count);
        return group.Writes.Count > 0 && await SettleAsync(group, error).ConfigureAwait(false);
    }

    private TimeSpan LeftOf(CommitGroup group) => options.CommandTimeout - TimeProvider.System.GetElapsedTime(group.AskedAt);

    private Backoff? Classify(CommitGroup group, Exception error, Backoff? backoff)
    {
        var fault = driver.Classify(error);
        if (fault == Fault.Permanent)
        {
            return null;
        }

        if (fault is Fault.Broken or Fault.Full)
        {
            health.WriteFailed(error);
        }

        _waits.TellOfOwn(group, error);
        KvLog.GroupRetried(logger, error, group.Count);
        metrics.Retried("transaction");
        return backoff ?? Backoff.For(fault, options.CommandTimeout, group.AskedAt);
    }

    /// <summary>Answers the callers whose time is over. Later ones have theirs: the group goes on for them.</summary>
    private Exception? GiveUp(CommitGroup group, Exception error)
    {
        var told = _failures.OutOfTime(error, _trouble?.Holder);
        foreach (var work in group.RemoveOlder(options.CommandTimeout - LastMoment))
        {
            work.Fail(told);
        }

        return null;
    }

    private async Task TryAsync(CommitGroup group, CommitWriter writer)
    {
        var era = signals.Seen.Current;
        using var gate = await SharedLocks.PassAsync(locks).ConfigureAwait(false);
        var since = KvMeter.TimesTransactions ? Stopwatch.GetTimestamp() : 0;
        var reads = await writer.BeginAsync(group, _marks.Current, CancellationToken.None).ConfigureAwait(false);
        var attempt = _attempt = new CommitAttempt(group, reads, sessions.IsAdopted);
        attempt.Evaluate();
        metrics.Conflicted(attempt.Refused);
        if (attempt.IsVoid)
        {
            await EndTransactionAsync(broken: false).ConfigureAwait(false);
        }
        else
        {
            await writer.CommitAsync(group, reads, attempt.Effects).ConfigureAwait(false);
            if (writer.FindLoss() is { } loss)
            {
                await LoseAsync(attempt, loss).ConfigureAwait(false);
                return;
            }

            Announce(group, attempt, era, writer.Durability == KvDurability.Full);
            metrics.Ran(group.Count, since);
        }

        attempt.Tell(certain: _trouble is not { IsUncertain: true });
    }

    /// <summary>Answers the callers whose commit went to a lost file, and closes the connection that leads there.</summary>
    private async ValueTask LoseAsync(CommitAttempt attempt, string loss)
    {
        var mark = _marks.Current;
        _marks.Renew();
        await EndTransactionAsync(broken: true).ConfigureAwait(false);
        if (Lost is { } lost)
        {
            await lost(loss).ConfigureAwait(false);
        }

        attempt.TellUnknown(mark, new KvException(KvErrorKind.Unavailable, loss), loss);
    }

    /// <summary>Finds out what became of a commit whose answer was lost.</summary>
    /// <returns>Whether the members have their answers; false if nothing of the group was committed.</returns>
    private async Task<bool> SettleAsync(CommitGroup group, Exception cause)
    {
        var (attempt, mark) = (_attempt!, _marks.Current);
        try
        {
            var version = await _resolver.ResolveAsync(mark, CancellationToken.None, _history).ConfigureAwait(false);
            KvLog.CommitResolved(logger, group.Count, version is not null);
            if (version is null)
            {
                // This number is barred.
                _marks.Next();
                return false;
            }

            attempt.Reads.LastVersion = version.Value;
            Announce(group, attempt, signals.Seen.Current, isDurable: false);
            attempt.Tell(certain: false);
        }
        catch (Exception error)
        {
            // Whatever the reason, the outcome is unknown: an error that would say "refused" must not come out of here.
            KvLog.CommitUnresolved(logger, error, group.Count);
            _marks.Renew();
            attempt.TellUnknown(mark, cause);
        }

        return true;
    }

    private Activity? StartSpan(CommitGroup group) => KvTracing
        .StartTransaction(metrics.Store, group.Count, group.Writes.Select(static w => w.Caller))?
        .SetTag("efkv.writes", group.Writes.Count).SetTag("efkv.completions", group.Completions.Count)
        .SetTag("efkv.retries", group.Requeues.Count).SetTag("efkv.claims", group.Claims.Count);

    // What writers know is right before anything that the commit brought can lead to the next one.
    private void Announce(CommitGroup group, CommitAttempt attempt, SeenVersions.Era era, bool isDurable)
    {
        _history.Answered(group, _marks.Current, era);
        Committed?.Invoke(group, attempt.Effects);
        signals.Committed(attempt.Summarize(isDurable), era);
    }

    private async ValueTask EndTransactionAsync(bool broken)
    {
        if (_writer is null || (!broken && await _writer.TryRollbackAsync().ConfigureAwait(false)))
        {
            return;
        }

        try
        {
            await DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception error)
        {
            // Interceptors of the user's run when a connection closes. What is to be said is why it was given up, which is known.
            KvLog.CloseFailed(logger, error);
        }
    }
}
