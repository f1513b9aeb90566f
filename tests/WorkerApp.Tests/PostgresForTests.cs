using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.Tests;

/// <summary>Databases on the PostgreSQL server that EFKV_TEST_POSTGRES names, dropped with the fixture.</summary>
public sealed class PostgresForTests : DatabaseForTests
{
    private const string Missing = "PostgreSQL is missing. Set EFKV_TEST_POSTGRES to the connection string of a server.";

    private readonly List<string> _created = [];
    private readonly string? _server = Environment.GetEnvironmentVariable("EFKV_TEST_POSTGRES");

    public override string Name => "postgres";

    public override async Task<string> CreateEmptyAsync()
    {
        var name = $"efkv_sample_{Guid.NewGuid():N}";
        await ExecuteAsync($"create database {name}");
        _created.Add(name);
        return new NpgsqlConnectionStringBuilder(_server) { Database = name, Pooling = true }.ConnectionString;
    }

    public override void Configure(DbContextOptionsBuilder db, string connection) => db.UseNpgsql(connection);

    public override ValueTask InitializeAsync()
    {
        if (string.IsNullOrEmpty(_server))
        {
            if (Environment.GetEnvironmentVariable("CI") == "true")
            {
                Assert.Fail(Missing);
            }

            Assert.Skip(Missing);
        }

        return ValueTask.CompletedTask;
    }

    public override async ValueTask DisposeAsync()
    {
        foreach (var name in _created)
        {
            await ExecuteAsync($"drop database if exists {name} with (force)");
        }
    }

    private async Task ExecuteAsync(string text)
    {
        await using var source = NpgsqlDataSource.Create(_server!);
        await using var command = source.CreateCommand(text);
        await command.ExecuteNonQueryAsync();
    }
}
