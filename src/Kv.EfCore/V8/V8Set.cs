using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>A <c>Set</c>: values in the order in which they came.</summary>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8Set>))]
public sealed class V8Set : V8Value
{
    /// <inheritdoc />
    public override V8Kind Kind => V8Kind.Set;

    /// <summary>The values.</summary>
    public IList<V8Value> Items { get; } = new List<V8Value>();
}
