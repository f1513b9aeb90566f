using System.Text.Json;
using System.Text.Json.Serialization;
using Kv.Values;

namespace Kv;

/// <summary>
/// How keys, versionstamps, values, entries and results of commits are JSON, in answers of an end point and inside of values. The types name
/// it themselves, so nothing has to be registered.
/// </summary>
/// <remarks>
/// <see cref="KvKey"/>, <see cref="KvKeyPart"/>, <see cref="KvVersionstamp"/> and <see cref="KvOperationId"/> are their texts:
/// <c>"[\"users\", 42]"</c>. A <see cref="KvValue"/> is its encoding and what it holds: <c>{"encoding":"Json","value":{…}}</c>,
/// <c>{"encoding":"UInt64","value":5}</c>, and of any other encoding <c>{"encoding":"Bytes","bytes":"AQI="}</c> in base64. A
/// <see cref="KvEntry"/> has key, value and versionstamp, a <see cref="KvCommitResult"/> null in the place of a versionstamp that it does not
/// have. Names of properties follow the naming policy of the options. All of them are read as well; an entry that was read so reads its value
/// by <see cref="KvJsonSerializer"/>.
/// </remarks>
public sealed class KvJsonConverter : JsonConverterFactory
{
    /// <inheritdoc />
    public override bool CanConvert(Type typeToConvert) => Converter(typeToConvert) is not null;

    /// <inheritdoc />
    public override JsonConverter? CreateConverter(Type typeToConvert, JsonSerializerOptions options) => Converter(typeToConvert);

    private static JsonConverter? Converter(Type type) =>
        type == typeof(KvKey) ? KeyConverter.Instance
        : type == typeof(KvKeyPart) ? new TextConverter<KvKeyPart>(KeyConverter.Part)
        : type == typeof(KvVersionstamp) ? VersionstampConverter
        : type == typeof(KvOperationId) ? new TextConverter<KvOperationId>(KvOperationId.Parse)
        : type == typeof(KvValue) ? ValueConverter.Instance
        : type == typeof(KvEntry) ? new EntryConverter()
        : type == typeof(KvCommitResult) ? new CommitResultConverter()
        : null;

    internal static TextConverter<KvVersionstamp> VersionstampConverter { get; } = new(KvVersionstamp.Parse);
}
