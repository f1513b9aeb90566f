using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;

namespace Kv.Merges;

/// <summary>
/// Adds to numbers and bigints of JavaScript's, as Deno KV does (specification 2.3), but that the entry keeps its expiry.
/// </summary>
/// <param name="min">The least result; null for none.</param>
/// <param name="max">The greatest result; null for none.</param>
/// <param name="clamp">Whether a result outside is drawn to the nearest bound.</param>
internal sealed class ValueSum(V8Primitive? min, V8Primitive? max, bool clamp) : MergeOperator("sum")
{
    public override string Values => "a number or a bigint of JavaScript's, or a counter";

    public override bool TellsItself => true;

    /// <summary>What is wrong with what is to be added, or with a bound; null for nothing.</summary>
    public static string? Defect(V8Value operand, V8Value? min, V8Value? max) => operand.Kind is not (V8Kind.Number or V8Kind.BigInt)
        ? $"A {operand.Kind} cannot be added: pass a number or a bigint."
        : (min ?? operand).Kind != operand.Kind || (max ?? operand).Kind != operand.Kind
        ? $"A bound of a sum has the kind of what is added, {operand.Kind}."
        : null;

    public override KvValue Serialize<T>(T operand, IKvValueSerializer serializer) => serializer.SerializeAs(operand, KvEncoding.V8);

    public override KvValue Fold(KvValue? present, KvValue operand, IKvValueSerializer serializer)
    {
        var added = (V8Primitive)V8Value.Parse(operand.Array);
        return present?.Encoding switch
        {
            null => operand,
            KvEncoding.UInt64 => FoldCounter(present, added),
            KvEncoding.V8 when V8Value.Parse(present.Array) is V8Primitive { Kind: V8Kind.Number or V8Kind.BigInt } stored =>
                new(Bounded(Add(stored, added)).ToBytes(), KvEncoding.V8),
            _ => throw Refusal(KvErrorKind.Type, $"the stored value ({present}) is neither a number, nor a bigint, nor a counter"),
        };
    }

    private KvValue FoldCounter(KvValue present, V8Primitive added)
    {
        if (added.Kind != V8Kind.BigInt || added.AsBigInteger() is var number && (number.Sign < 0 || number > ulong.MaxValue)
            || min is not null || max is not null || clamp)
        {
            throw Refusal(
                KvErrorKind.Type,
                $"Cannot sum KvU64 with {added.Kind}: a counter takes bigints from 0 to 18446744073709551615, without bounds");
        }

        return KvValue.FromUInt64(unchecked(BinaryPrimitives.ReadUInt64LittleEndian(present.Array) + (ulong)number));
    }

    private static V8Primitive Add(V8Primitive stored, V8Primitive added) => (stored.Kind, added.Kind) switch
    {
        (V8Kind.Number, V8Kind.Number) => (V8Primitive)(V8Value)(stored.AsDouble() + added.AsDouble()),
        (V8Kind.BigInt, V8Kind.BigInt) => (V8Primitive)(V8Value)(stored.AsBigInteger() + added.AsBigInteger()),
        _ => throw Refusal(KvErrorKind.Type, $"Cannot sum {stored.Kind} with {added.Kind}"),
    };

    private V8Primitive Bounded(V8Primitive result)
    {
        var bound = min is not null && Compare(result, min) < 0 ? min : max is not null && Compare(result, max) > 0 ? max : null;
        return bound is null ? result : clamp ? bound : throw Refusal(
            KvErrorKind.Range,
            $"The result of a Sum operation would exceed its range limit: it would be {Show(result)}, and the limit is {Show(bound)}");
    }

    private static int Compare(V8Primitive one, V8Primitive other) => one.Kind == V8Kind.Number
        ? one.AsDouble() < other.AsDouble() ? -1 : one.AsDouble() > other.AsDouble() ? 1 : 0
        : BigInteger.Compare(one.AsBigInteger(), other.AsBigInteger());

    private static string Show(V8Primitive value) => value.Kind == V8Kind.Number
        ? value.AsDouble().ToString(CultureInfo.InvariantCulture)
        : value.AsBigInteger().ToString(CultureInfo.InvariantCulture);

    private static KvException Refusal(KvErrorKind kind, string why) =>
        new(kind, $"A sum was refused: {why}. Nothing of this write was written.");
}
