using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>An <c>ArrayBuffer</c>: bytes that views may share.</summary>
/// <param name="bytes">The bytes, which are the buffer's from here on.</param>
/// <param name="maxLength">How long it may become; null for one of a fixed length.</param>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8ArrayBuffer>))]
public sealed class V8ArrayBuffer(byte[] bytes, uint? maxLength = null) : V8Value
{
    /// <inheritdoc />
    public override V8Kind Kind => V8Kind.ArrayBuffer;

    /// <summary>The bytes.</summary>
    public Memory<byte> Bytes { get; } = bytes ?? throw new ArgumentNullException(nameof(bytes));

    /// <summary>How long it may become, in bytes; null for one of a fixed length.</summary>
    public uint? MaxLength { get; } = maxLength is { } most && most < bytes.Length
        ? throw new ArgumentOutOfRangeException(nameof(maxLength), most, $"The buffer has {bytes.Length} bytes already.")
        : maxLength;
}
