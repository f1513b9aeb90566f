using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>An error. Of others than the six types of JavaScript's own, V8 keeps no name.</summary>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8Error>))]
public sealed class V8Error : V8Value
{
    /// <inheritdoc />
    public override V8Kind Kind => V8Kind.Error;

    /// <summary>
    /// Its type: <c>Error</c>, <c>EvalError</c>, <c>RangeError</c>, <c>ReferenceError</c>, <c>SyntaxError</c>, <c>TypeError</c> or
    /// <c>URIError</c>.
    /// </summary>
    public string Name { get; internal set; } = "Error";

    /// <summary>Its message; null if it has none.</summary>
    public string? Message { get; internal set; }

    /// <summary>Where it was thrown, as a text; null if it does not say.</summary>
    public string? Stack { get; internal set; }

    /// <summary>What caused it; null if it has no cause.</summary>
    public V8Value? Cause { get; internal set; }
}
