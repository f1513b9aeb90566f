using Kv.Connections;

namespace Kv.Commits;

/// <summary>Finds out what became of commits whose answers were lost.</summary>
internal sealed class CommitResolver(
    SessionFactory sessions, Driver driver, Func<Session, CommitWriter> newWriter, KvStoreOptions options, SharedLocks? locks)
{
    /// <summary>Finds out whether the commit of a mark happened, for as long as a write would try.</summary>
    /// <returns>Its last version, or null: then it did not happen and never will.</returns>
    public async ValueTask<long?> ResolveAsync(CommitMark mark, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var backoff = Backoff.ForConnections(options.CommandTimeout);
        var locked = false;
        string? holder = null;
        while (true)
        {
            var wait = new LockWait(sessions, driver, backoff.Left, looks: locked && holder is null);
            await using var _ = wait.ConfigureAwait(false);
            try
            {
                var writer = newWriter(await sessions.OpenAsync(SessionRole.Write, cancellationToken, backoff.Left).ConfigureAwait(false));
                await using (writer.ConfigureAwait(false))
                {
                    writer.Wait = wait;
                    return await BehindGateAsync(writer, w => w.ResolveAsync(mark, cancellationToken)).ConfigureAwait(false);
                }
            }
            catch (Exception error) when (driver.Classify(error) != Fault.Permanent)
            {
                locked = driver.IsLockWait(error);
                holder = wait.Holder ?? holder;
                if (!await backoff.WaitAsync(cancellationToken).ConfigureAwait(false))
                {
                    throw new KvException(
                        KvErrorKind.Unavailable,
                        $"The database did not tell within {options.CommandTimeout.TotalSeconds:0.#} seconds whether the write was committed ({(locked && holder is not null ? $"a lock is held by {holder}" : DatabaseErrors.Text(error))}). Ask again when it is back.",
                        error);
                }
            }
            catch (Exception error) when (error is not KvException && DatabaseErrors.IsOfDatabase(error))
            {
                throw DatabaseErrors.Refused(driver, error, "to tell whether the write was committed");
            }
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
