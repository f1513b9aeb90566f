using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kv.Values;

/// <summary>Values as their encoding and what they hold.</summary>
internal sealed class ValueConverter : JsonConverter<KvValue>
{
    private const string Encoding = nameof(KvValue.Encoding);
    private const string Value = "Value";
    private const string Bytes = nameof(KvValue.Bytes);

    public static ValueConverter Instance { get; } = new();

    public override KvValue Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var json = JsonElement.ParseValue(ref reader);
        var encoding = Properties.Get(json, Encoding, options) switch
        {
            { ValueKind: JsonValueKind.String } name when Enum.TryParse<KvEncoding>(name.GetString(), ignoreCase: true, out var named) => named,
            { ValueKind: JsonValueKind.Number } number => (KvEncoding)number.GetInt32(),
            _ => throw new JsonException("The value has no encoding. It looks like {\"encoding\":\"Json\",\"value\":1}."),
        };
        return (encoding, Properties.Find(json, Value, options)) switch
        {
            (KvEncoding.Json, { } value) => new(System.Text.Encoding.UTF8.GetBytes(value.GetRawText()), encoding),
            (KvEncoding.UInt64, { } value) => KvValue.FromUInt64(value.GetUInt64()),
            _ => new(Properties.Get(json, Bytes, options).GetBytesFromBase64(), encoding),
        };
    }

    public override void Write(Utf8JsonWriter writer, KvValue value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        if (Enum.IsDefined(value.Encoding))
        {
            writer.WriteString(Properties.Name(Encoding, options), value.Encoding.ToString());
        }
        else
        {
            writer.WriteNumber(Properties.Name(Encoding, options), (int)value.Encoding);
        }

        if (value.Encoding == KvEncoding.UInt64 && value.Array.Length == sizeof(ulong))
        {
            writer.WriteNumber(Properties.Name(Value, options), value.ReadUInt64());
        }
        else if (value.Encoding == KvEncoding.Json && IsJson(value.Array, options))
        {
            writer.WritePropertyName(Properties.Name(Value, options));
            writer.WriteRawValue(value.Array, skipInputValidation: true);
        }
        else
        {
            writer.WriteBase64String(Properties.Name(Bytes, options), value.Array);
        }

        writer.WriteEndObject();
    }

    // Of bytes that are no JSON, or nest so deep that a reader of the whole would give up, only the bytes say what they are.
    private static bool IsJson(byte[] utf8, JsonSerializerOptions options)
    {
        try
        {
            var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = Math.Max(1, (options.MaxDepth is 0 ? 64 : options.MaxDepth) - 8) });
            while (reader.Read())
            {
                reader.Skip();
            }

            return utf8.Length > 0;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}

/// <summary>Properties by the names that the options give them.</summary>
internal static class Properties
{
    public static string Name(string name, JsonSerializerOptions options) => options.PropertyNamingPolicy?.ConvertName(name) ?? name;

    public static JsonElement Get(JsonElement json, string name, JsonSerializerOptions options) =>
        Find(json, name, options) ?? throw new JsonException($"The property '{Name(name, options)}' is missing.");

    public static JsonElement? Find(JsonElement json, string name, JsonSerializerOptions options)
    {
        if (json.ValueKind != JsonValueKind.Object)
        {
            throw new JsonException();
        }

        var expected = Name(name, options);
        foreach (var property in json.EnumerateObject())
        {
            if (string.Equals(property.Name, expected, StringComparison.OrdinalIgnoreCase))
            {
                return property.Value;
            }
        }

        return null;
    }
}
