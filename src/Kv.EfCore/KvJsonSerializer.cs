using System.Numerics;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kv;

/// <summary>
/// Stores objects as JSON, <see cref="ulong"/> as a counter, and byte arrays as they are. A <see cref="KvValue"/> passes unchanged.
/// </summary>
/// <param name="options">
/// Options for JSON, for example those of a source-generated context. Default: the defaults of <see cref="JsonSerializer"/>, which nest
/// up to 64 deep and take no type names from the data, with characters beyond ASCII as they are instead of escaped.
/// </param>
public sealed class KvJsonSerializer(JsonSerializerOptions? options = null) : IKvValueSerializer
{
    // Values are limited in bytes, and an escaped character takes 6 where UTF-8 takes 2 or 3. The escapes protect JSON inside of HTML,
    // which is not where values go.
    private readonly JsonSerializerOptions _options =
        options ?? new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <inheritdoc />
    public KvValue Serialize<T>(T value) => value switch
    {
        KvValue stored => stored,
        ulong number => KvValue.FromUInt64(number),
        byte[] bytes => KvValue.FromBytes(bytes),
        ReadOnlyMemory<byte> bytes => KvValue.FromBytes(bytes.Span),
        Memory<byte> bytes => KvValue.FromBytes(bytes.Span),
        _ => new(JsonSerializer.SerializeToUtf8Bytes(value, _options), KvEncoding.Json),
    };

    /// <summary>
    /// Reads a stored value. Counters are read as ulong, long, int, uint, UInt128, BigInteger, decimal or double, bytes as byte[] or
    /// (ReadOnly)Memory of byte, JSON as anything that JSON can be read as, and all of them as <see cref="KvValue"/>.
    /// </summary>
    /// <exception cref="KvException">
    /// <see cref="KvError.Type"/>: the value has another type. <see cref="KvError.Range"/>: the counter does not fit the type without
    /// loss. <see cref="KvError.Encoding"/>: the bytes are malformed, or have an encoding that is not read here.
    /// </exception>
    public T? Deserialize<T>(KvValue value)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (typeof(T) == typeof(KvValue))
            return (T)(object)value;
        return value.Encoding switch
        {
            KvEncoding.UInt64 => ReadNumber<T>(value.ReadUInt64()),
            KvEncoding.Bytes => ReadBytes<T>(value),
            KvEncoding.Json => ReadJson<T>(value),
            KvEncoding.V8 => throw new KvException(
                KvError.Encoding,
                $"The value has encoding {KvEncoding.V8}: Deno wrote it, and it cannot be read as {typeof(T).Name} here. "
                + $"Read it as {nameof(KvValue)}, or let Deno write a Uint8Array."),
            _ => throw new KvException(
                KvError.Encoding,
                $"The value encoding {(int)value.Encoding} is unknown. Read the value as {nameof(KvValue)}, "
                + $"or register an {nameof(IKvValueSerializer)} that knows the encoding."),
        };
    }

    private static T ReadNumber<T>(ulong number)
    {
        var type = Nullable.GetUnderlyingType(typeof(T)) ?? typeof(T);
        try
        {
            if (type == typeof(ulong) || type == typeof(object))
                return (T)(object)number;
            if (type == typeof(long))
                return (T)(object)checked((long)number);
            if (type == typeof(int))
                return (T)(object)checked((int)number);
            if (type == typeof(uint))
                return (T)(object)checked((uint)number);
            if (type == typeof(UInt128))
                return (T)(object)(UInt128)number;
            if (type == typeof(BigInteger))
                return (T)(object)(BigInteger)number;
            if (type == typeof(decimal))
                return (T)(object)(decimal)number;
            if (type == typeof(double))
                return (UInt128)(double)number == number ? (T)(object)(double)number : throw new OverflowException();
        }
        catch (OverflowException exception)
        {
            throw new KvException(
                KvError.Range,
                $"The counter {number} does not fit {type.Name} without loss. Read it as ulong or BigInteger.",
                exception);
        }

        throw new KvException(
            KvError.Type,
            $"The value has encoding {KvEncoding.UInt64}, a counter, and cannot be read as {type.Name}. "
            + "Read it as ulong or another type of number.");
    }

    private static T ReadBytes<T>(KvValue value)
    {
        // Arrays are copied: whoever gets one may change it, and the value must stay as it was read.
        var type = Nullable.GetUnderlyingType(typeof(T)) ?? typeof(T);
        if (type == typeof(byte[]) || type == typeof(object))
            return (T)(object)value.Bytes.ToArray();
        if (type == typeof(ReadOnlyMemory<byte>))
            return (T)(object)value.Bytes;
        if (type == typeof(Memory<byte>))
            return (T)(object)new Memory<byte>(value.Bytes.ToArray());
        throw new KvException(
            KvError.Type,
            $"The value has encoding {KvEncoding.Bytes} and cannot be read as {type.Name}. Read it as byte[] or ReadOnlyMemory<byte>.");
    }

    private T? ReadJson<T>(KvValue value)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(value.Array, _options);
        }
        catch (JsonException exception)
        {
            throw new KvException(
                KvError.Encoding,
                $"The value has encoding {KvEncoding.Json}, {value.Array.Length} bytes, and cannot be read as {typeof(T).Name}: "
                + $"{exception.Message} "
                + $"Read it as the type it was written as, or as {nameof(KvValue)}.",
                exception);
        }
    }
}
