// Measures how often a peer commits an entity and a message together. bench/Kv.Benchmarks starts it, and reads a line of JSON for each
// case.
using Kv.Benchmarks;
using Kv.Benchmarks.Systems;
using Kv.OutboxPeers;

var settings = new Settings(args);
var system = settings.Systems![0];
foreach (var @case in settings.Cases)
{
    var target = new Target(@case.In.Database, settings.Folder, $"{system}-queue");
    OutboxSystem outbox = system switch
    {
        "wolverine" => new WolverineOutbox(target),
        "cap" => new CapOutbox(target),
        _ => throw new ArgumentException($"There is no system '{system}'. Use wolverine or cap.", nameof(args)),
    };
    var result = await Measuring.OutboxAsync(outbox, @case, settings);
    Console.WriteLine(new Measurement(
        system, @case.Operation, @case.In, result.PerSecond, result.Median, result.Slowest, result.Allocated).ToLine());
}
