using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace Kv.V8;

/// <summary>Reads JSON as a value of JavaScript's: every number exactly, or not at all.</summary>
internal static class V8FromJson
{
    private const long LargestSafe = (1L << 53) - 1;

    /// <summary>
    /// The name of the only member of an object that stands for what JSON has no form for. It is another one in each process, so that no
    /// data can have it.
    /// </summary>
    public static string Mark { get; } = $"\u0001{Guid.NewGuid():N}";

    /// <param name="json">The JSON.</param>
    /// <param name="options">How it may be nested.</param>
    /// <exception cref="JsonException">A number is not one of JavaScript's, or the JSON is none.</exception>
    public static V8Value Read(ReadOnlySpan<byte> json, JsonReaderOptions options = default)
    {
        var reader = new Utf8JsonReader(json, options);
        reader.Read();
        return Value(ref reader);
    }

    /// <summary>Reads the value at which a reader stands, and leaves it at its end.</summary>
    public static V8Value Value(ref Utf8JsonReader reader) => reader.TokenType switch
    {
        JsonTokenType.StartObject => Object(ref reader),
        JsonTokenType.StartArray => Array(ref reader),
        JsonTokenType.String => reader.GetString(),
        JsonTokenType.Number => Number(ref reader),
        JsonTokenType.True => true,
        JsonTokenType.False => false,
        _ => V8Value.Null,
    };

    private static V8Value Object(ref Utf8JsonReader reader)
    {
        var value = new V8Object();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var name = reader.GetString()!;
            reader.Read();
            if (name == Mark)
            {
                var marked = V8Value.Parse(reader.GetBytesFromBase64());
                reader.Read();
                return marked;
            }

            // As JSON.parse has it, of two members of one name the later one counts.
            value[name] = Value(ref reader);
        }

        return value;
    }

    private static V8Array Array(ref Utf8JsonReader reader)
    {
        var array = new V8Array();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            array.Add(Value(ref reader));
        }

        return array;
    }

    // An integer beyond the exact ones of a double is a bigint, whole.
    private static V8Value Number(ref Utf8JsonReader reader)
    {
        var text = Encoding.ASCII.GetString(reader.HasValueSequence ? Joined(ref reader) : reader.ValueSpan);
        if (!text.AsSpan().ContainsAny('.', 'e', 'E'))
        {
            var integer = BigInteger.Parse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            return text == "-0" ? -0.0 : BigInteger.Abs(integer) <= LargestSafe ? (double)integer : integer;
        }

        var number = double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
        var shortest = number.ToString("R", CultureInfo.InvariantCulture);
        var isWhole = !TryDecimal(text, out var exact) || !TryDecimal(shortest, out var kept) || kept == exact;
        return double.IsFinite(number) && isWhole
            ? number
            : throw new JsonException(
                $"The number {text} is none of JavaScript's, which have 15 to 17 digits. Store it as a text, or as an integer of a smaller "
                + "unit.");
    }

    private static bool TryDecimal(string text, out decimal number) =>
        decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number);

    private static byte[] Joined(ref Utf8JsonReader reader)
    {
        var bytes = new byte[reader.ValueSequence.Length];
        var at = 0;
        foreach (var part in reader.ValueSequence)
        {
            part.Span.CopyTo(bytes.AsSpan(at));
            at += part.Length;
        }

        return bytes;
    }
}
