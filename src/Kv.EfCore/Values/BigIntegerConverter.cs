using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kv.Values;

/// <summary>Integers of any size as the numbers of JSON, which have no bound.</summary>
internal sealed class BigIntegerConverter : JsonConverter<BigInteger>
{
    private const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;

    public override BigInteger Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.Number ? Parse(Encoding.UTF8.GetString(reader.ValueSpan)) : throw new JsonException();

    public override void Write(Utf8JsonWriter writer, BigInteger value, JsonSerializerOptions options) =>
        writer.WriteRawValue(value.ToString(CultureInfo.InvariantCulture), skipInputValidation: true);

    public override BigInteger ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Parse(reader.GetString()!);

    public override void WriteAsPropertyName(Utf8JsonWriter writer, BigInteger value, JsonSerializerOptions options) =>
        writer.WritePropertyName(value.ToString(CultureInfo.InvariantCulture));

    // A number with an exponent of millions would take all memory; an integer of such a size is written with its digits.
    private static BigInteger Parse(string text)
    {
        if (!text.AsSpan().ContainsAny('.', 'e', 'E'))
        {
            return BigInteger.TryParse(text, Style, CultureInfo.InvariantCulture, out var integer) ? integer : throw new JsonException();
        }

        return decimal.TryParse(text, Style, CultureInfo.InvariantCulture, out var number) && decimal.IsInteger(number)
            ? new BigInteger(number)
            : throw new JsonException();
    }
}
