using Kv.Engine;
using Microsoft.EntityFrameworkCore;

namespace Kv;

/// <summary>An atomic write under construction: checks, mutations and messages that are committed all or not at all.</summary>
/// <remarks>
/// Mutations apply in the order given, each seeing the earlier ones; checks see the state before all of them. Committing again runs the
/// same list again. Not safe for concurrent use.
/// </remarks>
public sealed class KvAtomic
{
    private readonly AtomicWriteBuilder _builder;
    private readonly KvStore _store;

    internal KvAtomic(KvStore store)
    {
        _store = store;
        _builder = new AtomicWriteBuilder(store.Engine, store.Serializer);
    }

    /// <summary>Refuses the write unless the key is as it was read.</summary>
    /// <param name="key">The key.</param>
    /// <param name="versionstamp">The versionstamp it must have; null: it must be absent.</param>
    /// <returns>This write.</returns>
    public KvAtomic Check(KvKey key, KvVersionstamp? versionstamp)
    {
        _builder.Check(key, versionstamp);
        return this;
    }

    /// <summary>Sets a value.</summary>
    /// <typeparam name="T">The value's type; see <see cref="IKvValueSerializer"/> for how it is stored.</typeparam>
    /// <param name="key">The key.</param>
    /// <param name="value">The value, serialized now.</param>
    /// <param name="expireIn">How long the entry lives from the commit; null for ever. A former expiry is dropped.</param>
    /// <returns>This write.</returns>
    public KvAtomic Set<T>(KvKey key, T value, TimeSpan? expireIn = null)
    {
        _builder.Set(MutationKind.Set, key, value, expireIn);
        return this;
    }

    /// <summary>Sets a value under a key that ends with the versionstamp of this commit, as a string of 20 hex digits: a log in commit order.</summary>
    /// <typeparam name="T">The value's type.</typeparam>
    /// <param name="prefix">The key without its last part. Two such sets with one prefix in one write name the same key; the last one stays.</param>
    /// <param name="value">The value.</param>
    /// <param name="expireIn">How long the entry lives from the commit; null for ever.</param>
    /// <returns>This write.</returns>
    public KvAtomic SetVersionstamped<T>(KvKey prefix, T value, TimeSpan? expireIn = null)
    {
        _builder.Set(MutationKind.SetVersionstamped, prefix, value, expireIn);
        return this;
    }

    /// <summary>Deletes a key. An absent key is fine.</summary>
    /// <param name="key">The key.</param>
    /// <returns>This write.</returns>
    public KvAtomic Delete(KvKey key)
    {
        _builder.Add(MutationKind.Delete, key);
        return this;
    }

    /// <summary>Deletes all entries of a range.</summary>
    /// <param name="range">The range.</param>
    /// <returns>This write.</returns>
    public KvAtomic Delete(KvSelector range)
    {
        _builder.DeleteRange(range);
        return this;
    }

    /// <summary>Adds to an unsigned 64-bit counter, modulo 2^64. An absent key counts as 0; the expiry stays as it is.</summary>
    /// <remarks>To subtract n, add 2^64 - n, or use <see cref="SumWithin"/>. The commit fails with <see cref="KvError.Type"/> if the value is no counter.</remarks>
    /// <param name="key">The key.</param>
    /// <param name="value">What is added.</param>
    /// <returns>This write.</returns>
    public KvAtomic Sum(KvKey key, ulong value)
    {
        _builder.Count(MutationKind.Sum, key, value);
        return this;
    }

    /// <summary>Adds to an unsigned 64-bit counter, or subtracts, without leaving a range.</summary>
    /// <remarks>The commit fails with <see cref="KvError.Range"/> if the result is outside and <paramref name="clamp"/> is false.</remarks>
    /// <param name="key">The key; absent counts as 0.</param>
    /// <param name="delta">What is added.</param>
    /// <param name="min">The least result.</param>
    /// <param name="max">The greatest result.</param>
    /// <param name="clamp">Whether a result outside is drawn to the nearest bound.</param>
    /// <returns>This write.</returns>
    public KvAtomic SumWithin(KvKey key, long delta, ulong min = 0, ulong max = ulong.MaxValue, bool clamp = false)
    {
        _builder.SumWithin(key, delta, min, max, clamp);
        return this;
    }

    /// <summary>Lowers a counter to a value, if it is above. An absent key takes the value.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <returns>This write.</returns>
    public KvAtomic Min(KvKey key, ulong value)
    {
        _builder.Count(MutationKind.Min, key, value);
        return this;
    }

    /// <summary>Raises a counter to a value, if it is below. An absent key takes the value.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <returns>This write.</returns>
    public KvAtomic Max(KvKey key, ulong value)
    {
        _builder.Count(MutationKind.Max, key, value);
        return this;
    }

    /// <summary>Changes when an entry expires, without rewriting its value. It takes the versionstamp of this commit. An absent key stays absent.</summary>
    /// <param name="key">The key.</param>
    /// <param name="expireIn">How long the entry lives from the commit; null for ever.</param>
    /// <returns>This write.</returns>
    public KvAtomic Touch(KvKey key, TimeSpan? expireIn)
    {
        _builder.Touch(key, expireIn);
        return this;
    }

    /// <summary>Puts a message into the queue if the write is committed.</summary>
    /// <typeparam name="T">The message's type; its <see cref="KvMessageAttribute"/> names it.</typeparam>
    /// <param name="message">The message, serialized now.</param>
    /// <param name="options">Delay, retries, topic, where it goes if it cannot be delivered.</param>
    /// <returns>This write.</returns>
    public KvAtomic Enqueue<T>(T message, KvEnqueueOptions? options = null)
    {
        _builder.Enqueue(message, options);
        return this;
    }

    /// <summary>Commits the write.</summary>
    /// <param name="cancellationToken">Gives up while the write waits for its turn; once it is part of a transaction, it is carried through.</param>
    /// <returns>The versionstamp, or which checks refused the write.</returns>
    /// <exception cref="ArgumentException">The write as a whole is over a limit.</exception>
    /// <exception cref="KvException">A mutation cannot be done, or the database is away. Nothing was written.</exception>
    /// <exception cref="KvCommitUnknownException">The connection broke during the commit, and the outcome could not be found out in time.</exception>
    public ValueTask<KvCommitResult> CommitAsync(CancellationToken cancellationToken = default) =>
        _store.CommitAsync(_builder.Build(), cancellationToken);

    /// <summary>Makes the write part of the transaction that a context of yours has open: it is committed with your entities, or not at all.</summary>
    /// <remarks>
    /// The store's version is locked from here until your transaction ends, and all other writers wait: call it last, in all of your
    /// transactions, and they never deadlock over it. The versionstamp is good once your transaction is committed. Workers and watchers learn
    /// of it as of a commit of another process. A failed write leaves your transaction usable. Exceptions of the database itself pass through (a full disk, a
    /// deadlock with who took locks in another order): roll back then, and begin anew.
    /// </remarks>
    /// <param name="context">A context on the store's database with a transaction open (<c>Database.BeginTransactionAsync()</c>).</param>
    /// <param name="cancellationToken">Stops the write; then roll your transaction back.</param>
    /// <returns>The versionstamp, or which checks refused the write.</returns>
    /// <exception cref="InvalidOperationException">The context has no transaction open.</exception>
    public ValueTask<KvCommitResult> CommitAsync(DbContext context, CancellationToken cancellationToken = default) =>
        _store.CommitAsync(_builder.Build(), context, cancellationToken);

    /// <summary>The write in the engine's terms.</summary>
    internal AtomicWrite Build() => _builder.Build();
}
