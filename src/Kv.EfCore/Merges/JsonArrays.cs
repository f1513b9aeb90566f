namespace Kv.Merges;

/// <summary>Adds to JSON arrays without reading their elements.</summary>
internal static class JsonArrays
{
    /// <summary>An array with more elements at its end.</summary>
    /// <param name="array">The array, without space around it.</param>
    /// <param name="elements">One element, or several with commas between them.</param>
    public static byte[] Add(ReadOnlySpan<byte> array, ReadOnlySpan<byte> elements) =>
        array[1..^1].Trim(" \t\r\n"u8).IsEmpty
            ? [(byte)'[', .. elements, (byte)']']
            : [.. array[..^1], (byte)',', .. elements, (byte)']'];
}
