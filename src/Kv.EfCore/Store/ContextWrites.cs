using System.Data;
using System.Data.Common;
using Kv.Commits;
using Kv.Connections;
using Kv.Engine;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;

namespace Kv.Store;

/// <summary>Writes for a context of the user's, which must be on the store's database.</summary>
/// <param name="store">The store.</param>
internal sealed class ContextWrites(KvStore store)
{
    /// <summary>Does a write inside the transaction that a context has open.</summary>
    /// <exception cref="InvalidOperationException">There is none, or the context is on another database. Nothing was written.</exception>
    public async ValueTask<AtomicOutcome> JoinAsync(AtomicWork work, DbContext context, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);
        var transaction = context.Database.CurrentTransaction ?? throw new InvalidOperationException(
            AmbientTransaction.IsCurrent
                ? $"{AmbientTransaction.Describe()}, and the context has no transaction of its own. A store joins transactions of EF Core "
                    + "and no scopes. Nothing was written. Leave the scope out, begin a transaction with "
                    + "context.Database.BeginTransactionAsync(), save your entities, call this, and commit."
                : "The context has no transaction open, so there is nothing to be part of. Begin one with "
                    + "context.Database.BeginTransactionAsync(), save your entities, call this, and commit.");
        RefuseOtherProvider(context);
        var session = Lend(context, transaction);
        await using (session.ConfigureAwait(false))
        {
            var outcome = await store.CallAsync(
                "commit",
                (Work: work, Session: session),
                static async (engine, of, token) => await engine.Joined.RunAsync(of.Work, of.Session, token).ConfigureAwait(false),
                cancellationToken,
                work.Write.Count).ConfigureAwait(false);

            // A transaction that is being committed holds the lock no longer than that takes.
            if (work.TakesVersion && work is not JoinedWork { IsSeen: true })
            {
                OwnTransactions.Locked(context, transaction.TransactionId, store.Engine.Driver);
            }

            return outcome;
        }
    }

    /// <summary>Where a save of one row may take messages along without a transaction; null for nowhere.</summary>
    public LoneTables? LoneTablesFor(DbContext context) =>
        !store.Engine.Options.TransactionPooling && KvProvider.For(context) == store.Engine.Provider ? store.Engine.Driver.Lone : null;

    /// <summary>Whether one of the errors of such a save says that nothing of it was committed.</summary>
    /// <remarks>
    /// It may be the first command of a connection that comes from the driver's pool, and an error that of the reset ahead of it, which
    /// closes the connection while the server runs the command.
    /// </remarks>
    public bool ProvesRollback(DbContext context, List<Exception> errors) =>
        context.Database.GetDbConnection() is { State: ConnectionState.Open } connection
        && errors.Exists(error => store.Engine.Driver.ProvesRollback(error, connection));

    /// <summary>Makes sure that a context is on the store's tables, where one of its commands has found others.</summary>
    /// <exception cref="InvalidOperationException">It is not.</exception>
    public async ValueTask EnsurePlaceAsync(DbContext context)
    {
        await context.Database.OpenConnectionAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            var session = Lend(context, null);
            await using (session.ConfigureAwait(false))
            {
                await store.Engine.Identity.EnsureAsync(session, CancellationToken.None).ConfigureAwait(false);
            }
        }
        finally
        {
            await context.Database.CloseConnectionAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Has a command that is about to run do a write of messages as well.</summary>
    /// <param name="work">The write.</param>
    /// <param name="context">The context.</param>
    /// <param name="command">The command.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The write; null where the command cannot, and <see cref="JoinAsync"/> is to do it.</returns>
    public async ValueTask<AppendedWrite?> TryAppendAsync(
        JoinedWork work, DbContext context, DbCommand command, CancellationToken cancellationToken)
    {
        if (KvProvider.For(context) != store.Engine.Provider)
        {
            return null;
        }

        var session = Lend(context, context.Database.CurrentTransaction);
        await using (session.ConfigureAwait(false))
        {
            if (store.Engine.Joined.FindAppender(work, session, command) is not { } writer)
            {
                return null;
            }

            return await store.CallAsync(
                "commit",
                (Work: work, Writer: writer, Command: command),
                static (engine, of, token) => engine.Joined.TryAppendAsync(of.Work, of.Writer, of.Command, token),
                cancellationToken,
                work.Write.Count).ConfigureAwait(false);
        }
    }

    /// <summary>Commits by itself what a context has collected and has no transaction for.</summary>
    /// <exception cref="InvalidOperationException">The context is on another database. Nothing was written.</exception>
    public async ValueTask<AtomicOutcome> SubmitAsync(AtomicWrite write, DbContext context, CancellationToken cancellationToken)
    {
        RefuseOtherProvider(context);
        await store.Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        await store.Engine.Identity.EnsureOnceAsync(context, cancellationToken).ConfigureAwait(false);
        return await store.SubmitAsync(write, cancellationToken).ConfigureAwait(false);
    }

    private Session Lend(DbContext context, IDbContextTransaction? transaction) =>
        new(context, store.Engine.Driver, transaction?.GetDbTransaction())
        {
            IsLent = true,
            Prepares = !store.Engine.Options.TransactionPooling,
            Identity = store.Engine.Identity,
        };

    private void RefuseOtherProvider(DbContext context)
    {
        if (KvProvider.For(context) != store.Engine.Provider)
        {
            throw new InvalidOperationException(
                $"The context uses '{context.Database.ProviderName}' and the store another database; one commit spans one database. "
                + "Use a context on the store's database.");
        }
    }
}
