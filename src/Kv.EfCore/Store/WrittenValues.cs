using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Kv.Engine;
using Kv.Merges;
using Kv.Messages;

namespace Kv.Store;

/// <summary>What is passed to a write, as it is stored: whole, or refused with an error that says what it was about.</summary>
/// <param name="engine">The store's parts.</param>
/// <param name="serializer">Makes values of what is passed.</param>
internal readonly struct WrittenValues(KvEngine engine, IKvValueSerializer serializer)
{
    /// <summary>A value as it is stored, in an encoding that was asked for, or the one that suits.</summary>
    public KvValue Stored<T>(KvKey key, T value, KvEncoding? encoding)
    {
        try
        {
            return encoding is { } asked ? serializer.SerializeAs(value, asked)
                : serializer.Serialize(value) is var stored && IsForDeno(stored, value) ? serializer.SerializeAs(value, KvEncoding.V8)
                : stored;
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw Unstorable($"value of {key}", error);
        }
    }

    // What the caller made itself is as the caller wants it, and refused where it cannot be.
    private bool IsForDeno<T>(KvValue stored, T value) =>
        stored.Encoding == KvEncoding.Json && value is not KvValue && engine.WritesForDeno;

    /// <summary>An operand of a merge as it waits for the commit.</summary>
    public KvValue Operand<T>(KvKey key, MergeOperator merge, T operand)
    {
        try
        {
            return merge.Serialize(operand, serializer);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw Unstorable($"operand of '{merge.Name}' for {key}", error);
        }
    }

    /// <summary>Refuses what cannot be read again, and what is over the limit.</summary>
    public KvValue Fitting(KvValue stored, KvKey key, string what) => stored.Defect is { } defect
        ? throw new ArgumentException($"The {what} of {key} cannot be written. {defect}", what)
        : stored.Array.Length <= engine.Limits.MaxValueSize ? stored : throw new ArgumentException(
            $"Value too large (max {engine.Limits.MaxValueSize} bytes): the {what} of {key} takes {stored.Array.Length} bytes. "
            + "Split it over several keys, store it elsewhere, or raise KvStoreOptions.MaxValueSize.",
            what);

    /// <summary>A message as the type that it goes by.</summary>
    public KvValue Payload<T>(T message, MessageName name)
    {
        try
        {
            if (name.Type == typeof(T))
            {
                var stored = serializer.Serialize(message);
                return IsForDeno(stored, message) ? serializer.SerializeAs(message, KvEncoding.V8) : stored;
            }

            return serializer is KvJsonSerializer json
                ? json.Serialize(message!, name.Type, engine.WritesForDeno ? KvEncoding.V8 : KvEncoding.Json)
                : SerializeAs(name.Type, message!);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw Unstorable($"message '{name.Name}'", error);
        }
    }

    // Serializers of others may know their types by what they are asked for.
    [UnconditionalSuppressMessage("Trimming", "IL2060", Justification = "The method asks nothing of its type parameter.")]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "Messages are classes as a rule, whose code is shared.")]
    private KvValue SerializeAs(Type type, object message) => (KvValue)typeof(IKvValueSerializer)
        .GetMethod(nameof(IKvValueSerializer.Serialize))!.MakeGenericMethod(type)
        .Invoke(serializer, BindingFlags.DoNotWrapExceptions, null, [message], null)!;

    /// <summary>One kind of error for whatever a serializer throws, with what it was about. Nothing was written yet.</summary>
    private static KvException Unstorable(string what, Exception error) =>
        new((error as KvException)?.Kind ?? KvErrorKind.Encoding, $"The {what} cannot be stored: {error.Message}", error);
}
