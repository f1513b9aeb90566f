using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.Chaos;

/// <summary>The database of a run, which the run may break.</summary>
internal sealed class ChaosDatabase : IAsyncDisposable
{
    private readonly PostgresCluster? _cluster;

    private ChaosDatabase(string provider, string connection, PostgresCluster? cluster = null)
    {
        (Provider, Direct, _cluster) = (provider, connection, cluster);
        if (cluster is not null)
        {
            Proxy = new TcpProxy("127.0.0.1", new NpgsqlConnectionStringBuilder(connection).Port);
        }
    }

    public string Provider { get; }

    /// <summary>For the driver.</summary>
    public string Direct { get; }

    /// <summary>For the workers: PostgreSQL through a network that can be cut.</summary>
    public string ForWorkers => Proxy is null ? Direct : new NpgsqlConnectionStringBuilder(Direct) { Port = Proxy.Port }.ConnectionString;

    public TcpProxy? Proxy { get; }

    public static async Task<ChaosDatabase> CreateAsync(string provider, string folder)
    {
        if (provider == "sqlite")
        {
            return new ChaosDatabase(provider, $"Data Source={Path.Combine(folder, "chaos.db")}");
        }

        var programs = PostgresPrograms.Find()
            ?? throw new UsageException("There is no PostgreSQL server on this machine to be crashed. Install one: apt-get install postgresql.");
        var cluster = await PostgresCluster.StartAsync(programs);
        return new ChaosDatabase(provider, cluster.ConnectionString, cluster);
    }

    public void Configure(DbContextOptionsBuilder db) => _ = _cluster is null ? db.UseSqlite(Direct) : (DbContextOptionsBuilder)db.UseNpgsql(Direct);

    public Task CrashAsync() => _cluster!.RestartImmediateAsync();

    /// <summary>Ends some of the connections to the server.</summary>
    public async Task TerminateAsync(int count)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(Direct) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "select pg_terminate_backend(pid) from (select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() order by random() limit @count) b";
        command.Parameters.AddWithValue("count", count);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (Proxy is not null)
        {
            await Proxy.DisposeAsync();
        }

        if (_cluster is not null)
        {
            await _cluster.DisposeAsync();
        }
    }
}
