using System.Buffers.Binary;

namespace Kv.Benchmarks.Systems;

/// <summary>What is measured: the same operations over the same rows, as each system does them.</summary>
public abstract class BenchSystem : IAsyncDisposable
{
    public const int Rows = 100_000;
    public const int SmallRows = 5_000;

    public static readonly byte[] Value = MakeValue();

    /// <summary>Makes the tables and fills them.</summary>
    public abstract Task SetUpAsync(int rows);

    /// <summary>Opens what <see cref="SetUpAsync"/> has filled.</summary>
    public abstract Task OpenAsync();

    public abstract Task GetAsync(long row);

    public abstract Task<int> ListAsync(long from, int count);

    public abstract Task SetAsync(long row);

    /// <summary>Reads a row and replaces it if nobody came between.</summary>
    public abstract Task CheckAndSetAsync(long row);

    public abstract Task SumAsync(int counter);

    public abstract Task SetTenAsync(long row);

    public abstract ValueTask DisposeAsync();

    public Func<Random, Task> Operation(string name, int rows) => name switch
    {
        "get" => random => GetAsync(random.Next(rows)),
        "list100" => random => ListAsync(random.Next(rows - 100), 100),
        "set" => random => SetAsync(random.Next(rows)),
        "check+set" => random => CheckAndSetAsync(random.Next(rows)),
        "sum" => random => SumAsync(random.Next(16)),
        "set10" => random => SetTenAsync(random.Next(rows - 10)),
        _ => throw new ArgumentException($"There is no operation '{name}'. Use one of: {string.Join(", ", Operations)}.", nameof(name)),
    };

    public static IReadOnlyList<string> Operations { get; } = ["get", "list100", "set", "check+set", "sum", "set10"];

    /// <summary>The key of a row as the store encodes it, so that all systems have keys of one size.</summary>
    protected static byte[] KeyOf(long row)
    {
        KvKey key = ["bench", row];
        return key.Encoded.ToArray();
    }

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

    private static byte[] MakeValue()
    {
        var value = new byte[100];
        new Random(1).NextBytes(value);
        return value;
    }
}
