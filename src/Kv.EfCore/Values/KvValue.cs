using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.Values;

namespace Kv;

/// <summary>A value as it is stored: bytes, and how to read them.</summary>
/// <remarks>
/// Stores take values of up to <see cref="KvStoreOptions.MaxValueSize"/> bytes. Values are equal when bytes and encoding are. A value that was
/// read may have an encoding that <see cref="KvEncoding"/> does not name, or a counter of another size than 8 bytes: it can be looked at,
/// and not be written again.
/// </remarks>
[DebuggerDisplay("{Shown,nq}")]
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(ValueConverter))]
public sealed class KvValue : IEquatable<KvValue>
{
    /// <summary>Makes a value; the bytes are copied.</summary>
    /// <param name="bytes">The bytes as they are to be stored.</param>
    /// <param name="encoding">How to read them.</param>
    /// <exception cref="ArgumentException">
    /// The encoding is none of <see cref="KvEncoding"/>, or the bytes of a <see cref="KvEncoding.UInt64"/> are not 8: Deno could not read it.
    /// </exception>
    public KvValue(ReadOnlySpan<byte> bytes, KvEncoding encoding)
        : this(bytes.ToArray(), encoding)
    {
        if (Defect is { } defect)
        {
            throw new ArgumentException(defect, nameof(encoding));
        }
    }

    /// <summary>Takes the array as it is, also one that could not be written; it belongs to the value from here on.</summary>
    internal KvValue(byte[] array, KvEncoding encoding) => (Array, Encoding) = (array, encoding);

    /// <summary>The stored bytes.</summary>
    public ReadOnlyMemory<byte> Bytes => Array;

    /// <summary>How to read the bytes. May be a number that <see cref="KvEncoding"/> does not name.</summary>
    public KvEncoding Encoding { get; }

    internal byte[] Array { get; }

    /// <summary>Why the value cannot be written; null if it can. A Deno process that reads such a row ends, or its listings fail.</summary>
    internal string? Defect => Encoding switch
    {
        KvEncoding.UInt64 when Array.Length != sizeof(ulong) =>
            $"A value with encoding {KvEncoding.UInt64} has 8 bytes; this one has {Array.Length}. Make it with {nameof(KvValue)}.{nameof(FromUInt64)}, or store the bytes as {nameof(KvEncoding)}.{nameof(KvEncoding.Bytes)}.",
        KvEncoding.V8 or KvEncoding.UInt64 or KvEncoding.Bytes or KvEncoding.Json => null,
        _ => $"The value encoding {(int)Encoding} is unknown, and nothing else could read the value. Use one of {nameof(KvEncoding)}: {KvEncoding.V8}, {KvEncoding.UInt64}, {KvEncoding.Bytes} or {KvEncoding.Json}.",
    };

    /// <summary>For a debugger: the content, of which a long one is shortened.</summary>
    internal string Shown => Encoding switch
    {
        KvEncoding.UInt64 when Array.Length == sizeof(ulong) => ReadUInt64().ToString(CultureInfo.InvariantCulture),
        KvEncoding.Json => Shorten(System.Text.Encoding.UTF8.GetString(Array)),
        _ => $"{Encoding} 0x{Shorten(Convert.ToHexString(Array))}",
    };

    /// <summary>Makes a value of the bytes themselves, which are copied.</summary>
    public static KvValue FromBytes(ReadOnlySpan<byte> bytes) => new(bytes, KvEncoding.Bytes);

    /// <summary>Makes a counter, which <c>Sum</c>, <c>Min</c> and <c>Max</c> work on.</summary>
    public static KvValue FromUInt64(ulong number)
    {
        var bytes = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, number);
        return new(bytes, KvEncoding.UInt64);
    }

    /// <summary>Reads a counter; the encoding must be <see cref="KvEncoding.UInt64"/>.</summary>
    /// <exception cref="KvException">The stored bytes are not 8 (<see cref="KvErrorKind.Encoding"/>).</exception>
    internal ulong ReadUInt64() => Array.Length == sizeof(ulong)
        ? BinaryPrimitives.ReadUInt64LittleEndian(Array)
        : throw new KvException(
            KvErrorKind.Encoding,
            $"A value with encoding {KvEncoding.UInt64} has 8 bytes; this one has {Array.Length}. "
            + $"Write the entry again, or read it as {nameof(KvValue)}.");

    private static string Shorten(string text) => text.Length <= 400 ? text : $"{text.AsSpan(0, 400)}…";

    /// <inheritdoc />
    public bool Equals(KvValue? other) => other is not null && Encoding == other.Encoding && Array.AsSpan().SequenceEqual(other.Array);

    /// <inheritdoc />
    public override bool Equals(object? obj) => Equals(obj as KvValue);

    /// <inheritdoc />
    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.Add(Encoding);
        hash.AddBytes(Array);
        return hash.ToHashCode();
    }

    /// <summary>Encoding and size, such as <c>Json, 120 bytes</c>; never the content, which may be large or secret.</summary>
    public override string ToString() => $"{Encoding}, {Array.Length} bytes";
}
