using Npgsql;

namespace Kv.TestKit;

/// <summary>
/// A PostgreSQL server for tests: the one that EFKV_TEST_POSTGRES names, else a container where a Docker engine is, else a throw-away
/// cluster made with the server's programs, where they are installed. One for a test process.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    /// <summary>Names a connection string to a server whose user may create databases, or is "none": do not look for a server.</summary>
    public const string Variable = "EFKV_TEST_POSTGRES";

    public const string Missing =
        $"PostgreSQL is missing. Install the server (apt-get install postgresql, brew install postgresql), or start Docker, or set {Variable} to a connection string.";

    private const string ProgramsMissing =
        "This test stops its own PostgreSQL server and starts it again, so it needs the server's programs: apt-get install postgresql, brew install postgresql.";

    private static readonly Lazy<Task<PostgresServer?>> Shared = new(StartAsync);

    private readonly PostgresCluster? _cluster;

    private PostgresServer(string connectionString, bool isOwn) => (ConnectionString, IsOwn) = (connectionString, isOwn);

    private PostgresServer(PostgresCluster cluster)
        : this(cluster.ConnectionString, isOwn: true) => _cluster = cluster;

    /// <summary>To a database that is there already, as a user who may create others.</summary>
    public string ConnectionString { get; }

    /// <summary>Whether the server is the kit's own and ends with this process, with all that is on it.</summary>
    public bool IsOwn { get; }

    /// <summary>The server of this test process; null where there is none.</summary>
    public static Task<PostgresServer?> FindAsync() => Shared.Value;

    /// <summary>A further server that nobody else uses, so a test may crash it; null where its programs are not installed.</summary>
    public static async Task<PostgresServer?> StartPrivateAsync() =>
        !Refused && PostgresPrograms.Find() is { } programs ? new PostgresServer(await PostgresCluster.StartAsync(programs)) : null;

    /// <summary>A further server that repeats this one by streaming replication. Only for a private server.</summary>
    public async Task<PostgresServer> StartStandbyAsync() => new(await Own.StartStandbyAsync());

    /// <summary>Stops the server. Only for a private one.</summary>
    public async Task StopAsync()
    {
        await Own.StopAsync();
        Release();
    }

    /// <summary>Starts it again after it was stopped.</summary>
    public Task StartAgainAsync() => Own.StartAsync();

    /// <summary>Has a server that repeats another one take writes from now on.</summary>
    public Task PromoteAsync() => Own.PromoteAsync();

    /// <summary>Ends all processes of the server at once. Only for a private one.</summary>
    public async Task KillAsync()
    {
        await Own.KillAsync();
        Release();
    }

    private PostgresCluster Own =>
        _cluster ?? throw new InvalidOperationException("Only a server that this test process started can be stopped: use StartPrivateAsync.");

    /// <summary>Stops the server as a crash would, without a checkpoint, and starts it again. Only for a private server.</summary>
    public async Task RestartImmediateAsync()
    {
        await Own.RestartImmediateAsync();
        Release();
    }

    // Those of tests to their databases stay, broken, as an application would find them.
    private void Release()
    {
        using var connection = new NpgsqlConnection(ConnectionString);
        NpgsqlConnection.ClearPool(connection);
    }

    /// <summary>Ends every connection to one database, from the server's side.</summary>
    public async Task TerminateBackendsAsync(string database)
    {
        await using var connection = new NpgsqlConnection(ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()", connection);
        command.Parameters.Add(new NpgsqlParameter { Value = database });
        await command.ExecuteNonQueryAsync();
    }

    public ValueTask DisposeAsync() => _cluster?.DisposeAsync() ?? ValueTask.CompletedTask;

    /// <summary>Skips the running test where there is no server; under CI=true it fails, since a skipped test there is one that nobody runs.</summary>
    internal static PostgresServer Require(PostgresServer? server, bool ownPrograms)
    {
        if (server is not null)
        {
            return server;
        }

        var message = ownPrograms ? ProgramsMissing : Missing;
        Assert.SkipUnless(Environment.GetEnvironmentVariable("CI") == "true", message);
        Assert.Fail(message);
        return null;
    }

    private static bool Refused => Environment.GetEnvironmentVariable(Variable) == "none";

    private static async Task<PostgresServer?> StartAsync()
    {
        if (Refused)
        {
            return null;
        }

        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
        {
            return new PostgresServer(named, isOwn: false);
        }

        if (await PostgresContainer.TryStartAsync() is { } container)
        {
            return new PostgresServer(container, isOwn: true);
        }

        return await StartPrivateAsync();
    }
}
