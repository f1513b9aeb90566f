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

    /// <summary>Has a command that is about to run in the transaction of a context do a write of messages as well.</summary>
    /// <returns>The write; null where <see cref="JoinAsync"/> is to do it.</returns>
    public async ValueTask<AppendedWrite?> TryAppendAsync(
        JoinedWork work, DbContext context, IDbContextTransaction transaction, DbCommand command, CancellationToken cancellationToken)
    {
        if (KvProvider.For(context) != store.Engine.Provider)
        {
            return null;
        }

        var session = Lend(context, transaction);
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

    private Session Lend(DbContext context, IDbContextTransaction transaction) =>
        new(context, store.Engine.Driver, transaction.GetDbTransaction())
        {
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
