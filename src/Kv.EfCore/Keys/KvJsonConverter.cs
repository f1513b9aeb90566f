using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using Kv.Keys;

namespace Kv;

/// <summary>
/// How keys, versionstamps, values, entries and results of commits are JSON, in answers of an end point and inside of values. The types name
/// it themselves, so nothing has to be registered.
/// </summary>
/// <remarks>
/// <see cref="KvKey"/>, <see cref="KvKeyPart"/>, <c>KvVersionstamp</c> and <c>KvOperationId</c> are their texts:
/// <c>"[\"users\", 42]"</c>. A <c>KvValue</c> is its encoding and what it holds: <c>{"encoding":"Json","value":{…}}</c>,
/// <c>{"encoding":"UInt64","value":5}</c>, and of any other encoding <c>{"encoding":"Bytes","bytes":"AQI="}</c> in base64. A
/// <c>KvEntry</c> has key, value and versionstamp, a <c>KvCommitResult</c> null in the place of a versionstamp that it does not
/// have. Names of properties follow the naming policy of the options. All of them are read as well; an entry that was read so reads its value
/// by <c>KvJsonSerializer</c>.
/// </remarks>
public sealed class KvJsonConverter : JsonConverterFactory
{
    /// <inheritdoc />
    public override bool CanConvert(Type typeToConvert) => Attribute.IsDefined(typeToConvert, typeof(JsonFormAttribute), inherit: false);

    /// <inheritdoc />
    public override JsonConverter? CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
        typeToConvert.GetCustomAttribute<JsonFormAttribute>(inherit: false)?.CreateConverter();
}
