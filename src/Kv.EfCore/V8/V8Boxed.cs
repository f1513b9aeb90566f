using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>A primitive in an object of its own, as <c>new Number(1)</c> makes it.</summary>
/// <param name="content">A boolean, a number, a bigint or a text.</param>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8Boxed>))]
public sealed class V8Boxed(V8Primitive content) : V8Value
{
    /// <inheritdoc />
    public override V8Kind Kind => V8Kind.Boxed;

    /// <summary>The primitive.</summary>
    public V8Primitive Content { get; } = content is { Kind: V8Kind.Undefined or V8Kind.Null }
        ? throw new ArgumentException($"A {content.Kind} has no object of its own.", nameof(content))
        : content ?? throw new ArgumentNullException(nameof(content));
}
