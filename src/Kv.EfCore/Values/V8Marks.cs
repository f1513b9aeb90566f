using System.Numerics;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Kv.V8;

namespace Kv.Values;

/// <summary>
/// Writes what JavaScript has a type for and JSON has none so that <see cref="V8FromJson"/> finds it: contracts then decide what is
/// written, as they do for JSON.
/// </summary>
internal static class V8Marks
{
    /// <summary>Options that mark. A converter that the options have for one of the types goes before.</summary>
    public static JsonSerializerOptions Of(JsonSerializerOptions options)
    {
        var marking = new JsonSerializerOptions(options);
        var ours = marking.Converters.IndexOf(marking.Converters.OfType<BigIntegerConverter>().First());
        marking.Converters[ours] = new Marking<BigInteger>(new BigIntegerConverter(), static number => number);
        marking.Converters.Add(new Marking<DateTimeOffset>(JsonMetadataServices.DateTimeOffsetConverter, static moment => moment));
        marking.Converters.Add(new Marking<DateTime>(
            JsonMetadataServices.DateTimeConverter,
            static moment => moment.Kind == DateTimeKind.Unspecified ? null : (V8Value)new DateTimeOffset(moment)));
        marking.Converters.Add(new Marking<byte[]>(JsonMetadataServices.ByteArrayConverter!, static bytes => bytes));
        marking.Converters.Add(new Marking<Memory<byte>>(JsonMetadataServices.MemoryByteConverter, static bytes => bytes.ToArray()));
        marking.Converters.Add(new Marking<ReadOnlyMemory<byte>>(
            JsonMetadataServices.ReadOnlyMemoryByteConverter, static bytes => bytes.ToArray()));
        marking.Converters.Add(new Marking<V8Value>(new V8ValueConverter<V8Value>(), static value => value));
        return marking;
    }

    private sealed class Marking<T>(JsonConverter<T> usual, Func<T, V8Value?> mark) : JsonConverter<T>
    {
        public override bool CanConvert(Type typeToConvert) =>
            typeToConvert == typeof(T) || (typeof(T) == typeof(V8Value) && typeof(V8Value).IsAssignableFrom(typeToConvert));

        public override T? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            usual.Read(ref reader, typeToConvert, options);

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options)
        {
            if (mark(value) is { } marked)
            {
                writer.WriteStartObject();
                writer.WriteBase64String(V8FromJson.Mark, marked.ToBytes());
                writer.WriteEndObject();
            }
            else
            {
                usual.Write(writer, value, options);
            }
        }

        public override T ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            usual.ReadAsPropertyName(ref reader, typeToConvert, options);

        public override void WriteAsPropertyName(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
            usual.WriteAsPropertyName(writer, value!, options);
    }
}
