namespace Kv;

/// <summary>The types a key part can have, in the order in which keys sort: any byte array is below any string, and so on.</summary>
public enum KvKeyPartType
{
    /// <summary>A byte array. Sorts by its bytes, unsigned.</summary>
    Bytes = 0,

    /// <summary>A string. Sorts by its UTF-8 bytes, which is the order of code points.</summary>
    String = 1,

    /// <summary>An integer of any sign with a magnitude of up to 255 bytes. Sorts by value.</summary>
    Integer = 2,

    /// <summary>
    /// A 64-bit floating-point number, never equal to an integer part. Sorts as
    /// -NaN, -Infinity, negative numbers, -0.0, 0.0, positive numbers, Infinity, NaN.
    /// </summary>
    Double = 3,

    /// <summary>A boolean: false, then true.</summary>
    Boolean = 4,
}
