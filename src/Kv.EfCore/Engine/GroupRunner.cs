using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>Runs groups one after the other on one writing session, and sees each through to one of three answers: committed, refused, unknown.</summary>
internal sealed class GroupRunner(
    SessionFactory sessions, KvDialect dialect, StoreClock clock, KvStoreOptions options, CommitSignals signals, ChangeNotifier notifier, FailPoints failPoints, WriteTurn? turn, ILogger logger)
    : IAsyncDisposable
{
    private readonly CommitMarks _marks = new(clock);

    /// <summary>Hears that what was committed is found by nobody, and why.</summary>
    public event Func<string, ValueTask>? Lost;

    private volatile GroupWriter? _writer;
    private GroupAttempt? _attempt;

    /// <summary>Runs a group. It never throws: every member gets its answer.</summary>
    public async Task RunAsync(Group group)
    {
        using var span = KvTracing.Start(group, dialect);
        try
        {
            if (group.Writes.Count > 0)
            {
                _marks.Next();
            }

            await RunToTheEndAsync(group).ConfigureAwait(false);
        }
        catch (Exception error) when (group.Count > 1 && dialect.Classify(error) == Fault.Permanent && error is not KvException)
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
        catch (System.Data.Common.DbException error) when (dialect.Classify(error) == Fault.Permanent && TryGiveWay(group))
        {
            KvLog.GivesWay(logger, error);
            span?.Fail(error);
            await RunAsync(group).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            span?.Fail(error);
            foreach (var work in group.All)
            {
                work.Fail(error);
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

    /// <summary>Finds out whether the commit of a mark happened, for as long as a write would try.</summary>
    /// <returns>Its last version, or null: then it did not happen and never will.</returns>
    public async ValueTask<long?> ResolveAsync(CommitMark mark, CancellationToken cancellationToken)
    {
        var backoff = Backoff.ForConnections(options.CommandTimeout);
        while (true)
        {
            try
            {
                var writer = await OpenAsync(cancellationToken).ConfigureAwait(false);
                await using (writer.ConfigureAwait(false))
                {
                    return await ResolveInTurnAsync(writer, mark, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (Exception error) when (dialect.Classify(error) != Fault.Permanent)
            {
                if (!await backoff.WaitAsync(cancellationToken).ConfigureAwait(false))
                {
                    throw new KvException(
                        KvError.Unavailable,
                        $"The database did not tell within {options.CommandTimeout.TotalSeconds:0.#} seconds whether the write was committed ({error.Message}). Ask again when it is back.",
                        error);
                }
            }
        }
    }

    /// <summary>Runs a write inside a transaction of the user's, who commits it or not.</summary>
    public async Task<AtomicOutcome> RunNestedAsync(AtomicWork work, Session session, CancellationToken cancellationToken)
    {
        var group = new Group();
        group.Add(work);
        var writer = dialect.CreateWriter(session, clock, options, failPoints);
        try
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
                var what = Changes.Version | (attempt.Effects.Messages.Count > 0 || attempt.Effects.LetsGo ? Changes.Messages : Changes.None);
                await notifier.TellWithinAsync(session, what, reads.LastVersion, cancellationToken).ConfigureAwait(false);
            }

            attempt.Tell(certain: true);
        }
        catch
        {
            await writer.TryRollbackAsync().ConfigureAwait(false);
            throw;
        }

        return await work.Task.ConfigureAwait(false);
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

    private async Task RunToTheEndAsync(Group group)
    {
        Backoff? backoff = null;
        var certain = true;
        while (true)
        {
            Exception error;
            try
            {
                _writer ??= await OpenAsync(CancellationToken.None).ConfigureAwait(false);
                await TryInTurnAsync(group, _writer, certain).ConfigureAwait(false);
                return;
            }
            catch (Exception caught)
            {
                error = caught;
            }

            var unsure = _writer is { CommitSent: true } && !dialect.ProvesRollback(error);
            await EndTransactionAsync(broken: unsure || dialect.Classify(error) == Fault.Broken).ConfigureAwait(false);
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
        }
    }

    private async ValueTask<Backoff> WaitOrThrowAsync(Backoff? backoff, Exception error, Group group)
    {
        var fault = dialect.Classify(error);
        if (fault == Fault.Permanent)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error);
        }

        KvLog.GroupRetried(logger, error, group.Count);
        backoff ??= fault == Fault.Busy ? Backoff.ForLocks(options.CommandTimeout) : Backoff.ForConnections(options.CommandTimeout);
        return await backoff.WaitAsync(CancellationToken.None).ConfigureAwait(false)
            ? backoff
            : throw new KvException(
                KvError.Unavailable,
                $"The database did not take the write within {options.CommandTimeout.TotalSeconds:0.#} seconds ({error.Message}). Nothing was written; {(fault == Fault.Full ? "make room, then try again" : "try again when it is back")}.",
                error);
    }

    private async Task TryInTurnAsync(Group group, GroupWriter writer, bool certain)
    {
        await EnterTurnAsync().ConfigureAwait(false);
        try
        {
            await TryAsync(group, writer, certain).ConfigureAwait(false);
        }
        finally
        {
            turn?.Leave();
        }
    }

    private async ValueTask<long?> ResolveInTurnAsync(GroupWriter writer, CommitMark mark, CancellationToken cancellationToken)
    {
        await EnterTurnAsync().ConfigureAwait(false);
        try
        {
            return await writer.ResolveAsync(mark, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            turn?.Leave();
        }
    }

    private Task EnterTurnAsync() => turn?.EnterAsync() ?? Task.CompletedTask;

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

            signals.Committed(group, reads, attempt.Effects);
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

        attempt.TellUnknown(mark, new KvException(KvError.Unavailable, loss), loss);
    }

    /// <summary>Finds out what became of a commit whose answer was lost.</summary>
    /// <returns>Whether the members have their answers; false if nothing of the group was committed.</returns>
    private async Task<bool> SettleAsync(Group group, Exception cause)
    {
        var (attempt, mark) = (_attempt!, _marks.Current);
        try
        {
            var version = await ResolveAsync(mark, CancellationToken.None).ConfigureAwait(false);
            KvLog.CommitResolved(logger, group.Count, version is not null);
            if (version is null)
            {
                // This number is barred.
                _marks.Next();
                return false;
            }

            attempt.Reads.LastVersion = version.Value;
            signals.Committed(group, attempt.Reads, attempt.Effects);
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

    private async ValueTask<GroupWriter> OpenAsync(CancellationToken cancellationToken) =>
        dialect.CreateWriter(await sessions.OpenAsync(SessionRole.Write, cancellationToken).ConfigureAwait(false), clock, options, failPoints);

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
