using Npgsql;

namespace Kv.TestKit;

/// <summary>
/// Databases on a server that one test class has for itself, and that a second server repeats: either may be stopped, killed, promoted.
/// </summary>
public sealed class PostgresPair : PostgresDatabase
{
    private PostgresServer? _standby;

    /// <summary>The server that repeats the other one.</summary>
    public PostgresServer Standby => PostgresServer.Require(_standby, ownPrograms: true);

    protected override bool IsPrivate => true;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        _standby = IsThere ? await Server.StartStandbyAsync() : null;
    }

    /// <summary>Has no commit be answered before it is on the disk of the standby.</summary>
    public async Task SynchronizeAsync()
    {
        await ExecuteAsync("alter system set synchronous_standby_names = '*'");
        await ExecuteAsync("select pg_reload_conf()");
        await UntilAsync(
            Server,
            "select current_setting('synchronous_standby_names') = '*' "
            + "and exists (select 1 from pg_stat_replication where sync_state = 'sync')");
    }

    /// <summary>The same database on the standby.</summary>
    public string OnStandby(string connectionString) => At(connectionString, Address(Standby));

    /// <summary>The same database on whichever of the two takes writes; the standby is named first.</summary>
    public string OnBoth(string connectionString) => At(connectionString, $"{Address(Standby)},{Address(Server)}");

    /// <summary>Waits until the standby has repeated all that is committed by now.</summary>
    public async Task CaughtUpAsync()
    {
        await using var connection = new NpgsqlConnection(Server.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("select pg_current_wal_insert_lsn()::text", connection);
        var position = (string)(await command.ExecuteScalarAsync())!;
        await UntilAsync(Standby, $"select pg_last_wal_replay_lsn() >= '{position}'::pg_lsn");
    }

    /// <summary>Has the standby stay as it is, and go on to receive.</summary>
    public async Task PauseAsync()
    {
        await ExecuteAsync(Standby, "select pg_wal_replay_pause()");
        await UntilAsync(Standby, "select pg_get_wal_replay_pause_state() = 'paused'");
    }

    public Task ResumeAsync() => ExecuteAsync(Standby, "select pg_wal_replay_resume()");

    public override async ValueTask DisposeAsync()
    {
        if (_standby is not null)
        {
            await _standby.DisposeAsync();
        }

        await base.DisposeAsync();
    }

    private static string Address(PostgresServer server)
    {
        var settings = new NpgsqlConnectionStringBuilder(server.ConnectionString);
        return $"{settings.Host}:{settings.Port}";
    }

    private static string At(string connectionString, string hosts)
    {
        // What is known of a server is looked up again soon: after a failover it is another one.
        var settings = new NpgsqlConnectionStringBuilder(connectionString) { Host = hosts, HostRecheckSeconds = 1 };
        settings.Remove("Port");
        return settings.ConnectionString;
    }

    private static async Task UntilAsync(PostgresServer server, string condition)
    {
        await using var connection = new NpgsqlConnection(server.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(condition, connection);
        var started = TimeProvider.System.GetTimestamp();
        while (await command.ExecuteScalarAsync() is not true)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromMinutes(1), $"It did not come to be: {condition}");
        }
    }
}
