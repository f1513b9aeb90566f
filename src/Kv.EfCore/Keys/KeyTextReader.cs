using System.Buffers;
using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;

namespace Kv.Keys;

/// <summary>Reads the text form of keys that <see cref="KeyText"/> writes. Any text is either a key or gives a defect.</summary>
internal ref struct KeyTextReader
{
    // 255 bytes are 615 digits. Parsing digits takes quadratic time, so longer runs are refused unread.
    private const int MaxDigits = 620;

    private static readonly SearchValues<char> PartEnds = SearchValues.Create(",] \t\r\n");

    private readonly ReadOnlySpan<char> _text;
    private int _position;
    private string? _defect;

    private KeyTextReader(string text) => _text = text;

    /// <summary>Reads a key; null and what is wrong otherwise.</summary>
    public static KvKey? TryParse(string text, out string? defect)
    {
        var reader = new KeyTextReader(text);
        var parts = new List<KvKeyPart>();
        var valid = reader.TryReadKey(parts);
        defect = reader._defect;
        return valid ? KvKey.Create(CollectionsMarshal.AsSpan(parts)) : null;
    }

    private bool TryReadKey(List<KvKeyPart> parts)
    {
        if (!Take('['))
        {
            return Fail("'[' is missing");
        }

        if (!Take(']'))
        {
            do
            {
                SkipSpace();
                if (!TryReadPart(out var part))
                {
                    return false;
                }

                parts.Add(part);
            }
            while (Take(','));

            if (!Take(']'))
            {
                return Fail("',' or ']' is missing");
            }
        }

        SkipSpace();
        return _position == _text.Length || Fail("there is text after the key");
    }

    private bool Fail(string reason)
    {
        _defect = $"{reason} (at character {_position})";
        return false;
    }

    private void SkipSpace()
    {
        while (_position < _text.Length && _text[_position] is ' ' or '\t' or '\r' or '\n')
        {
            _position++;
        }
    }

    private bool Take(char expected)
    {
        SkipSpace();
        if (_position == _text.Length || _text[_position] != expected)
        {
            return false;
        }

        _position++;
        return true;
    }

    private bool TryReadPart(out KvKeyPart part)
    {
        part = default;
        if (_position < _text.Length && _text[_position] == '"')
        {
            return TryReadString(out part);
        }

        var token = _text[_position..];
        var end = token.IndexOfAny(PartEnds);
        if (end >= 0)
        {
            token = token[..end];
        }

        bool valid;
        if (token.StartsWith("0x", StringComparison.Ordinal))
        {
            valid = TryReadBytes(token[2..], out part);
        }
        else if (TryReadWord(token, out part))
        {
            valid = true;
        }
        else if (token.IsEmpty || !(char.IsAsciiDigit(token[0]) || token[0] == '-'))
        {
            valid = Fail("a part is missing: a string in quotes, a number, true, false, or 0x with hexadecimal digits");
        }
        else
        {
            valid = token.ContainsAny('.', 'e', 'E') ? TryReadDouble(token, out part) : TryReadInteger(token, out part);
        }

        if (valid)
        {
            _position += token.Length;
        }

        return valid;
    }

    private static bool TryReadWord(ReadOnlySpan<char> token, out KvKeyPart part)
    {
        KvKeyPart? word = token switch
        {
            "true" => true,
            "false" => false,
            "Infinity" => double.PositiveInfinity,
            "-Infinity" => double.NegativeInfinity,
            // The sign bit of double.NaN is set on common processors, so the constants are spelled out.
            "NaN" => BitConverter.Int64BitsToDouble(KeyCodec.PositiveNaN),
            "-NaN" => BitConverter.Int64BitsToDouble(KeyCodec.NegativeNaN),
            _ => null,
        };
        part = word.GetValueOrDefault();
        return word is not null;
    }

    private bool TryReadBytes(ReadOnlySpan<char> digits, out KvKeyPart part)
    {
        var bytes = new byte[digits.Length / 2];
        part = bytes;
        return (digits.Length % 2 == 0 && Convert.FromHexString(digits, bytes, out _, out _) == OperationStatus.Done)
            || Fail("a byte array needs an even number of hexadecimal digits");
    }

    private bool TryReadDouble(ReadOnlySpan<char> token, out KvKeyPart part)
    {
        const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        var valid = double.TryParse(token, Style, CultureInfo.InvariantCulture, out var number);
        part = number;
        if (!valid)
        {
            return Fail("the number is malformed");
        }

        return double.IsFinite(number) || Fail("the number is too large for a double; Infinity is spelled out");
    }

    private bool TryReadInteger(ReadOnlySpan<char> token, out KvKeyPart part)
    {
        part = default;
        if (token.Length > MaxDigits)
        {
            return Fail("an integer takes at most 255 bytes");
        }

        if (!BigInteger.TryParse(token, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var integer))
        {
            return Fail("the number is malformed");
        }

        if (BigInteger.Abs(integer).GetByteCount(isUnsigned: true) > KeyCodec.MaxMagnitudeSize)
        {
            return Fail("an integer takes at most 255 bytes");
        }

        part = integer;
        return true;
    }

    private bool TryReadString(out KvKeyPart part)
    {
        part = default;
        var value = new StringBuilder();
        for (_position++; _position < _text.Length; _position++)
        {
            var unit = _text[_position];
            if (unit == '"')
            {
                _position++;
                var text = value.ToString();
                var half = StoredText.IndexOfHalf(text);
                if (half >= 0)
                {
                    return Fail($"a string has U+{(int)text[half]:X4}, half of a surrogate pair");
                }

                part = text;
                return true;
            }

            if (unit == '\\' && !TryReadEscape(out unit))
            {
                return Fail("a string has an unknown escape; those of JSON are known");
            }

            value.Append(unit);
        }

        return Fail("the string is not closed");
    }

    // Leaves the position at the last character of the escape.
    private bool TryReadEscape(out char unit)
    {
        unit = ++_position < _text.Length ? _text[_position] : '\0';
        switch (unit)
        {
            case '"' or '\\' or '/': return true;
            case 'b': unit = '\b'; return true;
            case 'f': unit = '\f'; return true;
            case 'n': unit = '\n'; return true;
            case 'r': unit = '\r'; return true;
            case 't': unit = '\t'; return true;
            case 'u' when _text.Length - _position > 4: break;
            default: return false;
        }

        if (!ushort.TryParse(_text.Slice(_position + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code))
        {
            return false;
        }

        unit = (char)code;
        _position += 4;
        return true;
    }
}
