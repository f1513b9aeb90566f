using System.Transactions;
using Kv.Connections;
using Microsoft.EntityFrameworkCore;

namespace Kv.Joined;

/// <summary>What a context's events tell of its transactions.</summary>
/// <param name="context">The context.</param>
internal sealed class ContextTransactions(DbContext context)
{
    private Guid? _external;
    private Guid? _withSavepoints;
    private int _savepoints;
    private AutoTransactionBehavior? _usual;

    /// <summary>Whether <c>SaveChanges</c> is running, from its first interceptor to its last.</summary>
    public bool IsSaving { get; private set; }

    /// <summary>Whether the last transaction came as far as its commit.</summary>
    public bool HasCommitted { get; set; }

    /// <summary>Whether changes were saved in it, or are being saved.</summary>
    public bool HasSaved { get; private set; }

    /// <summary>Whether the save that is running began the transaction, which ends with it then and is not taken back in parts.</summary>
    /// <remarks>
    /// Interceptors may begin one within a save as well. EF Core makes a savepoint in that; where it is told not to, none is taken for the
    /// save's.
    /// </remarks>
    public bool IsOfSave
    {
        get => field && context.Database.AutoSavepointsEnabled;
        private set;
    }

    /// <summary>The transaction that the context has open; null for none.</summary>
    public Guid? Current => context.Database.CurrentTransaction?.TransactionId;

    /// <summary>Whether that is one of the driver's (<c>UseTransaction</c>), whose commit no event tells of.</summary>
    public bool IsExternal => _external is not null && _external == Current;

    /// <summary>How many savepoints of the user's it has, as far as is known.</summary>
    public int Savepoints => _withSavepoints is not null && _withSavepoints == Current ? _savepoints : 0;

    /// <summary>A lease of the context ended. EF Core gives the next one its own settings.</summary>
    public void Reset()
    {
        (_external, _withSavepoints, _savepoints, _usual) = (null, null, 0, null);
        EndSave();
        Began();
    }

    /// <summary>A transaction begins, and knows nothing of the one before.</summary>
    public void Began() => (HasCommitted, HasSaved, IsOfSave) = (false, IsSaving, IsSaving);

    public void BeginSave() => (IsSaving, HasSaved, IsOfSave) = (true, true, false);

    public void EndSave()
    {
        (IsSaving, IsOfSave) = (false, false);
        if (_usual is { } usual)
        {
            context.Database.AutoTransactionBehavior = usual;
            _usual = null;
        }
    }

    /// <summary>
    /// Has the <c>SaveChanges</c> that is running do so in a transaction: EF Core begins none for a single statement, and then there is no
    /// commit to be part of.
    /// </summary>
    public void RequireTransaction()
    {
        if (IsSaving && _usual is null && context.Database.AutoTransactionBehavior is not AutoTransactionBehavior.Always and var usual)
        {
            _usual = usual;
            context.Database.AutoTransactionBehavior = AutoTransactionBehavior.Always;
        }
    }

    /// <summary>Refuses to write where the context is part of a transaction of System.Transactions: no event tells of its end.</summary>
    /// <exception cref="InvalidOperationException">It is.</exception>
    public void RefuseScope()
    {
        AmbientTransaction.RefuseWrite();
        if (context.Database.GetEnlistedTransaction() is not null)
        {
            throw new InvalidOperationException(
                "The context is enlisted in a transaction of System.Transactions (EnlistTransaction), whose commit EF Core does not tell "
                + "of. Nothing was written. Use a transaction of EF Core instead: context.Database.BeginTransactionAsync().");
        }
    }

    public void Used(Guid transaction) => (_external, IsOfSave) = (transaction, false);

    /// <summary>A savepoint was made: the user's, unless EF Core makes one for a <c>SaveChanges</c> that is running.</summary>
    public void CreatedSavepoint(Guid transaction)
    {
        // EF Core makes one for each save in a transaction that it has not begun for it.
        IsOfSave = false;
        if (!IsSaving)
        {
            _savepoints = _withSavepoints == transaction ? _savepoints + 1 : 1;
            _withSavepoints = transaction;
        }
    }

    /// <summary>A savepoint was released. Which one is not told, and which are gone with it: of several, all may be there still.</summary>
    /// <returns>Whether that leaves none for sure.</returns>
    public bool ReleasedSavepoint()
    {
        if (IsSaving || _savepoints != 1)
        {
            return false;
        }

        _savepoints = 0;
        return true;
    }
}
