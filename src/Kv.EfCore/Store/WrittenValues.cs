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
            return encoding is { } asked ? serializer.SerializeAs(value, asked) : Usual(value);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw Unstorable($"value of {key}", error);
        }
    }

    // In a file that Deno shares, what would be JSON is V8's. Serializers of others tell by what they give.
    private KvValue Usual<T>(T value)
    {
        if (!engine.WritesForDeno)
        {
            return serializer.Serialize(value);
        }

        return serializer is KvJsonSerializer json ? json.Serialize(value, KvEncoding.V8)
            : serializer.Serialize(value) is var stored && (stored.Encoding != KvEncoding.Json || value is KvValue) ? stored
            : serializer.SerializeAs(value, KvEncoding.V8);
    }

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
            return name.Type == typeof(T) ? Usual(message)
                : serializer is KvJsonSerializer json
                ? json.SerializeAs(message!, name.Type, engine.WritesForDeno ? KvEncoding.V8 : KvEncoding.Json)
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
