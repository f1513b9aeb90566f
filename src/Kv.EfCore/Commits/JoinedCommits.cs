using System.Data.Common;
using Kv.Changes;
using Kv.Connections;

namespace Kv.Commits;

/// <summary>Runs writes inside transactions of the user's, each behind a savepoint of its own.</summary>
internal sealed class JoinedCommits(
    SessionFactory sessions,
    Driver driver,
    Func<Session, CommitWriter> newWriter,
    KvStoreOptions options,
    ChangeNotifier notifier,
    SeenVersions seen,
    Action<CommitGroup, CommitAttempt, SeenVersions.Era> announce)
{
    /// <summary>Runs a write inside a transaction of the application's, which commits it or not.</summary>
    /// <exception cref="InvalidOperationException">
    /// The transaction is one of another database than the store's. Nothing was written, and it can go on.
    /// </exception>
    public async Task<AtomicOutcome> RunAsync(AtomicWork work, Session session, CancellationToken cancellationToken)
    {
        try
        {
            return await TryAsync(work, session, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (session.Identity is not null && driver.IsGuard(error))
        {
            // Another database than the store knew: the context's is another, or the store's is.
            await session.Identity.EnsureAsync(session, cancellationToken).ConfigureAwait(false);
        }

        return await TryAsync(work, session, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Finds what has a command of the application's that is about to run do a write as well.</summary>
    /// <returns>The writer; null where the command cannot.</returns>
    public CommitWriter? FindAppender(JoinedWork work, Session session, DbCommand command) =>
        newWriter(session) is var writer && writer.CanAppend(work, command) ? writer : null;

    /// <summary>Has the command do so.</summary>
    /// <returns>The write; null where it is to be run by itself, which tells why it cannot be done.</returns>
    public async ValueTask<AppendedWrite?> TryAppendAsync(
        JoinedWork work, CommitWriter writer, DbCommand command, CancellationToken cancellationToken)
    {
        var era = seen.Current;
        var group = new CommitGroup();
        group.Add(work);
        var attempt = new CommitAttempt(group, new CommitReads { Now = 0 }, sessions.IsAdopted);
        attempt.Evaluate();
        if (attempt.IsVoid)
        {
            return null;
        }

        await writer.AppendAsync(attempt.Effects.Messages, work, command, cancellationToken).ConfigureAwait(false);
        work.Committed = () => announce(group, attempt, era);
        attempt.Tell(certain: true);
        return new AppendedWrite(work, group, await work.Task.ConfigureAwait(false), command, writer);
    }

    private async Task<AtomicOutcome> TryAsync(AtomicWork work, Session session, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var group = new CommitGroup();
        group.Add(work);
        var writer = newWriter(session);
        var longest = session.Longest is var own && own < options.CommandTimeout ? own : options.CommandTimeout;
        var backoff = Backoff.ForLocks(longest, work.AskedAt);
        var isOver = false;
        string? holder = null;
        return await Retry.UntilAsync(TryOnceAsync, Classify, GiveUp, cancellationToken).ConfigureAwait(false);

        async ValueTask<AtomicOutcome> TryOnceAsync(Backoff? before)
        {
            // What the user's session has for its locks is theirs to say, so each transaction is told; half of the time leaves some to
            // look.
            var isFirst = before is null;
            var wait = new LockWait(sessions, driver, isFirst ? backoff.Left / 2 : backoff.Left, looks: !isFirst && holder is null);
            await using var _ = wait.ConfigureAwait(false);
            writer.Wait = wait;
            try
            {
                await TryAsync(group, writer, session, cancellationToken).ConfigureAwait(false);
                return await work.Task.ConfigureAwait(false);
            }
            catch (Exception error)
            {
                session.Blame(error);
                holder = wait.Holder ?? holder;
                isOver = !await writer.TryRollbackAsync().ConfigureAwait(false);
                throw;
            }
        }

        Backoff? Classify(Exception error, Backoff? before) => !isOver && driver.IsLockWait(error) ? backoff : null;

        Exception GiveUp(Exception error) => DatabaseErrors.Locked(driver, options, error, holder);
    }

    private async Task TryAsync(CommitGroup group, CommitWriter writer, Session session, CancellationToken cancellationToken)
    {
        var era = seen.Current;
        var joined = group.Writes[0] as JoinedWork;
        var reads = await writer.BeginAsync(group, joined?.Mark ?? default, cancellationToken).ConfigureAwait(false);
        var attempt = new CommitAttempt(group, reads, sessions.IsAdopted);
        attempt.Evaluate();
        if (attempt.IsVoid)
        {
            await writer.TryRollbackAsync().ConfigureAwait(false);
        }
        else
        {
            await writer.CommitAsync(group, reads, attempt.Effects).ConfigureAwait(false);
            if (joined is { IsSeen: true })
            {
                joined.Committed = () => announce(group, attempt, era);
                attempt.Tell(certain: true);
                return;
            }

            var what = (reads.LastVersion > 0 ? ChangeKinds.Version : ChangeKinds.None)
                | (attempt.Effects.Messages.Count > 0 || attempt.Effects.FreesSlots ? ChangeKinds.Messages : ChangeKinds.None);

            // The savepoint is gone: giving up here would leave the user's transaction useless.
            await notifier.TellWithinAsync(session, what, reads.LastVersion, CancellationToken.None).ConfigureAwait(false);
        }

        attempt.Tell(certain: true);
    }
}
