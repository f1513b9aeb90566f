using System.Buffers.Binary;
using System.Numerics;

namespace Kv.V8;

/// <summary>The elements of typed arrays as numbers.</summary>
internal static class V8Numbers
{
    public static IEnumerable<V8Primitive> Of(V8View view)
    {
        var size = V8View.SizeOf(view.Type);
        for (var at = 0; at < view.Length; at += size)
        {
            yield return (V8Primitive)At(view.Type, view.Bytes.Span[at..]);
        }
    }

    private static V8Value At(V8ViewType type, ReadOnlySpan<byte> from) => type switch
    {
        V8ViewType.Int8 => (double)(sbyte)from[0],
        V8ViewType.Int16 => (double)BinaryPrimitives.ReadInt16LittleEndian(from),
        V8ViewType.Uint16 => (double)BinaryPrimitives.ReadUInt16LittleEndian(from),
        V8ViewType.Int32 => (double)BinaryPrimitives.ReadInt32LittleEndian(from),
        V8ViewType.Uint32 => (double)BinaryPrimitives.ReadUInt32LittleEndian(from),
        V8ViewType.Float16 => (double)BinaryPrimitives.ReadHalfLittleEndian(from),
        V8ViewType.Float32 => (double)BinaryPrimitives.ReadSingleLittleEndian(from),
        V8ViewType.Float64 => BinaryPrimitives.ReadDoubleLittleEndian(from),
        V8ViewType.BigInt64 => (BigInteger)BinaryPrimitives.ReadInt64LittleEndian(from),
        V8ViewType.BigUint64 => (BigInteger)BinaryPrimitives.ReadUInt64LittleEndian(from),
        _ => (double)from[0],
    };
}
