using System.Text.Json;

namespace Kv.Merges;

/// <summary>A merge operator on JSON as it is stored.</summary>
internal abstract class JsonMerge(string name) : MergeOperator(name)
{
    /// <summary>How deep JSON may be nested that a store reads, unless its serializer says otherwise.</summary>
    private const int UsualDepth = 64;

    /// <summary>What its operands are, for errors.</summary>
    protected abstract string Operands { get; }

    /// <summary>How much deeper than the operand the value is.</summary>
    protected virtual int Nests => 0;

    public override KvValue Serialize<T>(T operand, IKvValueSerializer serializer)
    {
        // The value would be too deep to be read: it is the operand that is refused.
        var stored = serializer.SerializeAs(operand, KvEncoding.Json);
        var (kind, error) = Look(stored.Array, DepthOf(serializer) - Nests);
        return error is null && IsOperand(kind)
            ? stored
            : throw new KvException(
                KvErrorKind.Type,
                $"The merge operator '{Name}' takes {Operands}, and this is none: {error?.Message ?? $"it begins a {kind}."}",
                error);
    }

    public override KvValue Fold(KvValue? present, KvValue operand, IKvValueSerializer serializer)
    {
        var depth = DepthOf(serializer);
        if (present is null)
        {
            return new KvValue(Begin(Trim(operand.Array), depth), KvEncoding.Json);
        }

        if (present.Encoding != KvEncoding.Json)
        {
            throw new UnreadableValueException();
        }

        var (kind, error) = Look(present.Array, depth);
        return error is null && IsValue(kind)
            ? new KvValue(Fold(Trim(present.Array), Trim(operand.Array), depth), KvEncoding.Json)
            : throw new UnreadableValueException(error);
    }

    /// <summary>Whether JSON that begins so is an operand.</summary>
    protected abstract bool IsOperand(JsonTokenType kind);

    /// <summary>Whether JSON that begins so is a value.</summary>
    protected abstract bool IsValue(JsonTokenType kind);

    /// <summary>The value of a key that was absent.</summary>
    /// <param name="operand">JSON without space around it.</param>
    /// <param name="depth">How deep JSON may be nested.</param>
    protected abstract byte[] Begin(ReadOnlyMemory<byte> operand, int depth);

    /// <summary>The next value.</summary>
    /// <param name="present">What is stored, JSON without space around it.</param>
    /// <param name="operand">JSON without space around it.</param>
    /// <param name="depth">How deep JSON may be nested.</param>
    protected abstract byte[] Fold(ReadOnlyMemory<byte> present, ReadOnlyMemory<byte> operand, int depth);

    private static int DepthOf(IKvValueSerializer serializer) => (serializer as KvJsonSerializer)?.MaxDepth ?? UsualDepth;

    private static ReadOnlyMemory<byte> Trim(ReadOnlyMemory<byte> json) => json.Trim(" \t\r\n"u8);

    /// <summary>How JSON begins, or why it is none.</summary>
    private static (JsonTokenType Kind, JsonException? Error) Look(ReadOnlySpan<byte> json, int depth)
    {
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = depth });
            reader.Read();
            var kind = reader.TokenType;
            while (reader.Read())
            {
            }

            return (kind, null);
        }
        catch (JsonException error)
        {
            return (JsonTokenType.None, error);
        }
    }
}
