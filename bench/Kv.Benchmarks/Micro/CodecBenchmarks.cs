using BenchmarkDotNet.Attributes;

namespace Kv.Benchmarks.Micro;

/// <summary>What a key costs before the database sees it.</summary>
public class CodecBenchmarks
{
    private readonly KvKey _key = ["users", 42L, "orders", 20260301L];
    private readonly KvKey _other = ["users", 42L, "orders", 20260302L];

    [Benchmark]
    public int Encode()
    {
        KvKey key = ["users", 42L, "orders", 20260301L];
        return key.Encoded.Length;
    }

    [Benchmark]
    public long Decode() => KvKey.FromEncoded(_key.Encoded.Span)[3].AsInt64();

    [Benchmark]
    public string ToText() => _key.ToString();

    [Benchmark]
    public int Compare() => _key.CompareTo(_other);
}
