// Opens what was filled and reads one row. How long that takes from the start of the process is measured from outside.
using Kv.Benchmarks.Systems;

var target = new Target(args[1], args[2], args[3]);
await using KeyValueSystem system = args[0] switch
{
    "efkv" => new EfKvSystem(target),
    "raw" => new RawSystem(target),
    "ef" => new PlainEfSystem(target),
    _ => throw new ArgumentException($"There is no system '{args[0]}'.", nameof(args)),
};
await system.OpenAsync();
Console.WriteLine("answered");
