using System.Numerics;
using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>
/// Undefined, null, a boolean, a number, a bigint or a text. Equal when kind and content are, as <c>Object.is</c> has it.
/// </summary>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8Primitive>))]
public sealed class V8Primitive : V8Value, IEquatable<V8Primitive>
{
    private static readonly V8Primitive True = new(V8Kind.Boolean, true);
    private static readonly V8Primitive False = new(V8Kind.Boolean, false);
    private readonly object? _content;

    internal V8Primitive(V8Kind kind, object? content) => (Kind, _content) = (kind, content);

    /// <inheritdoc />
    public override V8Kind Kind { get; }

    /// <summary>The boolean.</summary>
    /// <exception cref="InvalidOperationException">It is none.</exception>
    public bool AsBoolean() => As<bool>();

    /// <summary>The number.</summary>
    /// <exception cref="InvalidOperationException">It is none. A bigint is <see cref="AsBigInteger"/>.</exception>
    public double AsDouble() => As<double>();

    /// <summary>The bigint.</summary>
    /// <exception cref="InvalidOperationException">It is none. A number is <see cref="AsDouble"/>.</exception>
    public BigInteger AsBigInteger() => As<BigInteger>();

    /// <summary>The text. It may have halves of surrogate pairs, as texts in JavaScript may.</summary>
    /// <exception cref="InvalidOperationException">It is none.</exception>
    public string AsString() => As<string>();

    internal static V8Primitive Of(bool value) => value ? True : False;

    /// <inheritdoc />
    public bool Equals(V8Primitive? other) => other is not null && Kind == other.Kind && (Kind == V8Kind.Number
        ? BitConverter.DoubleToInt64Bits(AsDouble()) == BitConverter.DoubleToInt64Bits(other.AsDouble())
            || (double.IsNaN(AsDouble()) && double.IsNaN(other.AsDouble()))
        : Equals(_content, other._content));

    /// <inheritdoc />
    public override bool Equals(object? obj) => Equals(obj as V8Primitive);

    /// <inheritdoc />
    public override int GetHashCode() => HashCode.Combine(Kind, _content);

    private T As<T>() => _content is T content ? content : throw new InvalidOperationException(
        $"The value is a {Kind}, and no {typeof(T).Name}. Look at its Kind first.");
}
