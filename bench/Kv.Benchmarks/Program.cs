using System.Diagnostics;
using System.Globalization;
using Kv.Benchmarks;

// run      measures everything, each measurement in a process of its own, the systems in turn, and prints the table
// measure  is such a process: it prints one line of JSON
var settings = Settings.Parse(args);
switch (args.FirstOrDefault())
{
    case "measure":
        await MeasureAsync();
        break;
    case "run" or null:
        await RunAsync();
        break;
    default:
        Console.Error.WriteLine("usage: Kv.Benchmarks [run | measure] [--small] [--rounds N] [--seconds S] [--databases sqlite,postgres] [--systems efkv,raw,ef] [--ops get,set,...] [--callers 1,64]");
        return 2;
}

return 0;

async Task MeasureAsync()
{
    await using var system = settings.Create(settings.Systems[0], settings.Databases[0]);
    if (settings.SetUp)
    {
        await system.SetUpAsync(settings.Rows);
        return;
    }

    await system.OpenAsync();
    var (perSecond, median, slowest, allocated) =
        await Load.RunAsync(system.Operation(settings.Operations[0], settings.Rows), settings.Callers[0], settings.Time);
    Console.WriteLine(new Measurement(
        settings.Systems[0], settings.Databases[0], settings.Operations[0], settings.Callers[0], perSecond, median, slowest, allocated).ToLine());
}

async Task RunAsync()
{
    var folder = Directory.CreateTempSubdirectory("efkv-bench-").FullName;
    List<Measurement> measurements = [];
    try
    {
        foreach (var database in settings.Databases.Where(Settings.IsThere))
        {
            foreach (var system in settings.Systems)
            {
                await StartAsync(folder, database, system, "get", 1, "--setup");
            }

            for (var round = 0; round < settings.Rounds; round++)
            {
                foreach (var operation in settings.Operations)
                {
                    foreach (var callers in settings.Callers)
                    {
                        foreach (var system in settings.Systems)
                        {
                            measurements.AddRange(await StartAsync(folder, database, system, operation, callers));
                        }
                    }
                }
            }
        }
    }
    finally
    {
        Directory.Delete(folder, recursive: true);
    }

    Table.Print(measurements, settings.Systems);
}

async Task<List<Measurement>> StartAsync(string folder, string database, string system, string operation, int callers, params string[] more)
{
    string[] arguments =
    [
        typeof(Settings).Assembly.Location, "measure", "--databases", database, "--systems", system, "--ops", operation,
        "--callers", callers.ToString(CultureInfo.InvariantCulture), "--seconds", settings.Time.TotalSeconds.ToString(CultureInfo.InvariantCulture),
        "--rows", settings.Rows.ToString(CultureInfo.InvariantCulture), "--folder", folder, .. more,
    ];
    using var process = Process.Start(new ProcessStartInfo("dotnet", arguments) { UseShellExecute = false, RedirectStandardOutput = true })!;
    var output = await process.StandardOutput.ReadToEndAsync();
    await process.WaitForExitAsync();
    if (process.ExitCode != 0)
    {
        throw new InvalidOperationException($"{system} {operation} by {callers} on {database} ended with {process.ExitCode}: {output}");
    }

    return [.. output.Split('\n').Select(Measurement.TryParse).OfType<Measurement>()];
}
