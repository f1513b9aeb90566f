using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kv.V8;

/// <summary>Values of JavaScript's as JSON, with what <see cref="V8Value.ToJson"/> says of it.</summary>
/// <typeparam name="T">The class of values.</typeparam>
internal sealed class V8ValueConverter<T> : JsonConverter<T>
    where T : V8Value
{
    public override T? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        V8FromJson.Value(ref reader) is var value && value is T read
            ? read
            : throw new JsonException($"JSON has a {value.Kind} here, which is no {typeof(T).Name}.");

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
        writer.WriteRawValue(V8Json.ToUtf8(value), skipInputValidation: true);
}
