namespace Kv;

/// <summary>
/// How the bytes of a stored value are to be read. Stores may hold other numbers; those are kept and handed on, and cannot be written.
/// </summary>
public enum KvEncoding
{
    /// <summary>
    /// V8's structured-clone format: what Deno and Node write. It is read and written as <see cref="V8Value"/>, and as types of .NET's.
    /// </summary>
    V8 = 1,

    /// <summary>An unsigned 64-bit integer in 8 little-endian bytes, which can be added to and compared in the store.</summary>
    UInt64 = 2,

    /// <summary>The bytes themselves.</summary>
    Bytes = 3,

    /// <summary>JSON in UTF-8. Deno does not know it.</summary>
    Json = 4,
}
