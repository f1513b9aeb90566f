using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using System.Text.Unicode;

namespace Kv.Keys;

/// <summary>
/// Reads an encoded key part by part. It is total: any bytes are either parts or give a <see cref="Defect"/>, and checking them
/// allocates nothing, whatever lengths they claim.
/// </summary>
/// <remarks>
/// Integers with leading zero bytes and other NaNs than the two canonical ones are read as the values they stand for, though
/// <see cref="KeyCodec"/> would write them differently. So a key that was read is compared and written by its own bytes.
/// </remarks>
internal ref struct KeyReader(ReadOnlySpan<byte> encoded)
{
    private readonly ReadOnlySpan<byte> _encoded = encoded;
    private ReadOnlySpan<byte> _payload;
    private int _position;
    private int _escapes;
    private byte _tag;

    /// <summary>What is wrong with the bytes; null while all is well.</summary>
    public string? Defect { get; private set; }

    /// <summary>Counts the parts; -1 and a defect when the bytes are not a key.</summary>
    public static int Count(ReadOnlySpan<byte> encoded, out string? defect)
    {
        var reader = new KeyReader(encoded);
        var count = 0;
        while (reader.MoveNext())
        {
            count++;
        }

        defect = reader.Defect;
        return defect is null ? count : -1;
    }

    /// <summary>Reads all parts; null when the bytes are not a key.</summary>
    public static KvKeyPart[]? ReadAll(ReadOnlySpan<byte> encoded)
    {
        // Counting first costs a second pass, and lets a malformed key of any size allocate nothing.
        var count = Count(encoded, out _);
        if (count < 0)
        {
            return null;
        }

        var parts = new KvKeyPart[count];
        var reader = new KeyReader(encoded);
        for (var i = 0; reader.MoveNext(); i++)
        {
            parts[i] = reader.ReadPart();
        }

        return parts;
    }

    /// <summary>Goes to the next part; false at the end and at a defect.</summary>
    public bool MoveNext()
    {
        if (Defect is not null || _position == _encoded.Length)
        {
            return false;
        }

        _tag = _encoded[_position];
        return _tag switch
        {
            KeyCodec.BytesTag or KeyCodec.StringTag => MoveOverEscaped(),
            KeyCodec.HugeNegativeTag or KeyCodec.HugePositiveTag => MoveOverHugeInteger(),
            > KeyCodec.HugeNegativeTag and < KeyCodec.HugePositiveTag => MoveOver(1, Math.Abs(_tag - KeyCodec.ZeroTag)),
            KeyCodec.DoubleTag => MoveOver(1, sizeof(double)),
            KeyCodec.FalseTag or KeyCodec.TrueTag => MoveOver(1, 0),
            _ => Fail($"invalid tag 0x{_tag:X2}"),
        };
    }

    /// <summary>The part that the last successful <see cref="MoveNext"/> went to.</summary>
    public readonly KvKeyPart ReadPart() => _tag switch
    {
        KeyCodec.BytesTag => new(ReadBytes()),
        KeyCodec.StringTag => new(ReadString()),
        KeyCodec.DoubleTag => new(ReadDouble()),
        KeyCodec.FalseTag => new(false),
        KeyCodec.TrueTag => new(true),
        _ => _payload.Length <= sizeof(ulong) ? ReadInteger() : ReadHugeInteger(),
    };

    private bool MoveOver(int header, int size)
    {
        if (_encoded.Length - _position - header < size)
        {
            return Fail($"tag 0x{_tag:X2} needs {size} bytes, {Math.Max(0, _encoded.Length - _position - header)} are left");
        }

        _payload = _encoded.Slice(_position + header, size);
        _position += header + size;
        return true;
    }

    private bool MoveOverHugeInteger()
    {
        if (_position + 1 == _encoded.Length)
        {
            return Fail($"tag 0x{_tag:X2} needs a length");
        }

        var length = _encoded[_position + 1];
        return MoveOver(2, _tag == KeyCodec.HugeNegativeTag ? length ^ 0xFF : length);
    }

    private bool MoveOverEscaped()
    {
        var payload = _encoded[(_position + 1)..];
        var end = 0;
        _escapes = 0;
        while (true)
        {
            var run = payload[end..].IndexOf(KeyCodec.Terminator);
            if (run < 0)
            {
                return Fail("the terminator is missing");
            }

            // No UTF-8 sequence contains a 00, so text is valid exactly when all runs between escapes are.
            if (_tag == KeyCodec.StringTag && !Utf8.IsValid(payload.Slice(end, run)))
            {
                return Fail("invalid utf8");
            }

            end += run;
            if (end + 1 == payload.Length || payload[end + 1] != KeyCodec.Escape)
            {
                break;
            }

            _escapes++;
            end += 2;
        }

        _payload = payload[..end];
        _position += end + 2;
        return true;
    }

    private bool Fail(string reason)
    {
        Defect = $"{reason} (part at byte {_position} of {_encoded.Length})";
        return false;
    }

    private readonly byte[] ReadBytes()
    {
        var bytes = GC.AllocateUninitializedArray<byte>(_payload.Length - _escapes);
        Unescape(bytes);
        return bytes;
    }

    private readonly string ReadString()
    {
        if (_escapes == 0)
        {
            return Encoding.UTF8.GetString(_payload);
        }

        var size = _payload.Length - _escapes;
        var rented = size <= 256 ? null : ArrayPool<byte>.Shared.Rent(size);
        var text = (rented ?? stackalloc byte[256])[..size];
        Unescape(text);
        var value = Encoding.UTF8.GetString(text);
        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }

        return value;
    }

    private readonly void Unescape(Span<byte> target)
    {
        var rest = _payload;
        while (true)
        {
            var run = rest.IndexOf(KeyCodec.Terminator) + 1;
            if (run == 0)
            {
                break;
            }

            rest[..run].CopyTo(target);
            target = target[run..];
            rest = rest[(run + 1)..];
        }

        rest.CopyTo(target);
    }

    private readonly double ReadDouble() =>
        BitConverter.Int64BitsToDouble(KeyCodec.BitsFromSortable(BinaryPrimitives.ReadUInt64BigEndian(_payload)));

    private readonly KvKeyPart ReadInteger()
    {
        var negative = _tag < KeyCodec.ZeroTag;
        var magnitude = 0UL;
        foreach (var value in _payload)
        {
            magnitude = (magnitude << 8) | (negative ? (byte)~value : value);
        }

        if (!negative)
        {
            return magnitude;
        }

        return magnitude <= 1UL << 63 ? new((long)(0 - magnitude)) : new(-(BigInteger)magnitude);
    }

    private readonly KvKeyPart ReadHugeInteger()
    {
        Span<byte> magnitude = stackalloc byte[KeyCodec.MaxMagnitudeSize];
        magnitude = magnitude[.._payload.Length];
        _payload.CopyTo(magnitude);
        if (_tag == KeyCodec.HugePositiveTag)
        {
            return new(new BigInteger(magnitude, isUnsigned: true, isBigEndian: true));
        }

        KeyCodec.Invert(magnitude);
        return new(-new BigInteger(magnitude, isUnsigned: true, isBigEndian: true));
    }
}
