using Kv.Merges;

namespace Kv;

/// <summary>Gives a store merge operators, by their names: what <see cref="KvAtomic.Merge{T}"/> folds operands into values with.</summary>
public static class KvMergeExtensions
{
    /// <summary>Adds a merge operator whose operands are of the type of the value.</summary>
    /// <typeparam name="T">What values and operands are; the store's serializer reads and writes them.</typeparam>
    /// <inheritdoc cref="AddMerge{TValue, TOperand}" path="/summary|/remarks|/param|/returns|/exception" />
    public static KvStoreOptions AddMerge<T>(this KvStoreOptions options, string name, Func<T?, T, T> fold) =>
        AddMerge<T, T>(options, name, fold);

    /// <summary>Adds a merge operator: a function that folds an operand into what is stored.</summary>
    /// <remarks>
    /// The function runs in the commit, under the lock that all writers of the store wait for, once for each operand: it must be quick, and
    /// do nothing but make a value of its arguments. It may run several times for one operand, each time with arguments of its own, which
    /// it may change and return. An exception of it fails the write alone that brought the operand. One that takes longer than
    /// 50 milliseconds is logged as a warning, at most once a minute. An operator is part of the process, and nothing of it is stored: each
    /// process that writes with it adds it, and one that only reads need not know it.
    /// </remarks>
    /// <typeparam name="TValue">What values are; the store's serializer reads and writes them.</typeparam>
    /// <typeparam name="TOperand">What operands are.</typeparam>
    /// <param name="options">The store's options.</param>
    /// <param name="name">
    /// The operator's name, with its case. The last operator of a name counts, also in the place of one of <see cref="KvMerge"/>.
    /// </param>
    /// <param name="fold">
    /// Makes the next value of what is stored, or the default of the type where there is no entry, and an operand. A null is stored as
    /// null.
    /// </param>
    /// <returns>The same options.</returns>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    public static KvStoreOptions AddMerge<TValue, TOperand>(this KvStoreOptions options, string name, Func<TValue?, TOperand, TValue> fold)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(fold);
        options.Merges[name] = new FoldMerge<TValue, TOperand>(name, fold);
        return options;
    }
}
