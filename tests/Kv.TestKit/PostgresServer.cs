using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace Kv.TestKit;

/// <summary>
/// A PostgreSQL server for tests: the one that EFKV_TEST_POSTGRES names, else a container where a Docker engine is, else a throw-away
/// cluster made with the server's programs, where they are installed. One for a test process.
/// </summary>
public sealed class PostgresServer
{
    public const string Variable = "EFKV_TEST_POSTGRES";

    public const string Missing =
        $"PostgreSQL is missing. Install the server (apt-get install postgresql, brew install postgresql), or start Docker, or set {Variable} to a connection string.";

    private static readonly Lazy<Task<PostgresServer?>> Shared = new(StartAsync);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private PostgresServer(string connectionString, bool isOwn) => (ConnectionString, IsOwn) = (connectionString, isOwn);

    /// <summary>To a database that is there already, as a user who may create others.</summary>
    public string ConnectionString { get; }

    /// <summary>Whether the server is the kit's own and ends with this process, with all that is on it.</summary>
    public bool IsOwn { get; }

    public static Task<PostgresServer?> FindAsync() => Shared.Value;

    private static async Task<PostgresServer?> StartAsync()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
        {
            return new PostgresServer(named, isOwn: false);
        }

#if USE_TESTCONTAINERS
        if (await PostgresContainer.TryStartAsync() is { } container)
        {
            return new PostgresServer(container, isOwn: true);
        }
#endif
        return FindPrograms() is { } programs ? await StartClusterAsync(programs) : null;
    }

    private static string? FindPrograms()
    {
        var folders = new List<string?> { TryRun("pg_config", "--bindir") };
        folders.AddRange((Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator));
        foreach (var root in new[] { "/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt", "/usr/pgsql" })
        {
            if (Directory.Exists(root))
            {
                folders.AddRange(Directory.GetDirectories(root).OrderDescending(StringComparer.Ordinal).Select(static folder => Path.Combine(folder, "bin")));
            }
        }

        return folders.Find(static folder => folder is { Length: > 0 } && Has(folder, "postgres") && Has(folder, "initdb"));

        static bool Has(string folder, string program) =>
            File.Exists(Path.Combine(folder, program)) || File.Exists(Path.Combine(folder, program + ".exe"));
    }

    private static async Task<PostgresServer?> StartClusterAsync(string programs)
    {
        var folder = Directory.CreateTempSubdirectory("efkv-pg-").FullName;
        var data = Path.Combine(folder, "data");
        var port = FreePort();

        // A server refuses to run as root, so root hands the cluster to the user that the package made.
        var asUser = Environment.UserName == "root" && !OperatingSystem.IsWindows() ? "runuser -u postgres -- " : "";
        if (asUser.Length > 0)
        {
            await RunAsync("chown", ["postgres", folder]);
        }

        await RunAsync("/bin/sh", ["-c", $"{asUser}{programs}/initdb -D {data} -U postgres -A trust -E UTF8 --locale=C"]);

        // The shell ends the server and removes the cluster when its own input ends, which it does however this process ends.
        var options = $"-D {data} -p {port} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=300 -c shared_buffers=256MB";
        var server = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", $"cd /; {asUser}{programs}/postgres {options} >{folder}.log 2>&1 & cat >/dev/null; {asUser}{programs}/pg_ctl -D {data} -m immediate stop >/dev/null 2>&1; rm -rf {folder} {folder}.log"])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
        })!;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => server.StandardInput.Close();

        var connectionString = new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1",
            Port = port,
            Username = "postgres",
            Database = "postgres",
        }.ConnectionString;
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                await using var connection = new NpgsqlConnection(connectionString);
                await connection.OpenAsync();
                return new PostgresServer(connectionString, isOwn: true);
            }
            catch (NpgsqlException) when (TimeProvider.System.GetElapsedTime(started) < Patience)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
            }
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static async Task RunAsync(string program, string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {await output}{errors}");
        }
    }

    private static string? TryRun(string program, string argument)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, argument) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
            var output = process.StandardOutput.ReadToEnd().Trim();
            process.WaitForExit();
            return process.ExitCode == 0 ? output : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
