namespace Kv;

/// <summary>How a <see cref="V8View"/> sees its bytes.</summary>
public enum V8ViewType
{
    /// <summary><c>Int8Array</c></summary>
    Int8,

    /// <summary><c>Uint8Array</c></summary>
    Uint8,

    /// <summary><c>Uint8ClampedArray</c></summary>
    Uint8Clamped,

    /// <summary><c>Int16Array</c></summary>
    Int16,

    /// <summary><c>Uint16Array</c></summary>
    Uint16,

    /// <summary><c>Int32Array</c></summary>
    Int32,

    /// <summary><c>Uint32Array</c></summary>
    Uint32,

    /// <summary><c>Float16Array</c></summary>
    Float16,

    /// <summary><c>Float32Array</c></summary>
    Float32,

    /// <summary><c>Float64Array</c></summary>
    Float64,

    /// <summary><c>BigInt64Array</c></summary>
    BigInt64,

    /// <summary><c>BigUint64Array</c></summary>
    BigUint64,

    /// <summary><c>DataView</c></summary>
    DataView,
}
