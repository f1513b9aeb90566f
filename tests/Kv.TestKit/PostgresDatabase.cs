using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.TestKit;

/// <summary>Databases on a PostgreSQL server: the one that is named, or one of the test's own.</summary>
public sealed class PostgresDatabase : KvDatabase
{
    private readonly SemaphoreSlim _once = new(1, 1);
    private readonly List<string> _created = [];
    private readonly string _prefix = $"efkv_{Guid.NewGuid():N}"[..16];
    private string? _template;
    private PostgresServer? _server;
    private int _last;

    public override string Name => "postgres";

    /// <summary>The server. A test that asks for it where there is none is skipped, by its name, or fails where there must be one.</summary>
    public PostgresServer Server
    {
        get
        {
            if (_server is null)
            {
                if (Environment.GetEnvironmentVariable("CI") == "true")
                {
                    Assert.Fail(PostgresServer.Missing);
                }

                Assert.Skip(PostgresServer.Missing);
            }

            return _server;
        }
    }

    public override async ValueTask InitializeAsync() => _server = await PostgresServer.FindAsync();

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
                await using var connection = new NpgsqlConnection(template);
                NpgsqlConnection.ClearPool(connection);
                _template = new NpgsqlConnectionStringBuilder(template).Database;
            }

            return await CreateAsync(_template);
        }
        finally
        {
            _once.Release();
        }
    }

    public override void Configure(DbContextOptionsBuilder db, string connectionString) => db.UseNpgsql(connectionString);

    public override async ValueTask DisposeAsync()
    {
        // A cluster of the kit's own goes away as a whole; dropping a database costs a checkpoint.
        foreach (var database in _server is { IsOwn: false } ? _created : [])
        {
            await ExecuteAsync($"drop database if exists {database} with (force)");
        }

        _once.Dispose();
    }

    public async Task ExecuteAsync(string text)
    {
        await using var connection = new NpgsqlConnection(Server.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(text, connection);
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
