namespace Kv.Keys;

/// <summary>Which texts a column of text holds on both databases.</summary>
internal static class StoredText
{
    /// <summary>PostgreSQL stores no NUL, and UTF-8 no half of a surrogate pair.</summary>
    public static bool IsValid(string text) => !text.Contains('\0') && IndexOfHalf(text) < 0;

    /// <summary>Where the first half of a surrogate pair is that stands alone; -1 if there is none.</summary>
    public static int IndexOfHalf(ReadOnlySpan<char> text)
    {
        var i = text.IndexOfAnyInRange('\uD800', '\uDFFF');
        for (i = i < 0 ? text.Length : i; i < text.Length; i++)
        {
            if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]))
            {
                i++;
            }
            else if (char.IsSurrogate(text[i]))
            {
                return i;
            }
        }

        return -1;
    }
}
