using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Numerics;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Kv.V8;
using Kv.Values;

namespace Kv;

/// <summary>
/// Stores objects as JSON, <see cref="ulong"/> as a counter, and byte arrays as they are. A <see cref="KvValue"/> passes unchanged.
/// </summary>
/// <remarks>
/// A value is stored as what it is, not as what it is declared as, unless the declared type keeps the types of its values itself
/// (<see cref="JsonPolymorphicAttribute"/>, a converter of its own). What JSON would not bring back is refused and never stored in part:
/// state that the contract of a type leaves out, an object of a derived type where another is declared, half of a surrogate pair. Members
/// with <see cref="JsonIgnoreAttribute"/> are left out as they say. Every type is looked at once.
/// </remarks>
public sealed class KvJsonSerializer : IKvValueSerializer
{
    private readonly ConcurrentDictionary<Type, bool> _keepsTypes = new();
    private readonly JsonSerializerOptions? _options;
    private readonly Lazy<JsonSerializerOptions> _wellFormed;
    private readonly Lazy<JsonSerializerOptions> _marking;

    /// <summary>Makes a serializer.</summary>
    /// <param name="options">
    /// Options for JSON, for example those of a source-generated context, which are copied. Default: the defaults of
    /// <see cref="JsonSerializer"/>, which nest up to 64 deep and take no type names from the data, with characters beyond ASCII as they
    /// are instead of escaped, with public fields, and with NaN and infinities by their names.
    /// </param>
    public KvJsonSerializer(JsonSerializerOptions? options = null)
        : this(options, JsonSerializer.IsReflectionEnabledByDefault)
    {
    }

    /// <param name="options">Options for JSON.</param>
    /// <param name="reflects">Whether contracts are made by reflection where the options have none.</param>
    internal KvJsonSerializer(JsonSerializerOptions? options, bool reflects)
    {
        _options = Guarded(options, reflects);
        _wellFormed = new(() => new JsonSerializerOptions(_options!) { Encoder = new WellFormedEncoder() });
        _marking = new(() => V8Marks.Of(_options!));
    }

    private JsonSerializerOptions Options => _options ?? throw new KvException(
        KvErrorKind.Encoding,
        $"{nameof(KvJsonSerializer)} has no source-generated context, and JSON by reflection is switched off in this program, as "
        + "PublishAot "
        + "and PublishTrimmed do (a program of one file has PublishAot by default). In such a file write '#:property PublishAot=false', in "
        + "a project "
        + "<JsonSerializerIsReflectionEnabledByDefault>true</JsonSerializerIsReflectionEnabledByDefault>; or register "
        + $"services.AddSingleton<{nameof(IKvValueSerializer)}>(new {nameof(KvJsonSerializer)}(MyContext.Default.Options)) before "
        + "AddKvStore.");

    /// <summary>How deep JSON may be nested that is read.</summary>
    internal int MaxDepth => _options?.MaxDepth is > 0 and var depth ? depth : 64;

    /// <inheritdoc />
    /// <exception cref="KvException">
    /// <see cref="KvErrorKind.Encoding"/>: the value cannot be stored as JSON, or not whole; the message says what of it.
    /// </exception>
    public KvValue Serialize<T>(T value) => Serialize(value, KvEncoding.Json);

    /// <summary>Makes the value to store, with what would be JSON in an encoding.</summary>
    internal KvValue Serialize<T>(T value, KvEncoding encoding) => value switch
    {
        KvValue stored => stored,
        ulong number => KvValue.FromUInt64(number),
        byte[] bytes => KvValue.FromBytes(bytes),
        ReadOnlyMemory<byte> bytes => KvValue.FromBytes(bytes.Span),
        Memory<byte> bytes => KvValue.FromBytes(bytes.Span),
        V8Value value8 => new(value8.ToBytes(), KvEncoding.V8),
        _ => Write(value, encoding),
    };

    /// <inheritdoc />
    /// <exception cref="KvException">
    /// The value cannot be stored in that encoding (<see cref="KvErrorKind.Encoding"/>, <see cref="KvErrorKind.Type"/>), or is an integer
    /// that no counter can be (<see cref="KvErrorKind.Range"/>).
    /// </exception>
    public KvValue SerializeAs<T>(T value, KvEncoding encoding) => (encoding, value) switch
    {
        (_, KvValue stored) when stored.Encoding == encoding => stored,
        (KvEncoding.Json, not KvValue) => Write(value, KvEncoding.Json),
        (KvEncoding.V8, not KvValue) => Write(value, KvEncoding.V8),
        (KvEncoding.UInt64, not KvValue) => KvValue.FromUInt64(Counters.Of(value)),
        _ when Serialize(value) is var stored && stored.Encoding == encoding => stored,
        _ => throw new KvException(
            KvErrorKind.Encoding,
            $"A {TypeText.Of(value?.GetType() ?? typeof(T))} cannot be stored as {encoding}. "
            + "Pass a byte[] for bytes, or leave the encoding out."),
    };

    private KvValue Write<T>(T value, KvEncoding encoding) =>
        value is null || typeof(T).IsValueType || value.GetType() == typeof(T) || _keepsTypes.GetOrAdd(typeof(T), KeepsTypes)
            ? Write(value, typeof(T), encoding)
            : Write(value, value.GetType(), encoding);

    /// <summary>Stores a message as the type that it goes by.</summary>
    internal KvValue SerializeAs(object message, Type type, KvEncoding encoding) =>
        message is KvValue or V8Value or ulong or byte[] or ReadOnlyMemory<byte> or Memory<byte>
            ? Serialize(message)
            : Write(message, type, encoding);

    /// <summary>Whether a value of a type is read as that type when it was written as another: the contract says which one it is.</summary>
    internal bool Keeps(Type declared, Type type) => Options.TryGetTypeInfo(declared, out var contract)
        && contract.PolymorphismOptions?.DerivedTypes.Any(derived => derived.DerivedType == type) == true;

    /// <summary>
    /// Reads a stored value. Counters are read as ulong, long, int, uint, UInt128, BigInteger, decimal or double, bytes as byte[] or
    /// (ReadOnly)Memory of byte, JSON as anything that JSON can be read as, what Deno wrote as that, too, or as a <see cref="V8Value"/>,
    /// and all of them as <see cref="KvValue"/>.
    /// </summary>
    /// <exception cref="KvException">
    /// <see cref="KvErrorKind.Type"/>: the value has another type. <see cref="KvErrorKind.Range"/>: the counter does not fit the type
    /// without loss. <see cref="KvErrorKind.Encoding"/>: the bytes are malformed, or have an encoding that is not read here.
    /// </exception>
    public T? Deserialize<T>(KvValue value)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (typeof(T) == typeof(KvValue))
        {
            return (T)(object)value;
        }

        return value.Encoding switch
        {
            KvEncoding.UInt64 => ReadNumber<T>(value.ReadUInt64()),
            KvEncoding.Bytes => ReadBytes<T>(value),
            KvEncoding.Json => ReadJson<T>(value),
            KvEncoding.V8 => ReadV8<T>(value),
            _ => throw new KvException(
                KvErrorKind.Encoding,
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
            {
                return (T)(object)number;
            }

            if (type == typeof(long))
            {
                return (T)(object)checked((long)number);
            }

            if (type == typeof(int))
            {
                return (T)(object)checked((int)number);
            }

            if (type == typeof(uint))
            {
                return (T)(object)checked((uint)number);
            }

            if (type == typeof(UInt128))
            {
                return (T)(object)(UInt128)number;
            }

            if (type == typeof(BigInteger))
            {
                return (T)(object)(BigInteger)number;
            }

            if (type == typeof(decimal))
            {
                return (T)(object)(decimal)number;
            }

            if (type == typeof(double))
            {
                return (UInt128)(double)number == number ? (T)(object)(double)number : throw new OverflowException();
            }
        }
        catch (OverflowException exception)
        {
            throw new KvException(
                KvErrorKind.Range,
                $"The counter {number} does not fit {type.Name} without loss. Read it as ulong or BigInteger.",
                exception);
        }

        throw new KvException(
            KvErrorKind.Type,
            $"The value has encoding {KvEncoding.UInt64}, a counter, and cannot be read as {type.Name}. "
            + "Read it as ulong or another type of number.");
    }

    private static T ReadBytes<T>(KvValue value)
    {
        // Arrays are copied: the caller that gets one may change it, and the value must stay as it was read.
        var type = Nullable.GetUnderlyingType(typeof(T)) ?? typeof(T);
        if (type == typeof(byte[]) || type == typeof(object))
        {
            return (T)(object)value.Bytes.ToArray();
        }

        if (type == typeof(ReadOnlyMemory<byte>))
        {
            return (T)(object)value.Bytes;
        }

        if (type == typeof(Memory<byte>))
        {
            return (T)(object)new Memory<byte>(value.Bytes.ToArray());
        }

        throw new KvException(
            KvErrorKind.Type,
            $"The value has encoding {KvEncoding.Bytes} and cannot be read as {type.Name}. Read it as byte[] or ReadOnlyMemory<byte>.");
    }

    private T? ReadJson<T>(KvValue value)
    {
        var contract = (JsonTypeInfo<T>)Options.GetTypeInfo(typeof(T));
        try
        {
            return JsonSerializer.Deserialize(value.Array, contract);
        }
        catch (Exception error) when (error is not (KvException or OutOfMemoryException))
        {
            throw Unreadable<T>(value, error);
        }
    }

    private T? ReadV8<T>(KvValue value)
    {
        var read = V8Value.Parse(value.Array);
        if (read is T whole)
        {
            return whole;
        }

        // Where nothing is a value of its own, undefined is nothing as well.
        var contract = (JsonTypeInfo<T>)Options.GetTypeInfo(typeof(T));
        try
        {
            return JsonSerializer.Deserialize(V8Json.ToUtf8(read), contract);
        }
        catch (Exception error) when (error is not (KvException or OutOfMemoryException))
        {
            throw Unreadable<T>(value, error);
        }
    }

    // Constructors and setters of the type may throw whatever they like.
    private static KvException Unreadable<T>(KvValue value, Exception error) => new(
        KvErrorKind.Encoding,
        $"The value has encoding {value.Encoding}, {value.Array.Length} bytes, and cannot be read as {TypeText.Of(typeof(T))}: "
        + $"{error.Message} Read it as the type it was written as, or as {nameof(KvValue)}.",
        error);

    private KvValue Write<T>(T value, Type type, KvEncoding encoding)
    {
        var options = Options;
        try
        {
            // JSON names what is no number, and V8 has it.
            if (encoding == KvEncoding.V8 && value is double or float
                && Convert.ToDouble(value, CultureInfo.InvariantCulture) is var number && !double.IsFinite(number))
            {
                return new(((V8Value)number).ToBytes(), KvEncoding.V8);
            }

            var json = Json(value, (encoding == KvEncoding.V8 ? _marking.Value : options).GetTypeInfo(type));
            if (HasReplacement(json))
            {
                Json(value, _wellFormed.Value.GetTypeInfo(type));
            }

            return new(encoding == KvEncoding.V8 ? V8FromJson.Read(json, new() { MaxDepth = MaxDepth + 1 }).ToBytes() : json, encoding);
        }
        catch (Exception error) when (error is not (KvException or OutOfMemoryException))
        {
            throw new KvException(
                KvErrorKind.Encoding,
                $"A {TypeText.Of(type)} cannot be written as {(encoding == KvEncoding.V8 ? "a value for Deno" : "JSON")}: {error.Message} "
                + $"Store the data that it is made of, or give {nameof(KvJsonSerializer)} options with a JsonConverter for it, or a "
                + "context that has it.",
                error);
        }

        static byte[] Json(T value, JsonTypeInfo contract) => contract is JsonTypeInfo<T> typed
            ? JsonSerializer.SerializeToUtf8Bytes(value, typed)
            : JsonSerializer.SerializeToUtf8Bytes(value, contract);
    }

    // A writer puts U+FFFD where a text has half of a surrogate pair. A text with that very character pays for a second look.
    private static bool HasReplacement(ReadOnlySpan<byte> json) =>
        json.IndexOf("\uFFFD"u8) >= 0 || json.IndexOf("\\uFFFD"u8) >= 0 || json.IndexOf("\\ufffd"u8) >= 0;

    /// <summary>
    /// Whether a declared type is written by its own contract whatever stands there: a converter, a collection, or one with names for its
    /// derived types.
    /// </summary>
    private bool KeepsTypes(Type declared) => declared != typeof(object)
        && Options.TryGetTypeInfo(declared, out var contract)
        && (contract.Kind != JsonTypeInfoKind.Object || contract.PolymorphismOptions is not null);

    /// <summary>Options whose contracts refuse what they would lose; null if there are none and reflection is switched off.</summary>
    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "Only where the program says that JSON by reflection works.")]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "Only where the program says that JSON by reflection works.")]
    private static JsonSerializerOptions? Guarded(JsonSerializerOptions? options, bool reflects)
    {
        // Values are limited in bytes, and an escaped character takes 6 where UTF-8 takes 2 or 3. The escapes protect JSON inside of HTML,
        // which is not where values go.
        var guarded = options is null
            ? new JsonSerializerOptions
            {
                Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
                IncludeFields = true,
                NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
            }
            : new JsonSerializerOptions(options);
        var resolver = guarded.TypeInfoResolver ?? (reflects ? new DefaultJsonTypeInfoResolver() : null);
        if (resolver is null)
        {
            return null;
        }

        guarded.Converters.Add(new BigIntegerConverter());
        guarded.TypeInfoResolver = resolver.WithAddedModifier(JsonGuard.Watch);
        return guarded;
    }
}
