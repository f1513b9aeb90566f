using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Kv.V8;

/// <summary>Puts what V8's structured-clone format is made of behind some bytes.</summary>
internal sealed class V8Output
{
    private readonly ArrayBufferWriter<byte> _to = new();

    public byte[] ToArray() => _to.WrittenSpan.ToArray();

    public void Bytes(ReadOnlySpan<byte> bytes) => _to.Write(bytes);

    public void Number(double number)
    {
        if (number is >= int.MinValue and <= int.MaxValue && number == (int)number && !(number == 0 && double.IsNegative(number)))
        {
            Byte(V8Tags.Int32);
            Varint(((uint)(int)number << 1) ^ (uint)((int)number >> 31));
        }
        else
        {
            Byte(V8Tags.Double);
            Double(number);
        }
    }

    // In words of 8 bytes, as V8 does.
    public void Digits(BigInteger number)
    {
        var magnitude = BigInteger.Abs(number).ToByteArray(isUnsigned: true);
        var count = number.IsZero ? 0 : (magnitude.Length + 7) / 8 * 8;
        Varint(((uint)count << 1) | (number.Sign < 0 ? 1u : 0));
        if (count > 0)
        {
            var digits = _to.GetSpan(count)[..count];
            digits.Clear();
            magnitude.CopyTo(digits);
            _to.Advance(count);
        }
    }

    public void Text(string text)
    {
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', '\u00FF') < 0)
        {
            Byte(V8Tags.Latin1);
            Varint((uint)text.Length);
            Encoding.Latin1.GetBytes(text, _to);
            return;
        }

        // V8 reads the characters where they stand, so they stand at an even place.
        var size = (uint)text.Length * sizeof(char);
        if ((_to.WrittenCount + 1 + SizeOf(size)) % 2 != 0)
        {
            Byte(V8Tags.Padding);
        }

        Byte(V8Tags.Utf16);
        Varint(size);
        var to = _to.GetSpan((int)size);
        for (var i = 0; i < text.Length; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(to[(i * sizeof(char))..], text[i]);
        }

        _to.Advance((int)size);
    }

    private static int SizeOf(uint varint) => (BitOperations.Log2(varint | 1) / 7) + 1;

    public void Double(double number)
    {
        // JavaScript has one NaN, with its sign clear; .NET's has it set.
        var bits = double.IsNaN(number) ? 0x7FF8000000000000 : BitConverter.DoubleToUInt64Bits(number);
        BinaryPrimitives.WriteUInt64LittleEndian(_to.GetSpan(sizeof(double)), bits);
        _to.Advance(sizeof(double));
    }

    public void Varint(uint number)
    {
        for (; number >= 0x80; number >>= 7)
        {
            Byte((byte)(number | 0x80));
        }

        Byte((byte)number);
    }

    public void Byte(byte value)
    {
        _to.GetSpan(1)[0] = value;
        _to.Advance(1);
    }
}
