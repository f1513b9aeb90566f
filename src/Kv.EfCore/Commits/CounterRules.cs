using System.Buffers.Binary;
using System.Globalization;

namespace Kv.Commits;

/// <summary>What mutations of counters mean.</summary>
internal static class CounterRules
{
    /// <summary>The value of a counter after a mutation.</summary>
    /// <exception cref="KvException">What is stored is no counter, or the sum leaves its bounds.</exception>
    public static byte[] Apply(in Mutation counter, KeyCell cell)
    {
        ulong? present = cell.Live ? Counter(counter, cell) : null;
        var result = counter.Kind switch
        {
            MutationKind.Sum => unchecked((present ?? 0) + counter.Operand),
            MutationKind.SumWithin => SumWithin(counter, present ?? 0),
            MutationKind.Min => Math.Min(present ?? counter.Operand, counter.Operand),
            MutationKind.Max => Math.Max(present ?? counter.Operand, counter.Operand),
            _ => throw new ArgumentOutOfRangeException(nameof(counter), counter.Kind, "Not a kind of mutation."),
        };

        var value = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(value, result);
        return value;
    }

    private static ulong Counter(in Mutation mutation, KeyCell cell)
    {
        if (cell.Encoding != (int)KvEncoding.UInt64)
        {
            var verb = mutation.Kind switch
            {
                MutationKind.Min => "min",
                MutationKind.Max => "max",
                _ => "sum",
            };
            throw new KvException(
                KvErrorKind.Type,
                $"Failed to perform '{verb}' mutation on a non-U64 value in the database: the value of {KvKey.FromStored(mutation.Key)} "
                + $"has encoding {(KvEncoding)cell.Encoding}. Set it to a ulong first, or count under another key.");
        }

        return cell.Value is { Length: sizeof(ulong) } bytes
            ? BinaryPrimitives.ReadUInt64LittleEndian(bytes)
            : throw new KvException(
                KvErrorKind.Type,
                $"The counter {KvKey.FromStored(mutation.Key)} has {cell.Value?.Length ?? 0} bytes; a 64-bit counter has 8. "
                + "Set it to a ulong first.");
    }

    private static ulong SumWithin(in Mutation mutation, ulong present)
    {
        var bounds = mutation.Bounds!;
        var sum = (Int128)present + bounds.Delta;
        if (sum >= bounds.Min && sum <= bounds.Max)
        {
            return (ulong)sum;
        }

        if (!bounds.Clamp)
        {
            throw new KvException(
                KvErrorKind.Range,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The result of a Sum operation would exceed its range limit: {KvKey.FromStored(mutation.Key)} would become {sum}, ")
                + string.Create(CultureInfo.InvariantCulture, $"outside {bounds.Min}..{bounds.Max}. Clamp it, or handle the refusal."));
        }

        return sum < bounds.Min ? bounds.Min : bounds.Max;
    }
}
