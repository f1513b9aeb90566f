using System.Text.Json;
using System.Text.Json.Serialization;
using Kv.Keys;

namespace Kv.Values;

/// <summary>Entries as key, value and versionstamp.</summary>
internal sealed class EntryConverter : JsonConverter<KvEntry>
{
    private static readonly KvJsonSerializer Serializer = new();

    public override KvEntry Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var json = JsonElement.ParseValue(ref reader);
        return new(
            Of(json, nameof(KvEntry.Key), KeyConverter.Instance, options),
            Of(json, nameof(KvEntry.Value), ValueConverter.Instance, options),
            Of(json, nameof(KvEntry.Versionstamp), VersionstampConverter.Instance, options),
            Serializer);
    }

    public override void Write(Utf8JsonWriter writer, KvEntry value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        writer.WriteString(Properties.Name(nameof(KvEntry.Key), options), value.Key.ToString());
        writer.WritePropertyName(Properties.Name(nameof(KvEntry.Value), options));
        ValueConverter.Instance.Write(writer, value.Value, options);
        writer.WriteString(Properties.Name(nameof(KvEntry.Versionstamp), options), value.Versionstamp.ToString());
        writer.WriteEndObject();
    }

    internal static T Of<T>(JsonElement json, string name, JsonConverter<T> converter, JsonSerializerOptions options) =>
        Of(Properties.Get(json, name, options), converter, options);

    internal static T Of<T>(JsonElement json, JsonConverter<T> converter, JsonSerializerOptions options)
    {
        var reader = new Utf8JsonReader(System.Text.Encoding.UTF8.GetBytes(json.GetRawText()), new JsonReaderOptions { MaxDepth = options.MaxDepth });
        reader.Read();
        return converter.Read(ref reader, typeof(T), options)!;
    }
}
