using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>An object of Deno's own, such as a <c>DOMException</c>, as the plain object that it is stored as.</summary>
/// <remarks>A <c>Blob</c> and a <c>File</c> have only names of their parts here, which no other process can read.</remarks>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8HostObject>))]
public sealed class V8HostObject : V8Value
{
    internal V8HostObject(V8Object? content) => Content = content ?? new V8Object();

    /// <inheritdoc />
    public override V8Kind Kind => V8Kind.HostObject;

    /// <summary>Its members; <c>type</c> names what it is.</summary>
    public V8Object Content { get; internal set; }
}
