using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Tests;

/// <summary>Does something of an application's when a transaction is about to be committed, before the store's part.</summary>
internal sealed class AtCommit(Action<ShopContext> act) : DbTransactionInterceptor
{
    public bool IsOn { get; set; }

    public override ValueTask<InterceptionResult> TransactionCommittingAsync(
        DbTransaction transaction, TransactionEventData eventData, InterceptionResult result, CancellationToken cancellationToken = default)
    {
        if (IsOn)
        {
            IsOn = false;
            act((ShopContext)eventData.Context!);
        }

        return new(result);
    }
}

/// <summary>Does something of an application's when a transaction has begun, before the store's part.</summary>
internal sealed class AtStart(Action<ShopContext> act) : DbTransactionInterceptor
{
    public bool IsOn { get; set; }

    public override ValueTask<DbTransaction> TransactionStartedAsync(
        DbConnection connection, TransactionEndEventData eventData, DbTransaction result, CancellationToken cancellationToken = default)
    {
        if (IsOn)
        {
            act((ShopContext)eventData.Context!);
        }

        return new(result);
    }
}

/// <summary>Begins a transaction of an application's within a save, after the store's part.</summary>
internal sealed class BeginsTransaction : SaveChangesInterceptor
{
    public bool IsOn { get; set; }

    public override async ValueTask<InterceptionResult<int>> SavingChangesAsync(
        DbContextEventData eventData, InterceptionResult<int> result, CancellationToken cancellationToken = default)
    {
        if (IsOn)
        {
            IsOn = false;
            await eventData.Context!.Database.BeginTransactionAsync(cancellationToken);
        }

        return result;
    }
}

/// <summary>An application's interceptor that comes before the store's, and closes what that would read.</summary>
internal sealed class ClosesReaders : DbCommandInterceptor
{
    public bool IsOn { get; set; }

    public override async ValueTask<InterceptionResult> DataReaderClosingAsync(
        DbCommand command, DataReaderClosingEventData eventData, InterceptionResult result)
    {
        if (IsOn && command.CommandText.Contains("@efkv", StringComparison.Ordinal))
        {
            await eventData.DataReader.CloseAsync();
        }

        return result;
    }
}

/// <summary>An application's interceptor that comes after the store's.</summary>
internal sealed class SaveCommands : DbCommandInterceptor
{
    public int Appended { get; set; }

    public bool RunsItself { get; init; }

    public bool FailsOnce { get; set; }

    public override InterceptionResult<DbDataReader> ReaderExecuting(
        DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result)
    {
        Count(command);
        return result;
    }

    public override async ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<DbDataReader> result,
        CancellationToken cancellationToken = default)
    {
        Count(command);
        return !RunsItself ? result
            : InterceptionResult<DbDataReader>.SuppressWithResult(await command.ExecuteReaderAsync(cancellationToken));
    }

    public override async ValueTask<DbDataReader> ReaderExecutedAsync(
        DbCommand command, CommandExecutedEventData eventData, DbDataReader result, CancellationToken cancellationToken = default)
    {
        if (FailsOnce)
        {
            FailsOnce = false;
            await result.DisposeAsync();
            throw new TransientException();
        }

        return result;
    }

    private void Count(DbCommand command) =>
        Appended += command.CommandText.Contains("@efkv", StringComparison.Ordinal) ? 1 : 0;
}
