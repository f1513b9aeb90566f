using System.Globalization;
using System.Text;

namespace Kv.Keys;

/// <summary>
/// Keys as text: <c>["users", 42, 7.0, true, 0x00FF]</c>. Strings as in JSON, integers as digits, doubles always with a point or an
/// exponent (or NaN, -NaN, Infinity, -Infinity), byte arrays as 0x and hexadecimal digits. <see cref="KeyTextReader"/> is the way back.
/// </summary>
internal static class KeyText
{
    public static string Format(ReadOnlySpan<KvKeyPart> parts)
    {
        var text = new StringBuilder("[");
        foreach (ref readonly var part in parts)
        {
            if (text.Length > 1)
            {
                text.Append(", ");
            }

            Append(text, part);
        }

        return text.Append(']').ToString();
    }

    public static string Format(in KvKeyPart part)
    {
        var text = new StringBuilder();
        Append(text, part);
        return text.ToString();
    }

    /// <summary>Any text as a part of a key would be printed, halves of surrogate pairs escaped; of a long one the beginning.</summary>
    public static string Format(ReadOnlySpan<char> part)
    {
        var text = new StringBuilder();
        AppendString(text, part[..Math.Min(part.Length, 64)]);
        return text.Append(part.Length > 64 ? "…" : "").ToString();
    }

    private static void Append(StringBuilder text, in KvKeyPart part)
    {
        switch (part.Type)
        {
            case KvKeyPartType.Bytes:
                text.Append("0x").Append(Convert.ToHexString(part.AsBytes().Span));
                break;
            case KvKeyPartType.String:
                AppendString(text, part.AsString());
                break;
            case KvKeyPartType.Integer:
                text.Append(part.AsInteger().ToString(CultureInfo.InvariantCulture));
                break;
            case KvKeyPartType.Double:
                text.Append(DoubleText(part.AsDouble()));
                break;
            default:
                text.Append(part.AsBoolean() ? "true" : "false");
                break;
        }
    }

    private static string DoubleText(double value)
    {
        if (double.IsNaN(value))
        {
            return double.IsNegative(value) ? "-NaN" : "NaN";
        }

        if (double.IsInfinity(value))
        {
            return value < 0 ? "-Infinity" : "Infinity";
        }

        var text = value.ToString("R", CultureInfo.InvariantCulture).Replace('E', 'e');
        return text.AsSpan().ContainsAny('.', 'e') ? text : text + ".0";
    }

    private static void AppendString(StringBuilder text, ReadOnlySpan<char> value)
    {
        text.Append('"');
        while (!value.IsEmpty)
        {
            Rune.DecodeFromUtf16(value, out var rune, out var length);
            var half = value[0];
            value = value[length..];
            if (length == 1 && char.IsSurrogate(half))
            {
                text.Append(CultureInfo.InvariantCulture, $"\\u{(int)half:x4}");
            }
            else if (rune.Value is '"' or '\\')
            {
                text.Append('\\').Append((char)rune.Value);
            }
            else if (IsVisible(rune))
            {
                text.Append(rune.ToString());
            }
            else
            {
                AppendEscaped(text, rune);
            }
        }

        text.Append('"');
    }

    // Text direction marks, joiners and line separators would make one key look like another in a log.
    private static bool IsVisible(Rune rune) => Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);

    private static void AppendEscaped(StringBuilder text, Rune rune)
    {
        Span<char> units = stackalloc char[2];
        foreach (var unit in units[..rune.EncodeToUtf16(units)])
        {
            text.Append(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}");
        }
    }
}
