using System.Collections.Concurrent;
using System.Data.Common;

namespace Kv.Connections;

/// <summary>
/// The transactions that contexts of this process have open, as far as they are seen: those of contexts with <c>UseKv()</c>, and those
/// that a write was joined to. A write of a store that waits for one of them may wait for its own caller.
/// </summary>
internal static class OwnTransactions
{
    /// <summary>How long a write waits for one of them.</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(1);

    /// <summary>How long a try waits for a lock before it is looked whether one of them has it.</summary>
    public static readonly TimeSpan LookAfter = LongestWait * 1.2;

    // Nobody tells of the end of most of those that a write was joined to: they are looked at when there are many.
    private const int PruneEvery = 100;
    private static readonly ConcurrentDictionary<DbTransaction, OwnTransaction> All = new();

    // Writes ask before they look: the dictionary would take all its locks to say so.
    private static int _open;
    private static int _locking;

    /// <summary>Whether there is any.</summary>
    public static bool HasAny => Volatile.Read(ref _open) > 0;

    /// <summary>Whether there is one that has taken the lock of a store's commits.</summary>
    public static bool HasLocks => Volatile.Read(ref _locking) > 0;

    /// <summary>A context begins a transaction, or is given one.</summary>
    public static void Began(DbTransaction transaction, string context)
    {
        // Drivers use their objects again, and not every end is told of.
        Ended(transaction);
        Add(transaction, context);
    }

    /// <summary>A transaction has taken the lock that orders the commits of a store.</summary>
    /// <param name="transaction">The transaction.</param>
    /// <param name="context">The name of the context that has it.</param>
    /// <param name="driver">The store's.</param>
    public static void Locked(DbTransaction transaction, string context, Driver driver)
    {
        var own = Add(transaction, context);
        if (own.Locks is null)
        {
            Interlocked.Increment(ref _locking);
        }

        own.Locks = driver;
    }

    /// <summary>A transaction has ended.</summary>
    public static void Ended(DbTransaction transaction)
    {
        if (!All.TryRemove(transaction, out var own))
        {
            return;
        }

        Interlocked.Decrement(ref _open);
        if (own.Locks is not null)
        {
            Interlocked.Decrement(ref _locking);
        }
    }

    /// <summary>The one that a session of a store waits for, if it has been open for so long that the wait is for it.</summary>
    public static OwnTransaction? Find(Driver driver, DbConnection waiting)
    {
        foreach (var (transaction, own) in All)
        {
            if (ConnectionOf(transaction) is not { } connection)
            {
                Ended(transaction);
            }
            else if (own.Age >= LongestWait && (own.Locks == driver || driver.LocksWhole(connection, waiting)))
            {
                return own;
            }
        }

        return null;
    }

    /// <summary>The connection of a transaction; null if it has ended, of which not every driver's object can be asked.</summary>
    private static DbConnection? ConnectionOf(DbTransaction transaction)
    {
        try
        {
            return transaction.Connection;
        }
        catch (ObjectDisposedException)
        {
            return null;
        }
    }

    private static OwnTransaction Add(DbTransaction transaction, string context)
    {
        if (All.TryGetValue(transaction, out var known))
        {
            return known;
        }

        var own = new OwnTransaction(context);
        if (All.TryAdd(transaction, own) && Interlocked.Increment(ref _open) % PruneEvery == 0)
        {
            foreach (var ended in All.Keys.Where(static t => ConnectionOf(t) is null))
            {
                Ended(ended);
            }
        }

        return own;
    }
}

/// <summary>A transaction of a context of this process.</summary>
/// <param name="Context">The name of the context.</param>
internal sealed record OwnTransaction(string Context)
{
    private readonly long _since = TimeProvider.System.GetTimestamp();

    /// <summary>How long it has been open, as far as it was seen.</summary>
    public TimeSpan Age => TimeProvider.System.GetElapsedTime(_since);

    /// <summary>The driver of the store whose commits wait for it; null if none is known to.</summary>
    public Driver? Locks { get; set; }
}
