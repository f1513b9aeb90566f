using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace Kv.TestKit;

/// <summary>A throw-away cluster in a temporary folder, on a port of its own, gone with this process however it ends.</summary>
/// <remarks>It writes as durably as a server in production (fsync and synchronous_commit stay on): the tests are about what survives.</remarks>
internal sealed class PostgresCluster : IAsyncDisposable
{
    private const int Attempts = 3;

    // Makes the cluster, or one that repeats another, waits until its input ends, which it does however the process at the other end ends, and removes the cluster.
    // In one script, so that nothing is being made while it is removed. It ignores what a terminal or a test runner sends to the whole
    // group of processes. Not syncing the files that initdb writes is safe for a cluster that does not outlive the machine's next crash.
    private const string GuardScript = """
        trap '' INT TERM HUP
        folder=$1 programs=$2 repeated=$3; shift 3
        if [ -z "$repeated" ]; then
            "$@" "$programs/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C --no-sync 2>&1 </dev/null && echo made
        else
            "$@" "$programs/pg_basebackup" -D "$folder/data" -d "$repeated" -R -X stream -c fast --no-sync 2>&1 </dev/null && echo made
        fi
        exec >/dev/null 2>&1
        cat
        "$@" "$programs/pg_ctl" -D "$folder/data" -m immediate -w stop
        rm -rf "$folder"
        """;

    private readonly string _folder;
    private readonly string[] _asOwner;
    private readonly string _programs;
    private readonly Process _guard;

    private PostgresCluster(string programs, string repeated)
    {
        _programs = programs;
        _folder = Directory.CreateTempSubdirectory("efkv-pg-").FullName;

        // A server refuses to run as root, so root hands the cluster to the user that the package made.
        _asOwner = Environment.IsPrivilegedProcess ? ["runuser", "-u", "postgres", "--"] : [];

        if (_asOwner.Length > 0)
        {
            Shell.Run("chown", "postgres", _folder);
        }

        // A session of its own keeps the guard alive when the test's whole group is killed. macOS has no setsid and goes without.
        string[] session = File.Exists("/usr/bin/setsid") ? ["/usr/bin/setsid"] : [];
        string[] command = [.. session, "/bin/sh", "-c", GuardScript, "guard", _folder, programs, repeated, .. _asOwner];
        _guard = Process.Start(new ProcessStartInfo(command[0], command[1..])
        {
            UseShellExecute = false,
            WorkingDirectory = "/",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        AppDomain.CurrentDomain.ProcessExit += OnProcessExit;
    }

    public string ConnectionString { get; private set; } = "";

    private string Data => Path.Combine(_folder, "data");

    private string Log => Path.Combine(_folder, "log");

    /// <summary>A cluster of its own.</summary>
    public static Task<PostgresCluster> StartAsync(string programs) => StartAsync(programs, repeated: "");

    /// <summary>A cluster that repeats this one by streaming replication, and serves reads.</summary>
    public Task<PostgresCluster> StartStandbyAsync()
    {
        var address = new NpgsqlConnectionStringBuilder(ConnectionString);
        return StartAsync(_programs, $"host={address.Host} port={address.Port} user={address.Username}");
    }

    private static async Task<PostgresCluster> StartAsync(string programs, string repeated)
    {
        var cluster = new PostgresCluster(programs, repeated);
        try
        {
            await Task.Run(cluster.Initialize);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    public Task StopAsync() => Task.Run(() => Control("-m", "fast", "stop"));

    public Task StartAsync() => Task.Run(() => Control("start"));

    /// <summary>Has a cluster that repeats another one take writes from now on.</summary>
    public Task PromoteAsync() => Task.Run(() => Control("promote"));

    /// <summary>Ends all processes of the server at once, as a machine ends that loses its power.</summary>
    public Task KillAsync() => Task.Run(() =>
    {
        var server = File.ReadLines(Path.Combine(Data, "postmaster.pid")).First();
        var children = Shell.Run("/bin/sh", "-c", $"ps -o pid= --ppid {server} || true").Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
        Shell.Run("/bin/sh", "-c", $"kill -9 {server} {string.Join(' ', children)} || true");
    });

    public Task RestartImmediateAsync() => Task.Run(() => Control("-m", "immediate", "restart"));

    public async ValueTask DisposeAsync()
    {
        AppDomain.CurrentDomain.ProcessExit -= OnProcessExit;
        _guard.StandardInput.Close();
        await _guard.WaitForExitAsync();
        _guard.Dispose();
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private void Initialize()
    {
        var output = _guard.StandardOutput.ReadToEnd();
        if (!output.EndsWith("made\n", StringComparison.Ordinal))
        {
            throw new InvalidOperationException($"No PostgreSQL cluster could be made with {_programs}/initdb: {output}");
        }

        for (var attempt = 1; ; attempt++)
        {
            // Between asking for a free port and listening on it, another process may take it.
            var port = FreePort();
            File.AppendAllText(Path.Combine(Data, "postgresql.conf"), $"""

                port = {port}
                listen_addresses = '127.0.0.1'
                unix_socket_directories = ''
                max_connections = 300
                shared_buffers = 256MB

                """);
            try
            {
                Control("start");
            }
            catch (InvalidOperationException error)
            {
                if (attempt < Attempts)
                {
                    continue;
                }

                throw new InvalidOperationException($"{error.Message}{Environment.NewLine}{(File.Exists(Log) ? File.ReadAllText(Log) : "")}", error);
            }

            ConnectionString = new NpgsqlConnectionStringBuilder
            {
                Host = "127.0.0.1",
                Port = port,
                Username = "postgres",
                Database = "postgres",
            }.ConnectionString;
            return;
        }
    }

    private void Control(params string[] arguments)
    {
        string[] command = [.. _asOwner, Path.Combine(_programs, "pg_ctl"), "-D", Data, "-l", Log, "-w", .. arguments];
        Shell.Run(command[0], command[1..]);
    }

    private void OnProcessExit(object? sender, EventArgs e)
    {
        _guard.StandardInput.Close();
        _guard.WaitForExit(TimeSpan.FromSeconds(10));
    }
}
