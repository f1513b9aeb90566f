using System.Text;
using System.Text.Encodings.Web;

namespace Kv.Values;

/// <summary>
/// Escapes nothing and refuses texts with half of a surrogate pair, which UTF-8 cannot hold and a writer replaces without a word. Every
/// text that becomes JSON passes an encoder, also keys of dictionaries and what converters write.
/// </summary>
internal sealed class WellFormedEncoder : JavaScriptEncoder
{
    public override int MaxOutputCharactersPerInputCharacter => 1;

    public override unsafe int FindFirstCharacterToEncode(char* text, int textLength)
    {
        var left = new ReadOnlySpan<char>(text, textLength);
        while (left.IndexOfAnyInRange('\uD800', '\uDFFF') is >= 0 and var index)
        {
            if (Rune.DecodeFromUtf16(left[index..], out _, out var used) != System.Buffers.OperationStatus.Done)
            {
                throw new KvException(
                    KvErrorKind.Encoding,
                    $"It would not be stored whole: a text has U+{(int)left[index]:X4} at position {textLength - left.Length + index}, "
                    + "which is half of a surrogate pair, and UTF-8 has no such character. Cut texts between characters (Rune, StringInfo), or store bytes.");
            }

            left = left[(index + used)..];
        }

        return -1;
    }

    public override unsafe bool TryEncodeUnicodeScalar(int unicodeScalar, char* buffer, int bufferLength, out int numberOfCharactersWritten)
    {
        numberOfCharactersWritten = 0;
        return false;
    }

    public override bool WillEncode(int unicodeScalar) => false;
}
