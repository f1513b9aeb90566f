using System.Diagnostics;
using System.Runtime.CompilerServices;
using Kv.Benchmarks.Systems;
using Npgsql;

namespace Kv.Benchmarks;

/// <summary>The programs that measure: this one again, or a peer's.</summary>
public static class Programs
{
    private static string Peers => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", "peers"));

    private static string Deno => Path.Combine(Peers, "node_modules", ".bin", "deno");

    public static ProcessStartInfo Dotnet(IEnumerable<string> arguments) => new("dotnet", [typeof(Programs).Assembly.Location, .. arguments]);

    public static ProcessStartInfo Measuring(string system, string[] arguments) => system switch
    {
        "deno" => new ProcessStartInfo(Deno, ["run", "-A", "--unstable-kv", Path.Combine(Peers, "deno-kv.mjs"), .. arguments]),
        "denokv-node" => new ProcessStartInfo("node", [Path.Combine(Peers, "deno-kv.mjs"), .. arguments]),
        "graphile-worker" or "pg-boss" => new ProcessStartInfo("node", [Path.Combine(Peers, $"{system}.mjs"), .. arguments, "--connection", ServerAddress()]),
        _ => Dotnet(["measure", .. arguments]),
    };

    /// <summary>Starts a program whose output is read. What it says about errors goes where ours goes.</summary>
    public static Process Start(ProcessStartInfo program)
    {
        (program.UseShellExecute, program.RedirectStandardOutput) = (false, true);
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
                "efkv" or "raw" or "ef" => null,
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
        using var npm = Start(new ProcessStartInfo("npm", ["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel", "error"]) { WorkingDirectory = Peers });
        var output = await npm.StandardOutput.ReadToEndAsync();
        await npm.WaitForExitAsync();
        return npm.ExitCode == 0 ? null : $"npm install failed in bench/peers: {output}";
    }

    private static string ServerAddress()
    {
        var server = new NpgsqlConnectionStringBuilder(Target.Server);
        var password = server.Password is { } word ? $":{Uri.EscapeDataString(word)}" : "";
        return $"postgres://{Uri.EscapeDataString(server.Username ?? "postgres")}{password}@{server.Host}:{server.Port}/{server.Database}";
    }

    private static string ThisFile([CallerFilePath] string path = "") => path;
}
