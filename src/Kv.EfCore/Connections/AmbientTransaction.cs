using System.Globalization;
using System.Transactions;

namespace Kv.Connections;

/// <summary>The transaction of a <see cref="TransactionScope"/> around a call, of which a store is never part.</summary>
internal static class AmbientTransaction
{
    /// <summary>Whether there is one.</summary>
    public static bool IsCurrent
    {
        get
        {
            try
            {
                return Transaction.Current is not null;
            }
            catch (InvalidOperationException)
            {
                // A scope that was completed and is not disposed of says so, instead of what is current.
                return true;
            }
        }
    }

    /// <summary>Refuses a write inside of one, before anything is done.</summary>
    /// <exception cref="InvalidOperationException">There is one; the message says what to do instead.</exception>
    public static void RefuseWrite()
    {
        if (IsCurrent)
        {
            throw new InvalidOperationException(
                $"{Describe()}, and a store commits by itself: what it wrote here would stay although the scope is rolled back. Nothing was written. "
                + "Write after the scope has ended; or use a transaction of EF Core instead of the scope (context.Database.BeginTransactionAsync()) and make the write part of it with CommitAsync(context); "
                + "or, if the write is to stay whatever becomes of the scope, put it into a new TransactionScope(TransactionScopeOption.Suppress, TransactionScopeAsyncFlowOption.Enabled).");
        }
    }

    /// <summary>What is current, for messages.</summary>
    public static string Describe()
    {
        try
        {
            return Transaction.Current is { } current
                ? string.Create(
                    CultureInfo.InvariantCulture,
                    $"A TransactionScope is open around the call (transaction {current.TransactionInformation.LocalIdentifier}, {current.IsolationLevel}, {current.TransactionInformation.Status})")
                : "No TransactionScope is open around the call";
        }
        catch (Exception error) when (error is InvalidOperationException or ObjectDisposedException)
        {
            return "A TransactionScope around the call was completed and is not disposed of yet";
        }
    }
}
