namespace Kv.Simulated;

/// <summary>Runs seeds one after the other.</summary>
public static class Seeds
{
    /// <summary>How much of the log of a seed that fails is shown.</summary>
    private const int Tail = 25;

    /// <summary>Runs seeds, and writes of each that fails what it takes to run it again.</summary>
    /// <param name="options">Which.</param>
    /// <param name="output">Where to.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>How many failed.</returns>
    public static async Task<int> RunAsync(SimulationOptions options, TextWriter output, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(output);
        var failed = 0;
        for (var seed = options.First; seed < options.First + options.Count; seed++)
        {
            var (log, error) = await RunAsync(seed, options, cancellationToken);
            failed += error is null ? 0 : 1;
            if (error is not null || options.IsVerbose)
            {
                foreach (var line in options.IsVerbose ? log : log.TakeLast(Tail))
                {
                    await output.WriteLineAsync(line);
                }
            }

            if (error is not null)
            {
                await output.WriteLineAsync(
                    $"Seed {seed} failed in step {log.Count}: {(error is SimulationFailedException ? error.Message : error)}\n"
                    + $"Again: dotnet run --project tests/Kv.Simulation -- --seed {seed} --steps {options.Steps} "
                    + $"--provider {options.Provider}");
            }
        }

        return failed;
    }

    /// <summary>Runs one seed.</summary>
    /// <param name="seed">Which.</param>
    /// <param name="options">On what, and how long.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What happened, and why it failed; null if it did not.</returns>
    public static async Task<(IReadOnlyList<string> Log, Exception? Error)> RunAsync(
        int seed, SimulationOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        await using var simulation = new Simulation(seed, options.Database, cancellationToken);
        try
        {
            await simulation.RunAsync(options.Steps, options.Tampers);
            return (simulation.Log, null);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            return (simulation.Log, error);
        }
    }
}
