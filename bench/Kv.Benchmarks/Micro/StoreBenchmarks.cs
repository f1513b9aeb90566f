using BenchmarkDotNet.Attributes;
using Kv.Benchmarks.Systems;

namespace Kv.Benchmarks.Micro;

/// <summary>Reads of one caller on SQLite, beside the driver.</summary>
public class StoreBenchmarks
{
    private const int Rows = 10_000;
    private readonly string _folder = Directory.CreateTempSubdirectory("efkv-micro-").FullName;
    private KeyValueSystem _system = null!;
    private long _row;

    [Params("efkv", "raw")]
    public string System { get; set; } = "";

    [GlobalSetup]
    public async Task SetUpAsync()
    {
        var target = new Target("sqlite", _folder, System);
        _system = System == "efkv" ? new EfKvSystem(target) : new RawSystem(target);
        await _system.SetUpAsync(Rows);
        await _system.OpenAsync();
    }

    [GlobalCleanup]
    public async Task CleanUpAsync()
    {
        await _system.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Benchmark]
    public ValueTask Get() => _system.GetAsync(Next());

    [Benchmark]
    public ValueTask GetMany10() => _system.GetTenAsync(Next() / 10, Rows / 10);

    [Benchmark]
    public ValueTask<int> List100() => _system.ListAsync(Next() / 2, 100);

    [Benchmark]
    public ValueTask<int> List1000() => _system.ListAsync(Next() / 2, 1000);

    // A stride that visits all rows, without the cost of a random number.
    private long Next() => _row = (_row + 7919) % Rows;
}
