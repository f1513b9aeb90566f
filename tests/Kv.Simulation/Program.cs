using System.Diagnostics;
using Kv.Simulated;

// dotnet run --project tests/Kv.Simulation -- [--seeds 200] [--from 1] [--seed 7] [--steps 60] [--provider sqlite|postgres]
SimulationOptions options;
try
{
    options = SimulationOptions.Parse(args);
}
catch (ArgumentException error)
{
    await Console.Error.WriteLineAsync(error.Message);
    return 2;
}

var since = Stopwatch.GetTimestamp();
var failed = await Seeds.RunAsync(options, Console.Out, CancellationToken.None);
await Console.Out.WriteLineAsync($"{options.Count} seeds, {failed} failed, {Stopwatch.GetElapsedTime(since).TotalSeconds:0.0} s.");
return failed == 0 ? 0 : 1;
