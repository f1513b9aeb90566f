using System.Buffers.Binary;

namespace Kv.Benchmarks.Systems;

/// <summary>What is measured: the same operations over the same rows, as each system does them.</summary>
public abstract class KeyValueSystem : IAsyncDisposable
{
    public const int SmallValue = 100;
    public const int LargeValue = 10 * 1024;
    private const int Counters = 16;

    /// <summary>The name that the rows in use have in their keys: those with large values are apart from the others.</summary>
    protected string Range { get; private set; } = "bench";

    protected byte[] Value { get; private set; } = MakeValue(SmallValue);

    /// <summary>Makes the tables and fills them.</summary>
    public abstract Task SetUpAsync(int rows);

    /// <summary>Opens what <see cref="SetUpAsync"/> has filled.</summary>
    public abstract Task OpenAsync();

    public abstract ValueTask GetAsync(long row);

    /// <summary>Reads ten rows that lie apart, in one call.</summary>
    public abstract ValueTask GetTenAsync(long row, int step);

    public abstract ValueTask<int> ListAsync(long from, int count);

    public abstract ValueTask SetAsync(long row);

    /// <summary>Reads a row and replaces it if nobody came between.</summary>
    public abstract ValueTask CheckAndSetAsync(long row);

    public abstract ValueTask SumAsync(int counter);

    public abstract ValueTask SetTenAsync(long row);

    public abstract ValueTask DisposeAsync();

    /// <summary>Rows that have values of a size, given the rows with small ones.</summary>
    public static int RowsOf(int value, int rows) => value == SmallValue ? rows : Math.Max(rows / 100, 20);

    public Func<Random, ValueTask> Operation(Case @case)
    {
        var (_, _, size, all, _, _) = @case.In;
        var rows = RowsOf(size, all);
        (Range, Value) = (RangeOf(size), MakeValue(size));
        return @case.Operation switch
        {
            "get" => random => GetAsync(random.Next(rows)),
            "getmany10" => random => GetTenAsync(random.Next(rows / 10), rows / 10),
            "list100" => random => ListAllAsync(random, rows, 100),
            "list1000" => random => ListAllAsync(random, rows, 1000),
            "set" => random => SetAsync(random.Next(rows)),
            "check+set" => random => CheckAndSetAsync(random.Next(rows)),
            "sum" => random => SumAsync(random.Next(Counters)),
            "set10" => random => SetTenAsync(random.Next(rows - 10)),
            "mixed" => random => random.Next(10) == 0 ? SetAsync(random.Next(rows)) : GetAsync(random.Next(rows)),
            _ => throw new ArgumentException($"There is no operation '{@case.Operation}'.", nameof(@case)),
        };
    }

    /// <summary>The rows that every database has at the start, under keys of one size.</summary>
    protected static IEnumerable<(byte[] Key, byte[] Value)> Seed(int rows)
    {
        foreach (var size in (int[])[SmallValue, LargeValue])
        {
            var value = MakeValue(size);
            for (var row = 0; row < RowsOf(size, rows); row++)
            {
                yield return (KeyOf(RangeOf(size), row), value);
            }
        }
    }

    /// <summary>The key of a row as the store encodes it.</summary>
    protected byte[] KeyOf(long row) => KeyOf(Range, row);

    protected static byte[] CounterKey(int counter)
    {
        KvKey key = ["counter", counter];
        return key.Encoded.ToArray();
    }

    protected static byte[] Add(byte[]? stored, ulong by)
    {
        var sum = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(sum, (stored is null ? 0 : BinaryPrimitives.ReadUInt64LittleEndian(stored)) + by);
        return sum;
    }

    private static string RangeOf(int value) => value == SmallValue ? "bench" : "large";

    private static byte[] KeyOf(string range, long row)
    {
        KvKey key = [range, row];
        return key.Encoded.ToArray();
    }

    private static byte[] MakeValue(int size)
    {
        var value = new byte[size];
        new Random(1).NextBytes(value);
        return value;
    }

    // A list that comes back short is a benchmark of something else.
    private async ValueTask ListAllAsync(Random random, int rows, int count)
    {
        count = Math.Min(count, rows / 2);
        var listed = await ListAsync(random.Next(rows - count), count);
        if (listed != count)
        {
            throw new InvalidOperationException($"{GetType().Name} listed {listed} of {count} rows.");
        }
    }
}
