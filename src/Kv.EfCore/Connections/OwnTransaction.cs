using System.Data.Common;
using Microsoft.EntityFrameworkCore;

namespace Kv.Connections;

/// <summary>A transaction of a context of this process.</summary>
/// <param name="context">The context.</param>
/// <param name="transaction">The number that EF Core gave the transaction.</param>
internal sealed class OwnTransaction(DbContext context, Guid transaction)
{
    private readonly WeakReference<DbContext> _context = new(context);
    private readonly long _since = TimeProvider.System.GetTimestamp();

    /// <summary>The name of the context.</summary>
    public string Context { get; } = context.GetType().Name;

    /// <summary>How long it has been open, as far as it was seen.</summary>
    public TimeSpan Age => TimeProvider.System.GetElapsedTime(_since);

    /// <summary>The driver of the store whose commits wait for it; null if none is known to.</summary>
    public Driver? Locks { get; set; }

    /// <summary>The connection that has it; null if it has ended.</summary>
    public DbConnection? Connection
    {
        get
        {
            try
            {
                return _context.TryGetTarget(out var context) && context.Database.CurrentTransaction?.TransactionId == transaction
                    ? context.Database.GetDbConnection()
                    : null;
            }
            catch (ObjectDisposedException)
            {
                // A context that was disposed of has ended its transaction.
                return null;
            }
        }
    }
}
