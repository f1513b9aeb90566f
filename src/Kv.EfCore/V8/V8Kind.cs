namespace Kv;

/// <summary>What a <see cref="V8Value"/> is.</summary>
public enum V8Kind
{
    /// <summary>JavaScript's <c>undefined</c>.</summary>
    Undefined,

    /// <summary><c>null</c>.</summary>
    Null,

    /// <summary><c>true</c> or <c>false</c>: <see cref="V8Primitive"/>.</summary>
    Boolean,

    /// <summary>A number, which is a double: <see cref="V8Primitive"/>.</summary>
    Number,

    /// <summary>An integer of any size: <see cref="V8Primitive"/>.</summary>
    BigInt,

    /// <summary>A text: <see cref="V8Primitive"/>.</summary>
    String,

    /// <summary>A plain object: <see cref="V8Object"/>.</summary>
    Object,

    /// <summary>An array: <see cref="V8Array"/>.</summary>
    Array,

    /// <summary>A moment: <see cref="V8Date"/>.</summary>
    Date,

    /// <summary>A <c>Map</c>: <see cref="V8Map"/>.</summary>
    Map,

    /// <summary>A <c>Set</c>: <see cref="V8Set"/>.</summary>
    Set,

    /// <summary>A regular expression: <see cref="V8RegExp"/>.</summary>
    RegExp,

    /// <summary>Bytes without a type: <see cref="V8ArrayBuffer"/>.</summary>
    ArrayBuffer,

    /// <summary>A typed array, or a <c>DataView</c>: <see cref="V8View"/>.</summary>
    View,

    /// <summary>An error: <see cref="V8Error"/>.</summary>
    Error,

    /// <summary>A primitive in an object of its own, as of <c>new Number(1)</c>: <see cref="V8Boxed"/>.</summary>
    Boxed,

    /// <summary>An object of Deno's own, as a <c>Blob</c> or a <c>DOMException</c>: <see cref="V8HostObject"/>.</summary>
    HostObject,
}
