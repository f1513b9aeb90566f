namespace Kv.Messages;

/// <summary>
/// Names messages: UUIDs of version 7 (RFC 9562), rising within a process, so messages that are due together run in the order of their
/// making.
/// </summary>
/// <param name="random">Where the rest of them comes from; null for the system's.</param>
internal sealed class MessageId(Random? random = null)
{
    private readonly Random _random = random ?? Random.Shared;
    private readonly Lock _gate = new();
    private long _last;

    public string Next(long now)
    {
        lock (_gate)
        {
            // 48 bits of milliseconds and 12 bits of counter, as one number that never falls; a full counter borrows from the next
            // millisecond.
            _last = Math.Max(_last + 1, now << 12);
            Span<byte> bytes = stackalloc byte[16];
            _random.NextBytes(bytes);
            for (var i = 0; i < 6; i++)
            {
                bytes[i] = (byte)(_last >> (52 - (8 * i)));
            }

            bytes[6] = (byte)(0x70 | ((_last >> 8) & 0x0F));
            bytes[7] = (byte)_last;
            bytes[8] = (byte)(0x80 | (bytes[8] & 0x3F));
            return new Guid(bytes, bigEndian: true).ToString();
        }
    }
}
