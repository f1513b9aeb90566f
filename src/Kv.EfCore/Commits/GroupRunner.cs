using System.Diagnostics;
using Kv.Changes;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Messages;
using Microsoft.Extensions.Logging;

namespace Kv.Commits;

/// <summary>Runs groups one after the other on one writing session, and sees each through to one of three answers: committed, refused, unknown.</summary>
internal sealed class GroupRunner(
    SessionFactory sessions,
    Driver driver,
    Func<Session, GroupWriter> newWriter,
    StoreClock clock,
    KvStoreOptions options,
    CommitSignals signals,
    ChangeNotifier notifier,
    SharedLocks? locks,
    StoreHealth health,
    ILogger logger)
    : IAsyncDisposable
{
    private static readonly TimeSpan LastMoment = TimeSpan.FromMilliseconds(20);
    private readonly CommitMarks _marks = new(clock);
    private readonly CommitResolver _resolver = new(sessions, driver, newWriter, options, locks);

    /// <summary>A group of this runner was committed, and none of its callers has an answer yet.</summary>
    public event Action<Group, GroupEffects>? Committed;

    /// <summary>Hears that what was committed is found by nobody, and why.</summary>
    public event Func<string, ValueTask>? Lost;

    private volatile GroupWriter? _writer;
    private GroupAttempt? _attempt;

    /// <summary>Runs a group. It never throws: every member gets its answer.</summary>
    public async Task RunAsync(Group group)
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
                var alone = new Group();
                alone.Add(work);
                await RunAsync(alone).ConfigureAwait(false);
            }
        }
        catch (System.Data.Common.DbException error) when (driver.Classify(error) == Fault.Permanent && TryGiveWay(group))
        {
            KvLog.GivesWay(logger, error);
            span?.Fail(error);
            await RunAsync(group).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            span?.Fail(error);
            var told = Told(error);
            foreach (var work in group.All)
            {
                work.Fail(told);
            }
        }
    }

    /// <summary>Has the only member of a group run in a form that lives with rows which other programs put in; once.</summary>
    private static bool TryGiveWay(Group group)
    {
        if (group is { Count: 1, Claims: [{ IsCareful: false } claim] })
        {
            return claim.IsCareful = claim.FoundStrays = true;
        }

        if (group is { Count: 1, Requeues: [{ GaveWay: false } requeue] })
        {
            requeue.GiveWay();
            return true;
        }

        return false;
    }

    /// <summary>Hears of a commit of this process, by this runner or another one.</summary>
    public void Observe(Group group, GroupEffects effects) => _writer?.Observe(group, effects);

    /// <inheritdoc cref="CommitResolver.ResolveAsync" />
    public ValueTask<long?> ResolveAsync(CommitMark mark, CancellationToken cancellationToken) => _resolver.ResolveAsync(mark, cancellationToken);

    /// <summary>What those are told whose time is over while they wait behind a group that fails; null if it does not.</summary>
    public KvException? Trouble => health.Writes is { } failing ? NotTaken(failing.Error) : null;

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

    /// <summary>Runs a write inside a transaction of the user's, who commits it or not.</summary>
    /// <exception cref="InvalidOperationException">The transaction is one of another database than the store's. Nothing was written, and it can go on.</exception>
    public async Task<AtomicOutcome> RunNestedAsync(AtomicWork work, Session session, CancellationToken cancellationToken)
    {
        try
        {
            return await TryNestedAsync(work, session, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (session.Identity is not null && driver.IsGuard(error))
        {
            // Another database than the store knew: the context's is another, or the store's is.
            await session.Identity.EnsureAsync(session, cancellationToken).ConfigureAwait(false);
        }

        return await TryNestedAsync(work, session, cancellationToken).ConfigureAwait(false);
    }

    private async Task<AtomicOutcome> TryNestedAsync(AtomicWork work, Session session, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var group = new Group();
        group.Add(work);
        var writer = newWriter(session);
        var backoff = Backoff.ForLocks(session.Longest is var own && own < options.CommandTimeout ? own : options.CommandTimeout);
        string? holder = null;
        for (var locked = false; ; locked = true)
        {
            // What the user's session has for its locks is theirs to say, so each transaction is told; half of the time leaves some to look.
            var wait = new LockWait(sessions, driver, locked ? backoff.Left : backoff.Left / 2, looks: locked && holder is null);
            await using var _ = wait.ConfigureAwait(false);
            writer.Wait = wait;
            try
            {
                await TryNestedAsync(group, writer, session, cancellationToken).ConfigureAwait(false);
                return await work.Task.ConfigureAwait(false);
            }
            catch (Exception error)
            {
                session.Blame(error);
                holder = wait.Holder ?? holder;
                if (!await writer.TryRollbackAsync().ConfigureAwait(false) || !driver.IsLockWait(error))
                {
                    throw;
                }

                if (!await backoff.WaitAsync(cancellationToken).ConfigureAwait(false))
                {
                    throw DatabaseErrors.Locked(driver, options, error, holder);
                }
            }
        }
    }

    /// <summary>Ends with the store. Its session is the one that is open for sure after a commit, so what others were not told yet goes out on it.</summary>
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

    private async Task TryNestedAsync(Group group, GroupWriter writer, Session session, CancellationToken cancellationToken)
    {
        var reads = await writer.BeginAsync(group, default, cancellationToken).ConfigureAwait(false);
        var attempt = new GroupAttempt(group, reads, sessions.IsAdopted);
        attempt.Evaluate();
        if (attempt.IsVoid)
        {
            await writer.TryRollbackAsync().ConfigureAwait(false);
        }
        else
        {
            await writer.CommitAsync(group, reads, attempt.Effects).ConfigureAwait(false);
            var what = ChangeKinds.Version | (attempt.Effects.Messages.Count > 0 || attempt.Effects.LetsGo ? ChangeKinds.Messages : ChangeKinds.None);

            // The savepoint is gone: giving up here would leave the user's transaction useless.
            await notifier.TellWithinAsync(session, what, reads.LastVersion, CancellationToken.None).ConfigureAwait(false);
        }

        attempt.Tell(certain: true);
    }

    private async Task RunToTheEndAsync(Group group)
    {
        Backoff? backoff = null;
        var (certain, locked) = (true, false);
        string? holder = null;
        Exception? last = null;
        while (true)
        {
            Exception error;
            var left = options.CommandTimeout - TimeProvider.System.GetElapsedTime(group.AskedAt);
            LockWait? wait = null;
            try
            {
                _writer ??= await OpenAsync(left, CancellationToken.None).ConfigureAwait(false);
                wait = _writer.WaitsAtServer && (locked || !LockWait.IsFirst(left, options.CommandTimeout)) ? new LockWait(sessions, driver, left, looks: holder is null) : null;
                (_writer.Patience, _writer.Wait) = (left, wait);
                await TryBehindGateAsync(group, _writer, certain).ConfigureAwait(false);
                health.WriteSucceeded();
                return;
            }
            catch (Exception caught)
            {
                // What failed before says more than that the little time which was left did not do.
                error = last = caught is TimeoutException && _writer is null ? last ?? health.Writes?.Error ?? caught : caught;
            }
            finally
            {
                if (wait is not null)
                {
                    await wait.DisposeAsync().ConfigureAwait(false);
                }
            }

            locked = driver.IsLockWait(error);
            holder = wait?.Holder ?? holder;
            var unsure = _writer is { CommitSent: true } writer && !writer.ProvesRollback(driver, error);
            _writer?.Blame(error);
            await EndTransactionAsync(broken: unsure || driver.IsSpent(error)).ConfigureAwait(false);
            if (unsure)
            {
                // Queue work proves its fences again, so it may run again; writes may not, before it is known that they did not happen.
                certain = false;
                KvLog.CommitUnknown(logger, error, group.Count);
                if (group.Writes.Count > 0 && await SettleAsync(group, error).ConfigureAwait(false))
                {
                    return;
                }
            }

            // Here nothing of the group's writes is in the database.
            backoff = await WaitOrThrowAsync(backoff, error, group).ConfigureAwait(false);
            if (backoff is null && !LetGo(group, error, holder))
            {
                return;
            }
        }
    }

    /// <returns>Null if the time of those who came first is over.</returns>
    private async ValueTask<Backoff?> WaitOrThrowAsync(Backoff? backoff, Exception error, Group group)
    {
        var fault = driver.Classify(error);
        if (fault is Fault.Broken or Fault.Full)
        {
            health.WriteFailed(error);
        }
        else if (fault == Fault.Permanent)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error);
        }

        KvLog.GroupRetried(logger, error, group.Count);
        backoff ??= fault == Fault.Busy ? Backoff.ForLocks(options.CommandTimeout, group.AskedAt) : Backoff.ForConnections(options.CommandTimeout, group.AskedAt);
        return await backoff.WaitAsync(CancellationToken.None).ConfigureAwait(false) ? backoff : null;
    }

    private KvException NotTaken(Exception error) => new(
        KvErrorKind.Unavailable,
        $"The database did not take the write within {options.CommandTimeout.TotalSeconds:0.#} seconds ({DatabaseErrors.Text(error)}). "
        + $"Nothing was written; {(driver.Classify(error) == Fault.Full ? "make room, then try again" : "try again when it is back")}.",
        error);

    /// <summary>Answers those whose time is over. Whoever came later has theirs.</summary>
    /// <returns>Whether there are any left.</returns>
    private bool LetGo(Group group, Exception error, string? holder)
    {
        health.WriteFailed(error);
        var told = driver.IsLockWait(error) ? DatabaseErrors.Locked(driver, options, error, holder) : NotTaken(error);
        foreach (var work in group.RemoveOlder(options.CommandTimeout - LastMoment))
        {
            work.Fail(told);
        }

        return group.Count > 0;
    }

    /// <summary>What callers are told of an error that is none of the store's.</summary>
    private Exception Told(Exception error)
    {
        if (driver.IsDamage(error))
        {
            health.Damaged(error);
        }

        if (error is KvException || !DatabaseErrors.IsOfDatabase(error))
        {
            return error;
        }

        if (!driver.IsOfValues(error))
        {
            health.WriteFailed(error);
        }

        return DatabaseErrors.Refused(driver, error, "the write, and nothing was written");
    }

    private async Task TryBehindGateAsync(Group group, GroupWriter writer, bool certain)
    {
        if (locks is not null)
        {
            await locks.EnterAsync().ConfigureAwait(false);
        }

        try
        {
            await TryAsync(group, writer, certain).ConfigureAwait(false);
        }
        finally
        {
            locks?.Leave();
        }
    }

    private async Task TryAsync(Group group, GroupWriter writer, bool certain)
    {
        var reads = await writer.BeginAsync(group, _marks.Current, CancellationToken.None).ConfigureAwait(false);
        var attempt = _attempt = new GroupAttempt(group, reads, sessions.IsAdopted);
        attempt.Evaluate();
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

            Announce(group, attempt);
        }

        attempt.Tell(certain);
    }

    /// <summary>Answers those whose commit went where nobody finds it, and closes the connection that leads there.</summary>
    private async ValueTask LoseAsync(GroupAttempt attempt, string loss)
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
    private async Task<bool> SettleAsync(Group group, Exception cause)
    {
        var (attempt, mark) = (_attempt!, _marks.Current);
        try
        {
            var version = await _resolver.ResolveAsync(mark, CancellationToken.None).ConfigureAwait(false);
            KvLog.CommitResolved(logger, group.Count, version is not null);
            if (version is null)
            {
                // This number is barred.
                _marks.Next();
                return false;
            }

            attempt.Reads.LastVersion = version.Value;
            Announce(group, attempt);
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

    private Activity? StartSpan(Group group) => KvTracing.StartTransaction(driver.Name, group.Count, group.Writes.Select(static w => w.Caller))?
        .SetTag("efkv.writes", group.Writes.Count).SetTag("efkv.completions", group.Completions.Count).SetTag("efkv.retries", group.Requeues.Count)
        .SetTag("efkv.claims", group.Claims.Count);

    // What writers know is right before anything that the commit brought can lead to the next one.
    private void Announce(Group group, GroupAttempt attempt)
    {
        Committed?.Invoke(group, attempt.Effects);
        signals.Committed(attempt.Summarize());
    }

    private async ValueTask<GroupWriter> OpenAsync(TimeSpan within, CancellationToken cancellationToken) =>
        newWriter(await sessions.OpenAsync(SessionRole.Write, cancellationToken, within).ConfigureAwait(false));

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
            // Interceptors of the user's run when a connection closes. What is to be said is why it was given up, and that is known already.
            KvLog.CloseFailed(logger, error);
        }
    }
}
