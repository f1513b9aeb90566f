using Kv.Values;

namespace Kv.Merges;

/// <summary>
/// A merge operator of the application's: values and operands are read anew for each fold, so it may change what it is given.
/// </summary>
internal sealed class FoldMerge<TValue, TOperand>(string name, Func<TValue?, TOperand, TValue> fold) : MergeOperator(name)
{
    public override string Values => TypeText.Of(typeof(TValue));

    public override KvValue Serialize<T>(T operand, IKvValueSerializer serializer)
    {
        var stored = operand is TOperand typed ? serializer.Serialize(typed) : serializer.Serialize(operand);
        try
        {
            serializer.Deserialize<TOperand>(stored);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw new KvException(
                KvErrorKind.Type,
                $"The merge operator '{Name}' takes a {TypeText.Of(typeof(TOperand))}, and this cannot be read as one: {error.Message}",
                error);
        }

        return stored;
    }

    public override KvValue Fold(KvValue? present, KvValue operand, IKvValueSerializer serializer) =>
        serializer.Serialize(fold(Read(present, serializer), serializer.Deserialize<TOperand>(operand)!));

    private static TValue? Read(KvValue? present, IKvValueSerializer serializer)
    {
        try
        {
            return present is null ? default : serializer.Deserialize<TValue>(present);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw new UnreadableValueException(error);
        }
    }
}
