using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kv.Keys;

/// <summary>What has a text that can be read again is that text in JSON, also as the key of a dictionary.</summary>
/// <param name="parse">Reads the text.</param>
internal class TextConverter<T>(Func<string, T> parse) : JsonConverter<T>
    where T : notnull
{
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String ? Parse(reader.GetString()!) : throw new JsonException();

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());

    public override T ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Parse(reader.GetString()!);

    public override void WriteAsPropertyName(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
        writer.WritePropertyName(value.ToString()!);

    private T Parse(string text)
    {
        try
        {
            return parse(text);
        }
        catch (Exception error) when (error is FormatException or ArgumentException)
        {
            throw new JsonException(error.Message, error);
        }
    }
}
