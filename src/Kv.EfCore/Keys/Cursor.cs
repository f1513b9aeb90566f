using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;

namespace Kv.Keys;

/// <summary>
/// The text of a cursor: base64url with padding, in its one canonical form, as Deno has it. That of a page has the mark of its selector
/// behind it.
/// </summary>
internal static class Cursor
{
    /// <summary>Stands between a cursor and the mark of its selector; no base64url has it, and a URL takes it as it is.</summary>
    public const char Separator = '.';

    private const int MarkSize = 6;

    public static string Encode(ReadOnlySpan<byte> bytes)
    {
        var text = Base64Url.EncodeToString(bytes);
        return text.PadRight((text.Length + 3) / 4 * 4, '=');
    }

    /// <summary>What tells one selector from another: 48 bits of a hash, the same in every process and version.</summary>
    public static string MarkOf(ReadOnlySpan<byte> start, ReadOnlySpan<byte> end, int commonSize)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> sizes = stackalloc byte[2 * sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(sizes, start.Length);
        BinaryPrimitives.WriteInt32LittleEndian(sizes[sizeof(int)..], commonSize);
        hash.AppendData(sizes);
        hash.AppendData(start);
        hash.AppendData(end);
        return Base64Url.EncodeToString(hash.GetHashAndReset().AsSpan(0, MarkSize));
    }

    /// <summary>The bytes, and the mark if it has one; null when the text is no cursor.</summary>
    public static (byte[] Tail, string? Mark)? Decode(string text)
    {
        var end = text.IndexOf(Separator, StringComparison.Ordinal);
        if (end < 0)
        {
            return Bytes(text) is { } plain ? (plain, null) : null;
        }

        var mark = text[(end + 1)..];
        return end > 0 && Bytes(mark) is { Length: MarkSize } && Bytes(text.AsSpan(0, end)) is { } tail ? (tail, mark) : null;
    }

    private static byte[]? Bytes(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Base64Url.GetMaxDecodedLength(text.Length)];
        if (Base64Url.DecodeFromChars(text, bytes, out _, out var written) != OperationStatus.Done)
        {
            return null;
        }

        // The decoder is lenient about padding, white space and unused bits; only what Encode writes is a cursor.
        var decoded = bytes.AsSpan(0, written);
        return text.SequenceEqual(Encode(decoded)) ? decoded.ToArray() : null;
    }
}
