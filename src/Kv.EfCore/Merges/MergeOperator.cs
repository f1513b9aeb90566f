namespace Kv.Merges;

/// <summary>Folds operands into values.</summary>
internal abstract class MergeOperator(string name) : NamedMerge(name)
{
    /// <summary>What its values are, for errors.</summary>
    public abstract string Values { get; }

    /// <summary>Whether its errors say what is to be done.</summary>
    public virtual bool TellsItself => false;

    /// <summary>The operand as it waits for the commit: nothing that the caller changes afterwards reaches it.</summary>
    /// <exception cref="KvException">It cannot be stored, or is none of this operator.</exception>
    public abstract KvValue Serialize<T>(T operand, IKvValueSerializer serializer);

    /// <summary>The next value.</summary>
    /// <param name="present">What is stored; null if nothing is.</param>
    /// <param name="operand">An operand.</param>
    /// <param name="serializer">The store's serializer.</param>
    /// <exception cref="UnreadableValueException">What is stored is no value of this operator.</exception>
    public abstract KvValue Fold(KvValue? present, KvValue operand, IKvValueSerializer serializer);
}
