using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>A typed array or a <c>DataView</c>: a part of a buffer, little-endian.</summary>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8View>))]
public sealed class V8View : V8Value
{
    /// <summary>Makes a view.</summary>
    /// <param name="buffer">The buffer.</param>
    /// <param name="type">How its bytes are seen.</param>
    /// <param name="offset">Where the part begins, in bytes: a multiple of the size of an element.</param>
    /// <param name="length">How long it is, in bytes: a multiple of that, too.</param>
    /// <exception cref="ArgumentOutOfRangeException">The part does not fit.</exception>
    public V8View(V8ArrayBuffer buffer, V8ViewType type, int offset, int length)
        : this(buffer, type, offset, length, flags: buffer?.MaxLength is null ? 0 : Resizable)
    {
    }

    internal const int Resizable = 2;
    internal const int TracksLength = 1;

    internal V8View(V8ArrayBuffer buffer, V8ViewType type, int offset, int length, int flags)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        if (!Fits(buffer, type, offset, length))
        {
            throw new ArgumentOutOfRangeException(
                nameof(length),
                length,
                $"{length} bytes from {offset} on are no {type} elements of a buffer of {buffer.Bytes.Length} bytes.");
        }

        (Buffer, Type, Offset, Length, Flags) = (buffer, type, offset, length, flags);
    }

    /// <inheritdoc />
    public override V8Kind Kind => V8Kind.View;

    /// <summary>The buffer, which other views may share.</summary>
    public V8ArrayBuffer Buffer { get; }

    /// <summary>How its bytes are seen.</summary>
    public V8ViewType Type { get; }

    /// <summary>Where it begins in the buffer, in bytes.</summary>
    public int Offset { get; }

    /// <summary>How long it is, in bytes.</summary>
    public int Length { get; }

    /// <summary>The bytes that it sees.</summary>
    public Memory<byte> Bytes => Buffer.Bytes.Slice(Offset, Length);

    internal int Flags { get; }

    internal static bool Fits(V8ArrayBuffer buffer, V8ViewType type, int offset, int length)
    {
        var size = SizeOf(type);
        return offset >= 0 && length >= 0 && offset % size == 0 && length % size == 0 && (long)offset + length <= buffer.Bytes.Length;
    }

    /// <summary>The size of an element, in bytes.</summary>
    internal static int SizeOf(V8ViewType type) => type switch
    {
        V8ViewType.Int16 or V8ViewType.Uint16 or V8ViewType.Float16 => 2,
        V8ViewType.Int32 or V8ViewType.Uint32 or V8ViewType.Float32 => 4,
        V8ViewType.Float64 or V8ViewType.BigInt64 or V8ViewType.BigUint64 => 8,
        _ => 1,
    };
}
