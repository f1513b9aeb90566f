using System.Collections.Concurrent;
using System.Data.Common;
using Microsoft.EntityFrameworkCore;

namespace Kv.Connections;

/// <summary>
/// The transactions that contexts of this process have open, as far as they are seen: those of contexts with <c>UseKv()</c>, and those
/// that a write was joined to. A write of a store that waits for one of them may wait for its own caller.
/// </summary>
/// <remarks>
/// They are known by the number that EF Core gives each: drivers use their transaction objects again. No event tells of a transaction that
/// was disposed of without a commit, so the context is asked.
/// </remarks>
internal static class OwnTransactions
{
    /// <summary>How long a write waits for one of them.</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(1);

    /// <summary>How long a try waits for a lock before the transactions are looked through.</summary>
    public static readonly TimeSpan LookAfter = LongestWait * 1.2;

    private const int PruneEvery = 100;
    private static readonly ConcurrentDictionary<Guid, OwnTransaction> All = new();

    // Writes ask before they look: the dictionary would take all its locks to say so.
    private static int _open;
    private static int _locking;

    /// <summary>Whether there is any.</summary>
    public static bool HasAny => Volatile.Read(ref _open) > 0;

    /// <summary>Whether there is one that has taken the lock of a store's commits.</summary>
    public static bool HasLocks
    {
        get
        {
            if (Volatile.Read(ref _locking) > 0)
            {
                // One that was left without an end would have every write ask the server for a shorter wait.
                Prune();
            }

            return Volatile.Read(ref _locking) > 0;
        }
    }

    /// <summary>A context begins a transaction, or is given one.</summary>
    public static void Began(DbContext context, Guid transaction) => Add(context, transaction);

    /// <summary>A transaction has taken the lock that orders the commits of a store.</summary>
    /// <param name="context">The context that has it.</param>
    /// <param name="transaction">The transaction.</param>
    /// <param name="driver">The store's.</param>
    public static void Locked(DbContext context, Guid transaction, Driver driver)
    {
        var own = Add(context, transaction);
        if (own.Locks is null)
        {
            Interlocked.Increment(ref _locking);
        }

        own.Locks = driver;
    }

    /// <summary>A transaction has ended.</summary>
    public static void Ended(Guid transaction)
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
        Prune();
        return All.Values.FirstOrDefault(own => own.Age >= LongestWait
            && (own.Locks == driver || (own.Connection is { } connection && driver.LocksWhole(connection, waiting))));
    }

    private static OwnTransaction Add(DbContext context, Guid transaction)
    {
        var added = new OwnTransaction(context, transaction);
        var own = All.GetOrAdd(transaction, added);
        if (own == added && Interlocked.Increment(ref _open) % PruneEvery == 0)
        {
            Prune();
        }

        return own;
    }

    private static void Prune()
    {
        foreach (var (transaction, own) in All)
        {
            if (own.Connection is null)
            {
                Ended(transaction);
            }
        }
    }
}
