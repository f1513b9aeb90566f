using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Kv.Keys;

/// <summary>
/// Writes key parts so that comparing the bytes compares the keys: Deno KV's encoding, a subset of FoundationDB's tuple layer.
/// A key is its parts one after the other, without count or separators. <see cref="KeyReader"/> is the way back.
/// </summary>
internal static class KeyCodec
{
    public const byte BytesTag = 0x01;
    public const byte StringTag = 0x02;
    public const byte HugeNegativeTag = 0x0B;
    public const byte ZeroTag = 0x14;
    public const byte HugePositiveTag = 0x1D;
    public const byte DoubleTag = 0x21;
    public const byte FalseTag = 0x26;
    public const byte TrueTag = 0x27;

    // Inside strings and byte arrays 00 is written 00 FF; a 00 followed by anything else ends the part. No tag is FF.
    public const byte Terminator = 0x00;
    public const byte Escape = 0xFF;

    /// <summary>The length of a large magnitude is written in one byte.</summary>
    public const int MaxMagnitudeSize = 255;

    public const long PositiveNaN = 0x7FF8000000000000;
    public const long NegativeNaN = unchecked((long)0xFFF8000000000000);

    /// <summary>Encodes the parts behind an already encoded prefix, in one allocation.</summary>
    public static byte[] Encode(ReadOnlySpan<byte> prefix, ReadOnlySpan<KvKeyPart> parts)
    {
        var size = prefix.Length;
        foreach (ref readonly var part in parts)
        {
            size = checked(size + SizeOf(part));
        }

        var encoded = GC.AllocateUninitializedArray<byte>(size);
        prefix.CopyTo(encoded);
        var rest = encoded.AsSpan(prefix.Length);
        foreach (ref readonly var part in parts)
        {
            rest = rest[Write(part, rest)..];
        }

        return encoded;
    }

    /// <summary>The bits of a double, changed so that comparing them unsigned compares the doubles.</summary>
    public static ulong SortableBits(long bits) => bits < 0 ? ~(ulong)bits : (ulong)bits ^ 0x8000000000000000;

    /// <summary>The inverse of <see cref="SortableBits"/>.</summary>
    public static long BitsFromSortable(ulong sortable) => (long)((long)sortable < 0 ? sortable ^ 0x8000000000000000 : ~sortable);

    private static int SizeOf(in KvKeyPart part)
    {
        switch (part.Type)
        {
            case KvKeyPartType.Bytes:
                var bytes = part.AsBytes().Span;
                return checked(bytes.Length + bytes.Count(Terminator) + 2);
            case KvKeyPartType.String:
                var text = part.AsString();
                return checked(Encoding.UTF8.GetByteCount(text) + text.AsSpan().Count('\0') + 2);
            case KvKeyPartType.Integer when part.IsSmallInteger:
                return 1 + ByteCount(Magnitude(part.Bits));
            case KvKeyPartType.Integer:
                var size = BigInteger.Abs(part.AsInteger()).GetByteCount(isUnsigned: true);
                return size <= sizeof(ulong) ? 1 + size : 2 + size;
            case KvKeyPartType.Double:
                return 1 + sizeof(double);
            default:
                return 1;
        }
    }

    private static int Write(in KvKeyPart part, Span<byte> target)
    {
        switch (part.Type)
        {
            case KvKeyPartType.Bytes:
                target[0] = BytesTag;
                var bytes = part.AsBytes().Span;
                bytes.CopyTo(target[1..]);
                return EscapeInPlace(target, bytes.Length);
            case KvKeyPartType.String:
                target[0] = StringTag;
                return EscapeInPlace(target, Encoding.UTF8.GetBytes(part.AsString(), target[1..]));
            case KvKeyPartType.Integer:
                return part.IsSmallInteger ? WriteInteger(part.Bits, target) : WriteInteger(part.AsInteger(), target);
            case KvKeyPartType.Double:
                target[0] = DoubleTag;
                BinaryPrimitives.WriteUInt64BigEndian(target[1..], SortableBits(part.Bits));
                return 1 + sizeof(double);
            default:
                target[0] = part.AsBoolean() ? TrueTag : FalseTag;
                return 1;
        }
    }

    // Moves the payload apart from its end, so that no byte is overwritten before it has been read.
    private static int EscapeInPlace(Span<byte> target, int payloadSize)
    {
        var zeros = target.Slice(1, payloadSize).Count(Terminator);
        var size = payloadSize + zeros + 2;
        target[size - 1] = Terminator;
        for (int from = payloadSize, to = size - 2; to > from; from--)
        {
            if (target[from] == Terminator)
            {
                target[to--] = Escape;
            }

            target[to--] = target[from];
        }

        return size;
    }

    private static int WriteInteger(long value, Span<byte> target)
    {
        var magnitude = Magnitude(value);
        var size = ByteCount(magnitude);
        target[0] = (byte)(value < 0 ? ZeroTag - size : ZeroTag + size);
        if (value < 0)
        {
            magnitude = ~magnitude;
        }

        for (var i = size; i > 0; i--, magnitude >>= 8)
        {
            target[i] = (byte)magnitude;
        }

        return 1 + size;
    }

    private static int WriteInteger(BigInteger value, Span<byte> target)
    {
        var negative = value.Sign < 0;
        var magnitude = BigInteger.Abs(value);
        var size = magnitude.GetByteCount(isUnsigned: true);
        var start = 1;
        if (size <= sizeof(ulong))
        {
            target[0] = (byte)(negative ? ZeroTag - size : ZeroTag + size);
        }
        else
        {
            target[0] = negative ? HugeNegativeTag : HugePositiveTag;
            target[1] = (byte)(negative ? size ^ 0xFF : size);
            start = 2;
        }

        magnitude.TryWriteBytes(target[start..], out _, isUnsigned: true, isBigEndian: true);
        if (negative)
        {
            Invert(target.Slice(start, size));
        }

        return start + size;
    }

    public static void Invert(Span<byte> bytes)
    {
        foreach (ref var value in bytes)
        {
            value = (byte)~value;
        }
    }

    private static ulong Magnitude(long value) => value < 0 ? 0UL - (ulong)value : (ulong)value;

    private static int ByteCount(ulong magnitude) => (64 - BitOperations.LeadingZeroCount(magnitude) + 7) / 8;
}
