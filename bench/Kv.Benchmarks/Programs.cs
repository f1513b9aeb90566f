using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Kv.Benchmarks.Systems;
using Npgsql;

namespace Kv.Benchmarks;

/// <summary>The programs that measure: this one again, or a peer's.</summary>
public static class Programs
{
    private static string Peers => Beside("peers");

    private static string Deno => Path.Combine(Peers, "node_modules", ".bin", "deno");

    private static Task<string?>? _built;

    private static string OutboxPeers => Path.Combine(Beside("Kv.OutboxPeers"), "bin", "Release", "net10.0", "Kv.OutboxPeers.dll");

    /// <summary>The program of <see cref="Plan.Before"/>.</summary>
    private static string? OtherBuild => Environment.GetEnvironmentVariable("EFKV_BENCH_BEFORE");

    public static ProcessStartInfo Dotnet(IEnumerable<string> arguments) => new("dotnet", [typeof(Programs).Assembly.Location, .. arguments]);

    public static ProcessStartInfo Measuring(string system, string[] arguments) => system switch
    {
        "deno" => new ProcessStartInfo(Deno, ["run", "-A", "--unstable-kv", Path.Combine(Peers, "deno-kv.mjs"), .. arguments]),
        "denokv-node" => new ProcessStartInfo("node", [Path.Combine(Peers, "deno-kv.mjs"), .. arguments]),
        "graphile-worker" or "pg-boss" => new ProcessStartInfo("node", [Path.Combine(Peers, $"{system}.mjs"), .. arguments, "--connection", ServerAddress()]),
        _ when Plan.IsOutboxPeer(system) => new ProcessStartInfo("dotnet", [OutboxPeers, "measure", .. arguments]),
        Plan.Before => new ProcessStartInfo("dotnet", [OtherBuild!, "measure", .. arguments]),
        _ => Dotnet(["measure", .. arguments]),
    };

    /// <summary>The program that opens a system's database, reads one row and says so.</summary>
    public static ProcessStartInfo Starting(string system, Case @case, string folder, string[] arguments) => Plan.IsOurs(system)
        ? new(Path.Combine(folder, "startup", "Kv.Startup"), [system, @case.In.Database, folder, Target.NameOf(system, @case)])
        {
            // For a start that could only be published without its own runtime.
            Environment = { ["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..")) },
        }
        : Measuring(system, arguments);

    /// <summary>Publishes that program into the folder of a run, compiled ahead of time if the package feed has the compiler and the runtime for it.</summary>
    public static async Task PublishAsync(string folder)
    {
        string[] arguments =
        [
            "publish", Beside("Kv.Startup"), "-c", "Release", "--use-current-runtime", "-o", Path.Combine(folder, "startup"),
            "--artifacts-path", Path.Combine(folder, "artifacts"), "-v", "quiet", "-nodeReuse:false", "-p:UseSharedCompilation=false",
        ];
        var (published, output) = await RunAsync(new ProcessStartInfo("dotnet", arguments));
        if (!published)
        {
            Console.Error.WriteLine($"The start is measured without code that was compiled ahead of time: {output}");
            (published, output) = await RunAsync(new ProcessStartInfo("dotnet", [.. arguments, "--self-contained", "false", "-p:PublishReadyToRun=false"]));
        }

        if (!published)
        {
            throw new InvalidOperationException($"Kv.Startup cannot be published: {output}");
        }
    }

    /// <summary>Starts a program whose output is read. What it says about errors goes where ours goes.</summary>
    /// <param name="program">What is run.</param>
    /// <param name="input">Whether it is told something meanwhile.</param>
    public static Process Start(ProcessStartInfo program, bool input = false)
    {
        (program.UseShellExecute, program.RedirectStandardOutput, program.RedirectStandardInput) = (false, true, input);
        return Process.Start(program)!;
    }

    /// <summary>Makes a system ready to be run.</summary>
    /// <returns>Why it cannot be; null if it is.</returns>
    public static async Task<string?> PrepareAsync(string system)
    {
        try
        {
            return system switch
            {
                Plan.Before => File.Exists(OtherBuild) ? null : "EFKV_BENCH_BEFORE is not the path of another build's Kv.Benchmarks.dll",
                _ when Plan.IsOurs(system) => null,
                _ when Plan.IsOutboxPeer(system) => await (_built ??= BuildAsync()),
                "pgbench" => Pgbench.Find() is null ? "there is no pgbench on the PATH nor beside the PostgreSQL programs" : null,
                _ => await InstallAsync(),
            };
        }
        catch (Exception error) when (error is System.ComponentModel.Win32Exception or IOException)
        {
            return error.Message;
        }
    }

    /// <summary>The file of a peer's script.</summary>
    public static string Script(string name) => Path.Combine(Peers, name);

    // The versions are pinned in package.json. No lock file: it would name the registry that the packages came from.
    private static async Task<string?> InstallAsync()
    {
        if (File.Exists(Deno) && Directory.Exists(Path.Combine(Peers, "node_modules", "pg-boss")))
        {
            return null;
        }

        Console.Error.WriteLine("Installing the peers with npm into bench/peers/node_modules.");
        var (installed, output) = await RunAsync(
            new ProcessStartInfo("npm", ["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel", "error"]) { WorkingDirectory = Peers });
        return installed ? null : $"npm install failed in bench/peers: {output}";
    }

    // Without this program, which runs.
    private static async Task<string?> BuildAsync()
    {
        if (File.Exists(OutboxPeers))
        {
            return null;
        }

        Console.Error.WriteLine("Building bench/Kv.OutboxPeers.");
        var project = Beside("Kv.OutboxPeers");
        string[] quiet = ["--nologo", "-v", "quiet", "-nodeReuse:false"];
        var (built, output) = await RunAsync(new ProcessStartInfo("dotnet", ["restore", project, .. quiet]));
        if (built)
        {
            (built, output) = await RunAsync(new ProcessStartInfo(
                "dotnet", ["build", project, "-c", "Release", "--no-restore", "--no-dependencies", "-p:RunAnalyzers=false", "-p:UseSharedCompilation=false", .. quiet]));
        }

        return built ? null : $"bench/Kv.OutboxPeers cannot be built: {output}";
    }

    private static async Task<(bool Succeeded, string Output)> RunAsync(ProcessStartInfo program)
    {
        using var process = Start(program);
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode == 0, output);
    }

    private static string ServerAddress()
    {
        var server = new NpgsqlConnectionStringBuilder(Target.Server);
        var password = server.Password is { } word ? $":{Uri.EscapeDataString(word)}" : "";
        return $"postgres://{Uri.EscapeDataString(server.Username ?? "postgres")}{password}@{server.Host}:{server.Port}/{server.Database}";
    }

    private static string Beside(string folder) => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", folder));

    private static string ThisFile([CallerFilePath] string path = "") => path;
}
