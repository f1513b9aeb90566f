using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Kv.PostgreSql;

/// <summary>The character that a database's encoding lacks: the server names it by its bytes, in whatever language it speaks.</summary>
internal static partial class MissingCharacter
{
    /// <returns>The character and its number; null if the message has no bytes of one.</returns>
    public static string? In(string message)
    {
        var digits = Bytes().Match(message).Value.Replace("0x", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal);
        return Rune.DecodeFromUtf8(Convert.FromHexString(digits), out var rune, out _) == OperationStatus.Done
            ? string.Create(CultureInfo.InvariantCulture, $"'{rune}' (U+{rune.Value:X4})")
            : null;
    }

    [GeneratedRegex("0x[0-9a-f]{2}(?: 0x[0-9a-f]{2}){0,3}", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Bytes();
}
