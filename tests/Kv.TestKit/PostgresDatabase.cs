using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.TestKit;

/// <summary>Databases on the PostgreSQL server that the tests of this process share.</summary>
/// <remarks>Without a server, a test is skipped at the moment it asks for one: a fixture that cannot start would fail it.</remarks>
public class PostgresDatabase : KvDatabase
{
    private readonly SemaphoreSlim _once = new(1, 1);
    private readonly List<string> _created = [];
    private readonly string _prefix = $"efkv_{Guid.NewGuid():N}"[..16];
    private string? _template;
    private PostgresServer? _server;
    private int _last;

    public override string Name => "postgres";

    /// <summary>The server. A test that asks for it where there is none is skipped, by its name, or fails where there must be one.</summary>
    public PostgresServer Server => PostgresServer.Require(_server, IsPrivate);

    protected virtual bool IsPrivate => false;

    /// <summary>Whether there is a server.</summary>
    protected bool IsThere => _server is not null;

    public override async ValueTask InitializeAsync() =>
        _server = IsPrivate ? await PostgresServer.StartPrivateAsync() : await PostgresServer.FindAsync();

    public override async Task<string> CreateEmptyAsync() => await CreateAsync(template: null);

    public override async Task<string> CreateMigratedAsync()
    {
        await _once.WaitAsync();
        try
        {
            if (_template is null)
            {
                var template = await CreateAsync(template: null);
                await MigrateAsync(template);
                _template = template;
            }

            return await CopyAsync(_template);
        }
        finally
        {
            _once.Release();
        }
    }

    /// <summary>
    /// A database with the store's tables in which sending a notification does something else: it has a pg_notify of its own, with this body
    /// in SQL, which the connection string puts first.
    /// </summary>
    public async Task<string> CreateWithNotifyAsync(string body)
    {
        var connectionString = await CreateMigratedAsync();
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand($"create function pg_notify(channel text, payload text) returns void language plpgsql as $$ begin {body} end $$", connection);
        await command.ExecuteNonQueryAsync();
        return new NpgsqlConnectionStringBuilder(connectionString) { SearchPath = "public,pg_catalog" }.ConnectionString;
    }

    public override async Task<string> CopyAsync(string connectionString)
    {
        // A database that somebody is connected to cannot be copied.
        Release(connectionString);
        var name = new NpgsqlConnectionStringBuilder(connectionString).Database!;
        await Server.TerminateBackendsAsync(name);
        return await CreateAsync(name);
    }

    public override void Configure(DbContextOptionsBuilder db, string connectionString) => db.UseNpgsql(connectionString);

    public override void Release(string connectionString)
    {
        using var connection = new NpgsqlConnection(connectionString);
        NpgsqlConnection.ClearPool(connection);
    }

    public override async ValueTask DisposeAsync()
    {
        // A cluster of the kit's own goes away as a whole; dropping a database costs a checkpoint.
        foreach (var database in _server is { IsOwn: false } ? _created : [])
        {
            await ExecuteAsync($"drop database if exists {database} with (force)");
        }

        if (IsPrivate && _server is not null)
        {
            await _server.DisposeAsync();
        }

        _once.Dispose();
        GC.SuppressFinalize(this);
    }

    public Task ExecuteAsync(string text) => ExecuteAsync(Server, text);

    /// <summary>Runs a statement on a server, in the database that is there already.</summary>
    public static async Task ExecuteAsync(PostgresServer server, string text)
    {
        await using var connection = new NpgsqlConnection(server.ConnectionString);
        await connection.OpenAsync();

        // Making a database and dropping one wait for a checkpoint, which beside all other tests may take longer than the driver's 30 seconds.
        await using var command = new NpgsqlCommand(text, connection) { CommandTimeout = 120 };
        await command.ExecuteNonQueryAsync();
    }

    private async Task<string> CreateAsync(string? template)
    {
        var name = $"{_prefix}_{Interlocked.Increment(ref _last)}";
        await ExecuteAsync(template is null ? $"create database {name}" : $"create database {name} template {template}");
        lock (_created)
        {
            _created.Add(name);
        }

        return new NpgsqlConnectionStringBuilder(Server.ConnectionString) { Database = name, MaxPoolSize = 50 }.ConnectionString;
    }
}

/// <summary>Databases on a server that one test class has for itself, so that it may crash it (<see cref="PostgresServer.RestartImmediateAsync"/>).</summary>
public sealed class PrivatePostgresDatabase : PostgresDatabase
{
    protected override bool IsPrivate => true;
}
