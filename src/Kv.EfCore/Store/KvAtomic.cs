using Kv.Commits;
using Kv.Messages;
using Kv.Store;

namespace Kv;

/// <summary>An atomic write under construction: checks, mutations and messages that are committed all or not at all.</summary>
/// <remarks>
/// Mutations apply in the order given, each seeing the earlier ones; checks see the state before all of them. A write is committed once:
/// its messages get their ids then. After a refusal (failed checks, or an exception that is no <see cref="KvCommitUnknownException"/>)
/// nothing of it was written, and it can be changed and committed again, with new ids. Not safe for concurrent use.
/// </remarks>
public sealed partial class KvAtomic
{
    private readonly AtomicWriteBuilder _builder;
    private readonly KvStore _store;

    internal KvAtomic(KvStore store, string? lender = null)
    {
        (_store, _lender) = (store, lender);
        _builder = store.Build();
    }

    /// <summary>Refuses the write unless the key is as it was read.</summary>
    /// <param name="key">The key.</param>
    /// <param name="versionstamp">The versionstamp it must have; null: it must be absent.</param>
    /// <returns>This write.</returns>
    public KvAtomic Check(KvKey key, KvVersionstamp? versionstamp)
    {
        Building.Check(key, versionstamp);
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
        Building.Set(MutationKind.Set, key, value, expireIn);
        return this;
    }

    /// <inheritdoc cref="Set{T}(KvKey, T, TimeSpan?)" />
    /// <param name="key">The key.</param>
    /// <param name="value">The value, serialized now.</param>
    /// <param name="options">How long the entry lives, and how the value is stored.</param>
    /// <exception cref="KvException">The value cannot be stored in the encoding that the options name.</exception>
    public KvAtomic Set<T>(KvKey key, T value, KvSetOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        Building.Set(MutationKind.Set, key, value, options.ExpireIn, options.Encoding);
        return this;
    }

    /// <summary>
    /// Sets a value under a key that ends with the versionstamp of this commit, as a string of 20 hex digits: a log in commit order.
    /// </summary>
    /// <typeparam name="T">The value's type.</typeparam>
    /// <param name="prefix">
    /// The key without its last part. Two such sets with one prefix in one write name the same key; the last one stays.
    /// </param>
    /// <param name="value">The value.</param>
    /// <param name="expireIn">How long the entry lives from the commit; null for ever.</param>
    /// <returns>This write.</returns>
    public KvAtomic SetVersionstamped<T>(KvKey prefix, T value, TimeSpan? expireIn = null)
    {
        Building.Set(MutationKind.SetVersionstamped, prefix, value, expireIn);
        return this;
    }

    /// <summary>Deletes a key. An absent key is fine.</summary>
    /// <param name="key">The key.</param>
    /// <returns>This write.</returns>
    public KvAtomic Delete(KvKey key)
    {
        Building.Add(MutationKind.Delete, key);
        return this;
    }

    /// <summary>Deletes all entries of a range.</summary>
    /// <param name="range">The range.</param>
    /// <returns>This write.</returns>
    public KvAtomic DeleteRange(KvRange range)
    {
        Building.DeleteRange(range);
        return this;
    }

    /// <summary>
    /// Adds to an unsigned 64-bit counter, modulo 2^64. An absent key counts as 0; the expiry of a counter that is there stays.
    /// </summary>
    /// <remarks>
    /// To subtract n, add 2^64 - n, or use <see cref="SumWithin"/>. The commit fails with <see cref="KvErrorKind.Type"/> if the value is no
    /// counter.
    /// </remarks>
    /// <param name="key">The key.</param>
    /// <param name="value">What is added.</param>
    /// <param name="expireIn">How long a counter lives, from the commit, that this sum begins; null for ever.</param>
    /// <returns>This write.</returns>
    public KvAtomic Sum(KvKey key, ulong value, TimeSpan? expireIn = null)
    {
        Building.Count(MutationKind.Sum, key, value, expireIn);
        return this;
    }

    /// <summary>Adds to an unsigned 64-bit counter, or subtracts, without leaving a range.</summary>
    /// <remarks>
    /// The commit fails with <see cref="KvErrorKind.Range"/> if the result is outside and <paramref name="clamp"/> is false.
    /// </remarks>
    /// <param name="key">The key; absent counts as 0.</param>
    /// <param name="delta">What is added.</param>
    /// <param name="min">The least result.</param>
    /// <param name="max">The greatest result.</param>
    /// <param name="clamp">Whether a result outside is drawn to the nearest bound.</param>
    /// <returns>This write.</returns>
    public KvAtomic SumWithin(KvKey key, long delta, ulong min = 0, ulong max = ulong.MaxValue, bool clamp = false)
    {
        Building.SumWithin(key, delta, min, max, clamp);
        return this;
    }

    /// <summary>Adds to a number or a bigint of JavaScript's (<see cref="KvEncoding.V8"/>), as Deno KV's <c>sum</c> does.</summary>
    /// <remarks>
    /// Numbers are added as doubles, bigints exactly, and a counter takes a bigint from 0 to 2^64 - 1 and wraps. The commit fails with
    /// <see cref="KvErrorKind.Type"/> if what is stored is of another kind, and with <see cref="KvErrorKind.Range"/> if the result is
    /// outside and <paramref name="clamp"/> is false. An entry that is there keeps its expiry, where Deno makes it live for ever.
    /// </remarks>
    /// <param name="key">The key; an absent one takes <paramref name="value"/> as it is, without regard to the bounds.</param>
    /// <param name="value">What is added: a number or a bigint.</param>
    /// <param name="min">The least result, of the same kind; null for none.</param>
    /// <param name="max">The greatest result, of the same kind; null for none.</param>
    /// <param name="clamp">Whether a result outside is drawn to the nearest bound.</param>
    /// <returns>This write.</returns>
    /// <exception cref="ArgumentException">The value is neither, a bound is of another kind, or the key is over a limit.</exception>
    public KvAtomic SumValue(KvKey key, V8Value value, V8Value? min = null, V8Value? max = null, bool clamp = false)
    {
        Building.SumValue(key, value, min, max, clamp);
        return this;
    }

    /// <summary>Lowers a counter to a value, if it is above. An absent key takes the value.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <returns>This write.</returns>
    public KvAtomic Min(KvKey key, ulong value)
    {
        Building.Count(MutationKind.Min, key, value);
        return this;
    }

    /// <summary>Raises a counter to a value, if it is below. An absent key takes the value.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <returns>This write.</returns>
    public KvAtomic Max(KvKey key, ulong value)
    {
        Building.Count(MutationKind.Max, key, value);
        return this;
    }

    /// <summary>Folds an operand into the value, by a merge operator of the store: no read, no check and no second try.</summary>
    /// <remarks>
    /// The operator runs in the commit, on what is stored then, after the mutations of the key that stand before it in this write. The
    /// write fails if what is stored is none of the operator's values (<see cref="KvErrorKind.Type"/>), and if the operator fails or makes
    /// a value of more than <see cref="KvStoreOptions.MaxValueSize"/> bytes (<see cref="KvErrorKind.Merge"/>). An entry that is there keeps
    /// its expiry.
    /// </remarks>
    /// <typeparam name="T">The operand's type.</typeparam>
    /// <param name="key">The key; the operator says what becomes of an absent one.</param>
    /// <param name="name">The operator: one of <see cref="KvMerge"/>, or of those that <see cref="KvMergeExtensions"/> added.</param>
    /// <param name="operand">The operand, serialized now.</param>
    /// <param name="expireIn">How long an entry lives, from the commit, that this merge begins; null for ever.</param>
    /// <returns>This write.</returns>
    /// <exception cref="ArgumentException">The store has no operator of that name, or the key or operand is over a limit.</exception>
    /// <exception cref="KvException">
    /// The operand cannot be stored (<see cref="KvErrorKind.Encoding"/>), or is none of the operator (<see cref="KvErrorKind.Type"/>).
    /// </exception>
    public KvAtomic Merge<T>(KvKey key, string name, T operand, TimeSpan? expireIn = null)
    {
        Building.Merge(key, name, operand, expireIn);
        return this;
    }

    /// <summary>
    /// Changes when an entry expires, without rewriting its value. It takes the versionstamp of this commit. An absent key stays absent.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <param name="expireIn">How long the entry lives from the commit; null for ever.</param>
    /// <returns>This write.</returns>
    public KvAtomic Touch(KvKey key, TimeSpan? expireIn)
    {
        Building.Touch(key, expireIn);
        return this;
    }

    /// <summary>Puts a message into the queue if the write is committed.</summary>
    /// <typeparam name="T">
    /// What the message is passed as; the type that it has names it, by its <see cref="KvMessageAttribute"/>.
    /// </typeparam>
    /// <param name="message">The message, serialized now.</param>
    /// <param name="options">Delay, retries, topic, where it goes if it cannot be delivered.</param>
    /// <returns>This write.</returns>
    /// <exception cref="ArgumentException">No handler could be registered for the message's type, or something is over a limit.</exception>
    /// <exception cref="KvException">The message cannot be stored whole (<see cref="KvErrorKind.Encoding"/>).</exception>
    public KvAtomic Enqueue<T>(T message, KvEnqueueOptions? options = null)
    {
        Building.Enqueue(message, options);
        return this;
    }

    /// <summary>Puts a message into the queue that was made and checked before.</summary>
    internal void Enqueue(NewMessage message) => Building.Enqueue(message);
}
