using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Kv.V8;

/// <summary>Takes what V8's structured-clone format is made of from the front of some bytes.</summary>
internal ref struct V8Input(ReadOnlySpan<byte> data)
{
    private static readonly UTF8Encoding Utf8 = new(false, throwOnInvalidBytes: true);
    private readonly ReadOnlySpan<byte> _data = data;
    private int _at;

    public readonly int Left => _data.Length - _at;

    /// <summary>The next byte, whatever it is.</summary>
    public byte Take() => Left > 0 ? _data[_at++] : throw Defect("it ends where more is to come");

    public string Text()
    {
        var tag = Tag();
        return tag is V8Tags.Latin1 or V8Tags.Utf16 or V8Tags.Utf8 ? Text(tag) : throw Defect("a text is not one");
    }

    public string Text(byte tag)
    {
        var bytes = Bytes(Count("bytes"));
        switch (tag)
        {
            case V8Tags.Latin1:
                return Encoding.Latin1.GetString(bytes);
            case V8Tags.Utf16:
                if (bytes.Length % sizeof(char) != 0)
                {
                    throw Defect("a text in UTF-16 has an odd length");
                }

                // Not by an encoding, which would replace halves of surrogate pairs.
                return string.Create(bytes.Length / sizeof(char), bytes, static (text, from) =>
                {
                    for (var i = 0; i < text.Length; i++)
                    {
                        text[i] = (char)BinaryPrimitives.ReadUInt16LittleEndian(from[(i * sizeof(char))..]);
                    }
                });
            default:
                try
                {
                    return Utf8.GetString(bytes);
                }
                catch (DecoderFallbackException)
                {
                    throw Defect("a text is not UTF-8");
                }
        }
    }

    public BigInteger BigInt()
    {
        var field = Varint();
        var digits = Bytes(field >> 1);
        var magnitude = new BigInteger(digits, isUnsigned: true);
        return (field & 1) != 0 ? -magnitude : magnitude;
    }

    public double Double() => BinaryPrimitives.ReadDoubleLittleEndian(Bytes(sizeof(double)));

    public int ZigZag() => Varint() is var number ? (int)(number >> 1) ^ -(int)(number & 1) : 0;

    public uint Varint()
    {
        uint result = 0;
        for (var shift = 0; shift < 35; shift += 7)
        {
            var next = Take();
            result |= shift < 32 ? (uint)(next & 0x7F) << shift : 0;
            if ((next & 0x80) == 0)
            {
                return result;
            }
        }

        throw Defect("a number is too long");
    }

    /// <summary>A count of what takes a byte at the least.</summary>
    public uint Count(string of) => Varint() is var count && count <= Left
        ? count
        : throw Defect($"it says that {count} {of} follow, and {Left} bytes are left");

    public ReadOnlySpan<byte> Bytes(uint count)
    {
        if (count > Left)
        {
            throw Defect($"{count} bytes are to follow, and {Left} are left");
        }

        var bytes = _data.Slice(_at, (int)count);
        _at += (int)count;
        return bytes;
    }

    /// <summary>The next byte that is no padding.</summary>
    public byte Tag()
    {
        var tag = Peek();
        _at++;
        return tag;
    }

    public byte Peek() => TryPeek() ?? throw Defect("it ends where a value is to begin");

    public byte? TryPeek()
    {
        var next = _at;
        while (next < _data.Length && _data[next] == V8Tags.Padding)
        {
            next++;
        }

        if (next == _data.Length)
        {
            return null;
        }

        _at = next;
        return _data[next];
    }

    public readonly KvException Defect(string what) => new(
        KvErrorKind.Encoding, $"The bytes are no value of V8's format: at byte {_at} of {_data.Length}, {what}.");
}
