using Kv.Commits;
using Kv.Diagnostics;
using Kv.Joined;
using Kv.Store;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Kv;

/// <summary>What a context commits of the store together with its entities: checks, changes and messages, all or nothing.</summary>
/// <remarks>
/// Collecting does nothing but remember. <c>SaveChanges</c> commits what was collected, with the entities in one transaction; where the
/// context has a transaction open, that one's commit does, whether there was a save or not. What is collected in a transaction shares its
/// fate, and so does what is collected after a savepoint; what is collected without one waits for the next save or commit. As with
/// entities, a save that fails leaves everything as it was. Not safe for concurrent use, as the context.
/// </remarks>
public sealed class KvUnitOfWork
{
    private readonly DbContext _context;
    private readonly ContextTransactions _transactions;
    private readonly KvStore _store;
    private readonly PendingReads _reads;
    private bool _isOver;

    internal KvUnitOfWork(DbContext context, ContextTransactions transactions, KvStore store)
    {
        (_context, _transactions, _store) = (context, transactions, store);
        Pending = new PendingWrites(store.Build());
        Commits = new UnitCommits(context, transactions, store, Pending);
        _reads = new PendingReads(store, Pending);
    }

    /// <summary>What the last commit of this context brought; null before the first one that had something of the store.</summary>
    /// <remarks>In a transaction of the driver's (<c>UseTransaction</c>) it is known after the save, and true once that is
    /// committed.</remarks>
    public KvJoinedCommit? LastCommit => Commits.Last;

    /// <summary>How many checks, changes and messages are collected and not committed.</summary>
    public int PendingCount => Pending.Count;

    internal PendingWrites Pending { get; }

    internal UnitCommits Commits { get; }

    private AtomicWriteBuilder Collecting
    {
        get
        {
            RequireAlive();
            var current = _transactions.Current;
            Commits.DropOthers(current);
            _transactions.RequireTransaction();
            return Pending.Add(current, _transactions.Savepoints);
        }
    }

    /// <inheritdoc cref="KvAtomic.Check" />
    /// <remarks>A failed check refuses the whole commit, entities and all, with a <see cref="KvConflictException"/>.</remarks>
    public KvUnitOfWork Check(KvKey key, KvVersionstamp? versionstamp)
    {
        Collecting.Check(key, versionstamp);
        return this;
    }

    /// <inheritdoc cref="KvAtomic.Set{T}(KvKey, T, TimeSpan?)" />
    public KvUnitOfWork Set<T>(KvKey key, T value, TimeSpan? expireIn = null)
    {
        Collecting.Set(MutationKind.Set, key, value, expireIn);
        return this;
    }

    /// <inheritdoc cref="KvAtomic.Set{T}(KvKey, T, KvSetOptions)" />
    public KvUnitOfWork Set<T>(KvKey key, T value, KvSetOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        Collecting.Set(MutationKind.Set, key, value, options.ExpireIn, options.Encoding);
        return this;
    }

    /// <inheritdoc cref="KvAtomic.SetVersionstamped" />
    public KvUnitOfWork SetVersionstamped<T>(KvKey prefix, T value, TimeSpan? expireIn = null)
    {
        Collecting.Set(MutationKind.SetVersionstamped, prefix, value, expireIn);
        return this;
    }

    /// <inheritdoc cref="KvAtomic.Delete" />
    public KvUnitOfWork Delete(KvKey key)
    {
        Collecting.Add(MutationKind.Delete, key);
        return this;
    }

    /// <inheritdoc cref="KvAtomic.DeleteRange" />
    public KvUnitOfWork DeleteRange(KvRange range)
    {
        Collecting.DeleteRange(range);
        return this;
    }

    /// <inheritdoc cref="KvAtomic.Sum" />
    public KvUnitOfWork Sum(KvKey key, ulong value, TimeSpan? expireIn = null)
    {
        Collecting.Count(MutationKind.Sum, key, value, expireIn);
        return this;
    }

    /// <inheritdoc cref="KvAtomic.SumWithin" />
    public KvUnitOfWork SumWithin(KvKey key, long delta, ulong min = 0, ulong max = ulong.MaxValue, bool clamp = false)
    {
        Collecting.SumWithin(key, delta, min, max, clamp);
        return this;
    }

    /// <inheritdoc cref="KvAtomic.Min" />
    public KvUnitOfWork Min(KvKey key, ulong value)
    {
        Collecting.Count(MutationKind.Min, key, value);
        return this;
    }

    /// <inheritdoc cref="KvAtomic.Max" />
    public KvUnitOfWork Max(KvKey key, ulong value)
    {
        Collecting.Count(MutationKind.Max, key, value);
        return this;
    }

    /// <inheritdoc cref="KvAtomic.Merge" />
    public KvUnitOfWork Merge<T>(KvKey key, string name, T operand, TimeSpan? expireIn = null)
    {
        Collecting.Merge(key, name, operand, expireIn);
        return this;
    }

    /// <inheritdoc cref="KvAtomic.Touch" />
    public KvUnitOfWork Touch(KvKey key, TimeSpan? expireIn)
    {
        Collecting.Touch(key, expireIn);
        return this;
    }

    /// <inheritdoc cref="KvAtomic.Enqueue" />
    public KvUnitOfWork Enqueue<T>(T message, KvEnqueueOptions? options = null)
    {
        Collecting.Enqueue(message, options);
        return this;
    }

    /// <summary>Reads an entry as it would be if what is collected were committed now.</summary>
    /// <remarks>
    /// What is stored comes from a connection of the store's own: what this transaction has written there already, with
    /// <see cref="FlushAsync"/>, is not seen before its commit.
    /// </remarks>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The entry, or null if there would be none.</returns>
    /// <exception cref="KvException">A change that is collected cannot be done, such as a sum of what is no counter.</exception>
    public ValueTask<KvPendingEntry?> GetAsync(KvKey key, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        RequireAlive();
        Commits.DropOthers(_transactions.Current);
        return _reads.GetAsync(key, cancellationToken);
    }

    /// <summary>Reads a value as it would be if what is collected were committed now.</summary>
    /// <typeparam name="T">What the value is read as.</typeparam>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The value, or the default of the type if there would be none.</returns>
    public async ValueTask<T?> GetAsync<T>(KvKey key, CancellationToken cancellationToken = default) =>
        await GetAsync(key, cancellationToken).ConfigureAwait(false) is { } entry ? entry.As<T>() : default;

    /// <summary>Lists the entries of a range in which nothing is collected.</summary>
    /// <param name="range">The range.</param>
    /// <param name="options">Limit, direction, cursor.</param>
    /// <param name="cancellationToken">Stops the listing.</param>
    /// <exception cref="InvalidOperationException">Changes of the range are collected: the listing would show the entries without
    /// them.</exception>
    public IAsyncEnumerable<KvEntry> ListAsync(KvRange range, KvListOptions? options = null, CancellationToken cancellationToken = default)
    {
        RequireAlive();
        Commits.DropOthers(_transactions.Current);
        _reads.RefuseChanged(range);
        return _store.ListAsync(range, options, cancellationToken);
    }

    /// <summary>Drops what is collected and not committed.</summary>
    public void Clear() => Pending.Clear();

    /// <summary>Writes what is collected into the transaction that the context has open, ahead of its commit.</summary>
    /// <remarks>
    /// For transactions that end without <c>SaveChanges</c> and without EF Core, such as those of <c>UseTransaction</c> that the driver
    /// commits. Changes of entries lock the order of all commits from here to the end of the transaction, so call it last.
    /// </remarks>
    /// <param name="cancellationToken">Stops the write; then roll the transaction back.</param>
    /// <exception cref="InvalidOperationException">The context has no transaction open.</exception>
    /// <exception cref="KvConflictException">A check refused it. The transaction can go on without it.</exception>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        RequireAlive();
        return Commits.FlushAsync(cancellationToken);
    }

    /// <summary>Finds out whether the last transaction was committed, when its commit failed since the answer was lost.</summary>
    /// <remarks>
    /// What execution strategies that retry are to be given, which otherwise do everything twice then:
    /// <c>strategy.ExecuteInTransactionAsync(work, () =&gt; db.Kv().WasCommittedAsync())</c>. Under such a strategy each transaction of the
    /// context leaves a mark from the first call of <c>db.Kv()</c> on. A commit that is found not to have happened never will.
    /// </remarks>
    /// <param name="cancellationToken">Stops asking.</param>
    /// <returns>Whether it was committed. False if no transaction came as far as its commit.</returns>
    /// <exception cref="InvalidOperationException">The transaction left no mark.</exception>
    /// <exception cref="KvException">The database does not answer (<see cref="KvErrorKind.Unavailable"/>).</exception>
    public Task<bool> WasCommittedAsync(CancellationToken cancellationToken = default)
    {
        RequireAlive();
        return Commits.WasCommittedAsync(cancellationToken).AsTask();
    }

    /// <summary>The context is disposed of, or goes back to its pool.</summary>
    internal void End()
    {
        _isOver = true;
        if (Pending.Count > 0)
        {
            KvLog.JoinedLeft(
                _store.Engine.Logger, Commits.HasFailed ? LogLevel.Debug : LogLevel.Warning, Pending.Count, _context.GetType().Name);
        }
    }

    private void RequireAlive() => ObjectDisposedException.ThrowIf(_isOver, this);
}
