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

    /// <summary>Whether a save of one row may take messages along without a transaction, for some tables.</summary>
    public bool HasLoneTables(DbContext context) =>
        store.Engine.Driver.Lone is not null && !store.Engine.Options.TransactionPooling
        && KvProvider.For(context) == store.Engine.Provider;

    /// <summary>Whether it may for a table. The connection of the context is open.</summary>
    /// <param name="context">The context.</param>
    /// <param name="table">The table, as the statement names it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public ValueTask<bool> IsLoneTableAsync(DbContext context, string table, CancellationToken cancellationToken) =>
        store.Engine.Driver.Lone?.ContainsAsync(context.Database.GetDbConnection(), table, cancellationToken) ?? new(false);

    /// <summary>Whether one of the errors of a save without a transaction says that nothing of it was committed.</summary>
    public bool ProvesRollback(DbContext context, List<Exception> errors) =>
        errors.Exists(error => store.Engine.Driver.ProvesRollback(error, context.Database.GetDbConnection()));

    /// <summary>Explains an error of such a save, where its command has refused to commit by itself.</summary>
    /// <exception cref="InvalidOperationException">The tables are others than the store's. Nothing was written.</exception>
    /// <exception cref="DbUpdateException">Something has changed since the last look. Nothing was written.</exception>
    public async ValueTask ExplainLoneAsync(DbContext context, string table, Exception error)
    {
        if (store.Engine.Driver.Lone?.Explain(error.GetBaseException(), context.Database.GetDbConnection(), table) is not { } reason)
        {
            return;
        }

        var session = Lend(context, null);
        await using (session.ConfigureAwait(false))
        {
            await store.Engine.Identity.EnsureAsync(session, CancellationToken.None).ConfigureAwait(false);
        }

        throw new DbUpdateException(
            $"SaveChanges of {context.GetType().Name} wrote nothing: since the last look, {reason}. Without a transaction, a row and its "
            + "messages would not be stored for sure. Save again.",
            error,
            DatabaseErrors.Chain(error).OfType<DbUpdateException>().FirstOrDefault()?.Entries ?? []);
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
