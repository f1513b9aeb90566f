using System.Buffers;
using System.Buffers.Text;

namespace Kv.Codec;

/// <summary>The text of a cursor: base64url with padding, in its one canonical form.</summary>
internal static class Cursor
{
    public static string Encode(ReadOnlySpan<byte> bytes)
    {
        var text = Base64Url.EncodeToString(bytes);
        return text.PadRight((text.Length + 3) / 4 * 4, '=');
    }

    /// <summary>The bytes, or null when the text is no cursor.</summary>
    public static byte[]? Decode(string text)
    {
        var bytes = new byte[Base64Url.GetMaxDecodedLength(text.Length)];
        if (Base64Url.DecodeFromChars(text, bytes, out _, out var written) != OperationStatus.Done)
            return null;

        // The decoder is lenient about padding, white space and unused bits; only what Encode writes is a cursor.
        var decoded = bytes.AsSpan(0, written);
        return Encode(decoded) == text ? decoded.ToArray() : null;
    }
}
