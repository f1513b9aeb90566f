using System.Text.Json;
using System.Text.Json.Serialization;

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
            Of(json, nameof(KvEntry.Versionstamp), KvJsonConverter.VersionstampConverter, options),
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

/// <summary>Results of commits: those that were refused have no versionstamp.</summary>
internal sealed class CommitResultConverter : JsonConverter<KvCommitResult>
{
    public override KvCommitResult Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var json = JsonElement.ParseValue(ref reader);
        var stamps = KvJsonConverter.VersionstampConverter;
        return Properties.Find(json, nameof(KvCommitResult.Versionstamp), options) is { ValueKind: JsonValueKind.String } stamp
            ? new(
                EntryConverter.Of(stamp, stamps, options),
                [.. Properties.Get(json, nameof(KvCommitResult.MessageIds), options).EnumerateArray().Select(static id => id.GetString()!)])
            : new KvCommitResult([.. Properties.Get(json, nameof(KvCommitResult.FailedChecks), options).EnumerateArray().Select(check => new KvFailedCheck(
                Properties.Get(check, nameof(KvFailedCheck.Index), options).GetInt32(),
                EntryConverter.Of(check, nameof(KvFailedCheck.Key), KeyConverter.Instance, options),
                Properties.Get(check, nameof(KvFailedCheck.Present), options) is { ValueKind: JsonValueKind.String } present
                    ? EntryConverter.Of(present, stamps, options)
                    : null))]);
    }

    public override void Write(Utf8JsonWriter writer, KvCommitResult value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        writer.WriteBoolean(Properties.Name(nameof(KvCommitResult.Succeeded), options), value.Succeeded);
        writer.WriteString(Properties.Name(nameof(KvCommitResult.Versionstamp), options), value.Succeeded ? value.Versionstamp.ToString() : null);
        writer.WriteStartArray(Properties.Name(nameof(KvCommitResult.MessageIds), options));
        foreach (var id in value.MessageIds)
        {
            writer.WriteStringValue(id);
        }

        writer.WriteEndArray();
        writer.WriteStartArray(Properties.Name(nameof(KvCommitResult.FailedChecks), options));
        foreach (var check in value.FailedChecks)
        {
            writer.WriteStartObject();
            writer.WriteNumber(Properties.Name(nameof(KvFailedCheck.Index), options), check.Index);
            writer.WriteString(Properties.Name(nameof(KvFailedCheck.Key), options), check.Key.ToString());
            writer.WriteString(Properties.Name(nameof(KvFailedCheck.Present), options), check.Present?.ToString());
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
