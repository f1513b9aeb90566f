using System.Numerics;
using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>A value in V8's structured-clone format, which Deno and Node store: a document of what JavaScript knows.</summary>
/// <remarks>
/// Objects may refer to one another and to themselves, and are compared by reference; primitives are compared by value. The format is
/// described by V8's <c>src/objects/value-serializer.cc</c>. It is read in its versions 12 to 16 and written in version 15, which Deno and
/// Node read. Not for concurrent use while it is changed.
/// </remarks>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8Value>))]
public abstract class V8Value
{
    /// <summary>How deep a value that is read may be nested: what Deno can write.</summary>
    internal const int MaxDepth = 4000;

    private protected V8Value()
    {
    }

    /// <summary>JavaScript's <c>undefined</c>.</summary>
    public static V8Value Undefined { get; } = new V8Primitive(V8Kind.Undefined, null);

    /// <summary>JavaScript's <c>null</c>.</summary>
    public static V8Value Null { get; } = new V8Primitive(V8Kind.Null, null);

    /// <summary>What it is.</summary>
    public abstract V8Kind Kind { get; }

    /// <summary>Reads a value.</summary>
    /// <param name="data">The bytes, with their header. What comes after the value is passed over, as V8 does.</param>
    /// <exception cref="KvException">
    /// The bytes are no such value, or nested deeper than 4,000 (<see cref="KvErrorKind.Encoding"/>); the message names the place.
    /// </exception>
    public static V8Value Parse(ReadOnlySpan<byte> data) => new V8Reader(data).Read();

    /// <summary>Writes the value, with version 15 in its header.</summary>
    /// <exception cref="KvException">The value is nested too deeply to be written (<see cref="KvErrorKind.Encoding"/>).</exception>
    public byte[] ToBytes() => new V8Writer().Write(this);

    /// <summary>Writes the value as JSON for people and for contracts.</summary>
    /// <remarks>
    /// A date is a text in ISO 8601, a bigint a number, bytes are base64, a map with texts or numbers as its keys is an object and any
    /// other map an array of pairs, a set is an array, an error an object; undefined members are left out, and holes are null. Halves of
    /// surrogate pairs are U+FFFD.
    /// </remarks>
    /// <exception cref="KvException">The value refers to itself, or becomes far longer by what it refers to again and again.</exception>
    public string ToJson() => V8Json.ToText(this);

    /// <summary>What the value is; never its content, which may be large or secret.</summary>
    public override string ToString() => Kind.ToString();

    /// <summary>A boolean.</summary>
    public static implicit operator V8Value(bool value) => V8Primitive.Of(value);

    /// <summary>A number.</summary>
    public static implicit operator V8Value(double value) => new V8Primitive(V8Kind.Number, value);

    /// <summary>A bigint.</summary>
    public static implicit operator V8Value(BigInteger value) => new V8Primitive(V8Kind.BigInt, value);

    /// <summary>A text, or null.</summary>
    public static implicit operator V8Value(string? value) => value is null ? Null : new V8Primitive(V8Kind.String, value);

    /// <summary>A date.</summary>
    public static implicit operator V8Value(DateTimeOffset value) => new V8Date(value);

    /// <summary>A <c>Uint8Array</c>; the bytes are copied. Null for null.</summary>
    public static implicit operator V8Value(byte[]? value) =>
        value is null ? Null : new V8View(new V8ArrayBuffer([.. value]), V8ViewType.Uint8, 0, value.Length);
}
