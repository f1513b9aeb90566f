using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>A <c>Map</c>: pairs in the order in which they came, with keys of any kind.</summary>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8Map>))]
public sealed class V8Map : V8Value
{
    /// <inheritdoc />
    public override V8Kind Kind => V8Kind.Map;

    /// <summary>The pairs. A key that is there twice is the later one's for JavaScript.</summary>
    public IList<KeyValuePair<V8Value, V8Value>> Entries { get; } = new List<KeyValuePair<V8Value, V8Value>>();
}
