using System.Text.Json;
using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.Values;

namespace Kv.Store;

/// <summary>Results of commits: those that were refused have no versionstamp.</summary>
internal sealed class CommitResultConverter : JsonConverter<KvCommitResult>
{
    public override KvCommitResult Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var json = JsonElement.ParseValue(ref reader);
        var stamps = VersionstampConverter.Instance;
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
