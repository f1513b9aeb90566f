using BenchmarkDotNet.Attributes;

namespace Kv.Benchmarks.Micro;

/// <summary>What a value costs before the database sees it.</summary>
public class ValueBenchmarks
{
    private readonly KvJsonSerializer _serializer = new();
    private readonly Person _person = new("Ada Lovelace", 36, ["mathematics", "poetry"]);
    private readonly byte[] _bytes = new byte[100];
    private KvValue _json = null!;

    [GlobalSetup]
    public void SetUp() => _json = _serializer.Serialize(_person);

    [Benchmark]
    public KvValue SerializeJson() => _serializer.Serialize(_person);

    [Benchmark]
    public Person? DeserializeJson() => _serializer.Deserialize<Person>(_json);

    [Benchmark]
    public KvValue SerializeBytes() => _serializer.Serialize(_bytes);

    [Benchmark]
    public KvValue SerializeNumber() => KvValue.FromUInt64(42);

    public sealed record Person(string Name, int Age, IReadOnlyList<string> Interests);
}
