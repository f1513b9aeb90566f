namespace Kv;

/// <summary>Byte keys for tests: the same for the same seed, on every machine. Each is a part of a key: <c>["blobs", bytes]</c>.</summary>
public static class KvTestKeys
{
    // What goes wrong in the order of keys, or at the ends of ranges: bytes that are escaped, that are first, that are last.
    private static readonly byte[][] Hard =
        [[], [0x00], [0xFF], [0x00, 0x00], [0x00, 0xFF], [0xFF, 0x00], [0xFF, 0xFF], [0x01], [0xFE], [0x7F, 0xFF], [0x80]];

    /// <summary>
    /// Byte strings in no order, some of them more than once: hard ones, random ones, and ones that begin with an earlier one.
    /// </summary>
    /// <param name="seed">Which.</param>
    /// <param name="count">How many.</param>
    /// <param name="longest">The most bytes of one. At least 2.</param>
    /// <returns>The byte strings; each is the caller's own.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number is negative, or the length less than 2.</exception>
    public static IReadOnlyList<byte[]> Random(int seed, int count, int longest = 16)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfLessThan(longest, 2);
        var random = new Random(seed);
        List<byte[]> keys = new(count);
        while (keys.Count < count)
        {
            keys.Add(Next(random, keys, longest));
        }

        return keys;
    }

    /// <summary>Byte strings in the order of their bytes, each once.</summary>
    /// <inheritdoc cref="Random" path="/param|/exception" />
    /// <returns>The byte strings, the least first; each is the caller's own.</returns>
    public static IReadOnlyList<byte[]> Ordered(int seed, int count, int longest = 16)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfLessThan(longest, 2);
        var random = new Random(seed);
        var sorted = new SortedSet<byte[]>(Comparer<byte[]>.Create(static (left, right) => left.AsSpan().SequenceCompareTo(right)));
        List<byte[]> made = [];
        while (sorted.Count < count)
        {
            // Random ones of any length as well: the short ones do not suffice for every number.
            var key = made.Count < 2 * count ? Next(random, made, longest) : Bytes(random, longest + (made.Count / Math.Max(count, 1)));
            made.Add(key);
            sorted.Add(key);
        }

        return [.. sorted];
    }

    private static byte[] Next(Random random, List<byte[]> before, int longest) => random.Next(4) switch
    {
        0 => [.. Hard[random.Next(Hard.Length)]],
        1 when before.Count > 0 => Longer(random, before[random.Next(before.Count)], longest),
        _ => Bytes(random, random.Next(longest + 1)),
    };

    private static byte[] Longer(Random random, byte[] key, int longest) =>
        key.Length < longest ? [.. key, Hard[1 + random.Next(Hard.Length - 1)][0]] : [.. key];

    private static byte[] Bytes(Random random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }
}
