using System.Globalization;

namespace Kv.V8;

/// <summary>What is written as text of JavaScript's values.</summary>
internal static class V8Text
{
    private static readonly (V8RegExpFlags Flag, char Letter)[] Letters =
    [
        (V8RegExpFlags.HasIndices, 'd'), (V8RegExpFlags.Global, 'g'), (V8RegExpFlags.IgnoreCase, 'i'), (V8RegExpFlags.Multiline, 'm'),
        (V8RegExpFlags.DotAll, 's'), (V8RegExpFlags.Unicode, 'u'), (V8RegExpFlags.UnicodeSets, 'v'), (V8RegExpFlags.Sticky, 'y'),
    ];

    public static string Of(V8RegExp expression)
    {
        var flags = Letters.Where(letter => expression.Flags.HasFlag(letter.Flag)).Select(static letter => letter.Letter);
        return $"/{WellFormed(expression.Source)}/{string.Concat(flags)}";
    }

    /// <summary>A primitive as the name of a member.</summary>
    public static string Of(V8Primitive value) => value.Kind switch
    {
        V8Kind.String => value.AsString(),
        V8Kind.Number => value.AsDouble().ToString(CultureInfo.InvariantCulture),
        V8Kind.BigInt => value.AsBigInteger().ToString(CultureInfo.InvariantCulture),
        _ => value.AsBoolean() ? "true" : "false",
    };

    /// <summary>A text in which halves of surrogate pairs, which JSON cannot have, are U+FFFD.</summary>
    public static string WellFormed(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsSurrogate(text[i]) && !(i + 1 < text.Length && char.IsSurrogatePair(text[i], text[++i])))
            {
                return string.Concat(text.EnumerateRunes());
            }
        }

        return text;
    }
}
