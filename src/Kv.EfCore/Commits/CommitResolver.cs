using Kv.Connections;

namespace Kv.Commits;

/// <summary>Finds out what became of commits whose answers were lost.</summary>
internal sealed class CommitResolver(
    SessionFactory sessions, Driver driver, Func<Session, CommitWriter> newWriter, KvStoreOptions options, SharedLocks? locks)
{
    /// <summary>Finds out whether the commit of a mark happened, for as long as a write would try.</summary>
    /// <param name="mark">The mark.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="history">Looks at the database first: by what is found out here, it is changed.</param>
    /// <returns>Its last version, or null: then it did not happen and never will.</returns>
    public async ValueTask<long?> ResolveAsync(CommitMark mark, CancellationToken cancellationToken, CommitHistory? history = null)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var backoff = Backoff.ForConnections(options.CommandTimeout);
        var isLocked = false;
        string? holder = null;
        return await Retry.UntilAsync(TryAsync, Classify, GiveUp, cancellationToken).ConfigureAwait(false);

        async ValueTask<long?> TryAsync(Backoff? before)
        {
            var wait = new LockWait(sessions, driver, backoff.Left, looks: isLocked && holder is null);
            await using var _ = wait.ConfigureAwait(false);
            try
            {
                var writer = history is null
                    ? newWriter(await sessions.OpenAsync(SessionRole.Write, cancellationToken, backoff.Left).ConfigureAwait(false))
                    : await history.OpenAsync(backoff.Left).ConfigureAwait(false);
                await using (writer.ConfigureAwait(false))
                {
                    writer.Wait = wait;
                    return await BehindGateAsync(writer, w => w.ResolveAsync(mark, cancellationToken)).ConfigureAwait(false);
                }
            }
            catch (Exception error)
            {
                isLocked = driver.IsLockWait(error);
                holder = wait.Holder ?? holder;
                throw;
            }
        }

        Backoff? Classify(Exception error, Backoff? before)
        {
            if (driver.Classify(error) != Fault.Permanent)
            {
                return backoff;
            }

            return error is not KvException && DatabaseErrors.IsOfDatabase(error)
                ? throw DatabaseErrors.Refused(driver, error, "to tell whether the write was committed")
                : null;
        }

        Exception GiveUp(Exception error)
        {
            var cause = isLocked && holder is not null ? $"a lock is held by {holder}" : DatabaseErrors.Text(error);
            return new KvException(
                KvErrorKind.Unavailable,
                $"The database did not tell within {options.CommandTimeout.TotalSeconds:0.#} seconds whether the write was committed "
                + $"({cause}). Ask again when it is back.",
                error);
        }
    }

    /// <summary>Finds out whether the database takes writes, by one that changes nothing.</summary>
    public async ValueTask ProbeAsync(CancellationToken cancellationToken)
    {
        var writer = newWriter(await sessions.OpenAsync(SessionRole.Write, cancellationToken).ConfigureAwait(false));
        await using (writer.ConfigureAwait(false))
        {
            await BehindGateAsync(writer, w => w.ProbeAsync(cancellationToken)).ConfigureAwait(false);
        }
    }

    private async ValueTask<long?> BehindGateAsync(CommitWriter writer, Func<CommitWriter, ValueTask<long?>> act)
    {
        using var gate = await SharedLocks.PassAsync(locks).ConfigureAwait(false);
        try
        {
            return await act(writer).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            writer.Blame(error);
            throw;
        }
    }
}
