using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Kv.Benchmarks.Systems;
using Npgsql;

namespace Kv.Benchmarks;

/// <summary>The physical yardstick: PostgreSQL's own load generator with single statements on the store's tables.</summary>
public sealed partial class Pgbench(Target target, Settings settings)
{
    public static string? Find()
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).ToList();
        if (Directory.Exists("/usr/lib/postgresql"))
        {
            folders.AddRange(Directory.EnumerateDirectories("/usr/lib/postgresql").Select(static version => Path.Combine(version, "bin")));
        }

        return folders.Select(static folder => Path.Combine(folder, "pgbench")).LastOrDefault(File.Exists);
    }

    /// <summary>Rows like the store's, under keys that pgbench can make: a number of 8 bytes behind the name.</summary>
    public async Task SetUpAsync(int rows)
    {
        await new EfKvQueue(target).SetUpAsync();
        await using var connection = await target.OpenAsync();
        await Seeder.RunAsync(connection, $"""
            insert into kv (k, v, v_encoding, version)
            select '\x0262656e636800'::bytea || int8send(row), decode(repeat('5a', {KeyValueSystem.SmallValue}), 'hex'), 3, 1 from generate_series(0, {rows - 1}) as row
            """);
        await Seeder.RunAsync(connection, "vacuum analyze kv");
        await Seeder.RunAsync(connection, "checkpoint");
    }

    public async Task<Result> RunAsync(Case @case)
    {
        if (@case.In.Rows == 0)
        {
            await SetUpAsync(rows: 1);
        }

        if (settings.WarmUp >= TimeSpan.FromSeconds(1))
        {
            await RunAsync(@case, settings.WarmUp);
            await Task.Delay(settings.Rest, TimeProvider.System);
        }

        return await RunAsync(@case, settings.Time);
    }

    private async Task<Result> RunAsync(Case @case, TimeSpan time)
    {
        var server = new NpgsqlConnectionStringBuilder(target.ConnectionString);
        var logs = Directory.CreateTempSubdirectory("efkv-pgbench-");
        try
        {
            // It counts in whole seconds.
            var seconds = (int)Math.Ceiling(time.TotalSeconds);
            var program = new ProcessStartInfo(Find()!,
            [
                "--no-vacuum", "--protocol", "prepared", "--client", Text(@case.In.Callers), "--jobs", Text(Math.Min(@case.In.Callers, Environment.ProcessorCount)),
                "--time", Text(seconds), "--define", $"rows={@case.In.Rows}", "--file", Programs.Script($"pgbench/{@case.Operation}.sql"),
                "--log", "--log-prefix", Path.Combine(logs.FullName, "log"),
                "--host", server.Host!, "--port", Text(server.Port), "--username", server.Username ?? "postgres", server.Database!,
            ]);
            if (server.Password is { } password)
            {
                program.Environment["PGPASSWORD"] = password;
            }

            using var process = Programs.Start(program);
            var output = await process.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            var rate = Rate().Match(output);
            return process.ExitCode == 0 && rate.Success
                ? Result.Of(await LatenciesAsync(logs), double.Parse(rate.Groups["rate"].Value, CultureInfo.InvariantCulture))
                : throw new InvalidOperationException($"pgbench ended with {process.ExitCode}: {output}");
        }
        finally
        {
            logs.Delete(recursive: true);
        }
    }

    // Lines of client, transaction, microseconds, and more.
    private static async Task<Latencies> LatenciesAsync(DirectoryInfo logs)
    {
        var latencies = new Latencies();
        foreach (var file in logs.EnumerateFiles())
        {
            await foreach (var line in File.ReadLinesAsync(file.FullName))
            {
                latencies.Add(TimeSpan.FromMicroseconds(double.Parse(line.Split(' ')[2], CultureInfo.InvariantCulture)));
            }
        }

        return latencies;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex("tps = (?<rate>[0-9.]+)", RegexOptions.CultureInvariant)]
    private static partial Regex Rate();
}
