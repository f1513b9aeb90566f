using System.Data.Common;
using Kv.Connections;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Joined;

/// <summary>Takes what happens to a context to its unit of work. It has no state: one serves all contexts.</summary>
/// <remarks>
/// Calls that block stay on their thread but for what the engine awaits, which needs no thread of the caller's to go on.
/// </remarks>
internal sealed class JoinInterceptor : ISaveChangesInterceptor, IDbTransactionInterceptor
{
    private JoinInterceptor()
    {
    }

    public static JoinInterceptor Instance { get; } = new();

    public InterceptionResult<int> SavingChanges(DbContextEventData eventData, InterceptionResult<int> result)
    {
        Wait(SavingAsync(eventData.Context, CancellationToken.None));
        return result;
    }

    public async ValueTask<InterceptionResult<int>> SavingChangesAsync(
        DbContextEventData eventData, InterceptionResult<int> result, CancellationToken cancellationToken = default)
    {
        await SavingAsync(eventData.Context, cancellationToken).ConfigureAwait(false);
        return result;
    }

    public int SavedChanges(SaveChangesCompletedEventData eventData, int result)
    {
        Wait(SavedAsync(eventData.Context, CancellationToken.None));
        return result;
    }

    public async ValueTask<int> SavedChangesAsync(
        SaveChangesCompletedEventData eventData, int result, CancellationToken cancellationToken = default)
    {
        await SavedAsync(eventData.Context, cancellationToken).ConfigureAwait(false);
        return result;
    }

    public void SaveChangesFailed(DbContextErrorEventData eventData) => Wait(SaveFailedAsync(eventData.Context, eventData.Exception));

    public Task SaveChangesFailedAsync(DbContextErrorEventData eventData, CancellationToken cancellationToken = default) =>
        SaveFailedAsync(eventData.Context, eventData.Exception).AsTask();

    public void SaveChangesCanceled(DbContextEventData eventData) => Wait(SaveFailedAsync(eventData.Context, null));

    public Task SaveChangesCanceledAsync(DbContextEventData eventData, CancellationToken cancellationToken = default) =>
        SaveFailedAsync(eventData.Context, null).AsTask();

    public DbTransaction TransactionStarted(DbConnection connection, TransactionEndEventData eventData, DbTransaction result)
    {
        Began(eventData.Context, eventData.TransactionId);
        if (ContextUnits.Of(eventData.Context) is { } units)
        {
            units.Transactions.Began();
            units.Known?.Commits.Began();
        }

        return result;
    }

    public ValueTask<DbTransaction> TransactionStartedAsync(
        DbConnection connection, TransactionEndEventData eventData, DbTransaction result, CancellationToken cancellationToken = default) =>
        new(TransactionStarted(connection, eventData, result));

    public DbTransaction TransactionUsed(DbConnection connection, TransactionEventData eventData, DbTransaction result)
    {
        Began(eventData.Context, eventData.TransactionId);
        if (ContextUnits.Of(eventData.Context) is { } units)
        {
            units.Transactions.Used(eventData.TransactionId);
            units.Known?.Commits.Used();
        }

        return result;
    }

    public ValueTask<DbTransaction> TransactionUsedAsync(
        DbConnection connection, TransactionEventData eventData, DbTransaction result, CancellationToken cancellationToken = default) =>
        new(TransactionUsed(connection, eventData, result));

    public InterceptionResult TransactionCommitting(DbTransaction transaction, TransactionEventData eventData, InterceptionResult result)
    {
        Wait(CommittingAsync(eventData, CancellationToken.None));
        return result;
    }

    public async ValueTask<InterceptionResult> TransactionCommittingAsync(
        DbTransaction transaction, TransactionEventData eventData, InterceptionResult result, CancellationToken cancellationToken = default)
    {
        await CommittingAsync(eventData, cancellationToken).ConfigureAwait(false);
        return result;
    }

    public void TransactionCommitted(DbTransaction transaction, TransactionEndEventData eventData)
    {
        OwnTransactions.Ended(eventData.TransactionId);
        ContextUnits.Of(eventData.Context)?.Known?.Commits.Committed();
    }

    public Task TransactionCommittedAsync(
        DbTransaction transaction, TransactionEndEventData eventData, CancellationToken cancellationToken = default)
    {
        TransactionCommitted(transaction, eventData);
        return Task.CompletedTask;
    }

    public void TransactionRolledBack(DbTransaction transaction, TransactionEndEventData eventData)
    {
        OwnTransactions.Ended(eventData.TransactionId);
        ContextUnits.Of(eventData.Context)?.Known?.Commits.RolledBack(eventData.TransactionId);
    }

    public Task TransactionRolledBackAsync(
        DbTransaction transaction, TransactionEndEventData eventData, CancellationToken cancellationToken = default)
    {
        TransactionRolledBack(transaction, eventData);
        return Task.CompletedTask;
    }

    public void CreatedSavepoint(DbTransaction transaction, TransactionEventData eventData) =>
        ContextUnits.Of(eventData.Context)?.Transactions.CreatedSavepoint(eventData.TransactionId);

    public Task CreatedSavepointAsync(
        DbTransaction transaction, TransactionEventData eventData, CancellationToken cancellationToken = default)
    {
        CreatedSavepoint(transaction, eventData);
        return Task.CompletedTask;
    }

    public void RolledBackToSavepoint(DbTransaction transaction, TransactionEventData eventData) =>
        ContextUnits.Of(eventData.Context)?.RolledBackToSavepoint(eventData.TransactionId);

    public Task RolledBackToSavepointAsync(
        DbTransaction transaction, TransactionEventData eventData, CancellationToken cancellationToken = default)
    {
        RolledBackToSavepoint(transaction, eventData);
        return Task.CompletedTask;
    }

    public void ReleasedSavepoint(DbTransaction transaction, TransactionEventData eventData) =>
        ContextUnits.Of(eventData.Context)?.ReleasedSavepoint(eventData.TransactionId);

    public Task ReleasedSavepointAsync(
        DbTransaction transaction, TransactionEventData eventData, CancellationToken cancellationToken = default)
    {
        ReleasedSavepoint(transaction, eventData);
        return Task.CompletedTask;
    }

    private static void Began(DbContext? context, Guid transaction)
    {
        if (context is not null)
        {
            OwnTransactions.Began(context, transaction);
        }
    }

    private static async ValueTask SavingAsync(DbContext? context, CancellationToken cancellationToken)
    {
        if (ContextUnits.Of(context) is { } units)
        {
            units.Transactions.BeginSave();
            try
            {
                if (units.Known is { } unit)
                {
                    await unit.Commits.SavingAsync(cancellationToken).ConfigureAwait(false);
                }
            }
            catch
            {
                // EF Core tells nothing of a save that did not begin.
                units.Transactions.EndSave();
                throw;
            }
        }
    }

    private static async ValueTask SavedAsync(DbContext? context, CancellationToken cancellationToken)
    {
        if (ContextUnits.Of(context) is { } units)
        {
            try
            {
                if (units.Known is { } unit)
                {
                    await unit.Commits.SavedAsync(cancellationToken).ConfigureAwait(false);
                }
            }
            finally
            {
                units.Transactions.EndSave();
            }
        }
    }

    private static async ValueTask SaveFailedAsync(DbContext? context, Exception? error)
    {
        if (ContextUnits.Of(context) is { } units)
        {
            try
            {
                if (units.Known is { } unit)
                {
                    await unit.Commits.SaveFailedAsync(error).ConfigureAwait(false);
                }
            }
            finally
            {
                units.Transactions.EndSave();
            }
        }
    }

    private static ValueTask CommittingAsync(TransactionEventData eventData, CancellationToken cancellationToken)
    {
        if (ContextUnits.Of(eventData.Context) is not { } units)
        {
            return default;
        }

        units.Transactions.HasCommitted = units.Known is null;
        return units.Known is { } unit ? unit.Commits.CommittingAsync(eventData.TransactionId, cancellationToken) : default;
    }

    /// <summary>Waits for what a call that blocks has begun.</summary>
    public static void Wait(ValueTask task)
    {
        if (task.IsCompletedSuccessfully)
        {
            return;
        }

        task.AsTask().GetAwaiter().GetResult();
    }
}
