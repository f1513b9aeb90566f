using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>A regular expression of JavaScript's.</summary>
/// <param name="source">What stands between the slashes.</param>
/// <param name="flags">Its flags.</param>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8RegExp>))]
public sealed class V8RegExp(string source, V8RegExpFlags flags = V8RegExpFlags.None) : V8Value
{
    /// <inheritdoc />
    public override V8Kind Kind => V8Kind.RegExp;

    /// <summary>What stands between the slashes.</summary>
    public string Source { get; } = source ?? throw new ArgumentNullException(nameof(source));

    /// <summary>Its flags.</summary>
    public V8RegExpFlags Flags { get; } = flags;
}
