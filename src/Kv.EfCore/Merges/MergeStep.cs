namespace Kv.Merges;

/// <summary>How a write folds its operand into a value of a store.</summary>
/// <param name="merge">The operator.</param>
/// <param name="serializer">The store's serializer.</param>
/// <param name="table">The store's operators.</param>
internal sealed class MergeStep(MergeOperator merge, IKvValueSerializer serializer, MergeTable table)
{
    /// <summary>The next value of a key.</summary>
    /// <param name="key">The key as it is stored.</param>
    /// <param name="present">What it has; null if it is absent.</param>
    /// <param name="operand">The operand.</param>
    /// <exception cref="KvException">The value is none of the operator's, the operator failed, or what it made is over a limit.</exception>
    public KvValue Fold(byte[] key, KvValue? present, KvValue operand)
    {
        var next = Run(key, present, operand);
        return next.Defect is { } defect ? throw Failed(key, defect, inner: null)
            : next.Array.Length <= table.MaxValueSize ? next : throw TooLarge(key, next.Array.Length);
    }

    private KvValue Run(byte[] key, KvValue? present, KvValue operand)
    {
        var startedAt = table.Start();
        try
        {
            return merge.Fold(present, operand, serializer);
        }
        catch (UnreadableValueException error)
        {
            var why = error.InnerException is { } inner ? $" {inner.Message}" : "";
            throw new KvException(
                KvErrorKind.Type,
                $"The merge operator '{merge.Name}' folds operands into {merge.Values}, and the value of {KvKey.FromStored(key)} "
                + $"({present}) is none.{why} Nothing of this write was written. "
                + "Set the key to such a value first, or merge under another key.",
                error.InnerException);
        }
        catch (Exception error) when (error is not OutOfMemoryException && !(error is KvException && merge.TellsItself))
        {
            throw Failed(key, error.Message, error);
        }
        finally
        {
            table.End(merge, startedAt, present?.Array.Length ?? 0);
        }
    }

    private KvException Failed(byte[] key, string why, Exception? inner) => new(
        KvErrorKind.Merge,
        $"The merge operator '{merge.Name}' failed on {KvKey.FromStored(key)}: {why} An operator makes a value of whatever is stored and "
        + "each operand that it is given. Nothing of this write was written. Correct the operator, or write another operand.",
        inner);

    private KvException TooLarge(byte[] key, int size) => new(
        KvErrorKind.Merge,
        $"Value too large (max {table.MaxValueSize} bytes): with this operand, the merge operator '{merge.Name}' makes {size} bytes of the "
        + $"value of {KvKey.FromStored(key)}. Nothing of this write was written. Split the value over several keys, or raise "
        + "KvStoreOptions.MaxValueSize.");
}
