namespace Kv;

/// <summary>Which texts a column of text holds on both databases.</summary>
internal static class StoredText
{
    /// <summary>PostgreSQL stores no NUL, and UTF-8 no half of a surrogate pair.</summary>
    public static bool IsValid(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\0' || (char.IsSurrogate(text[i]) && !(i + 1 < text.Length && char.IsSurrogatePair(text[i], text[++i]))))
            {
                return false;
            }
        }

        return true;
    }
}
