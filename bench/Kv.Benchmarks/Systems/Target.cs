using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.Benchmarks.Systems;

/// <summary>A database of a system's own: a file in the run's folder, or one on the server.</summary>
public sealed class Target(string database, string folder, string name)
{
    private const string Prefix = "efkv_bench_";

    public static string? Server => Environment.GetEnvironmentVariable("EFKV_BENCH_POSTGRES");

    public bool IsSqlite { get; } = database == "sqlite";

    public string File { get; } = Path.Combine(folder, $"{name}.db");

    public string ConnectionString => IsSqlite ? $"Data Source={File}" : new NpgsqlConnectionStringBuilder(Server) { Database = DatabaseName }.ConnectionString;

    private string DatabaseName { get; } = Prefix + name.Replace('-', '_');

    public void Configure(DbContextOptionsBuilder db) => _ = IsSqlite ? db.UseSqlite(ConnectionString) : db.UseNpgsql(ConnectionString);

    /// <summary>The name of a system's database for the rows of a case.</summary>
    public static string NameOf(string system, Case @case) => $"{system}-{@case.In.Rows}";

    /// <summary>Makes it anew and empty.</summary>
    public async Task CreateAsync()
    {
        if (IsSqlite)
        {
            SqliteConnection.ClearAllPools();
            foreach (var file in Directory.EnumerateFiles(folder, $"{name}.db*"))
            {
                System.IO.File.Delete(file);
            }

            return;
        }

        // The server ends the connections of a database that is dropped, and a pool would hand them out.
        NpgsqlConnection.ClearAllPools();
        await using var server = await OpenServerAsync();
        await Seeder.RunAsync(server, $"drop database if exists {DatabaseName} with (force)");
        await Seeder.RunAsync(server, $"create database {DatabaseName}");
    }

    /// <summary>A connection that is as durable and has as much memory as the store's.</summary>
    public async Task<DbConnection> OpenAsync()
    {
        DbConnection connection = IsSqlite ? new SqliteConnection(ConnectionString) : new NpgsqlConnection(ConnectionString);
        await connection.OpenAsync();
        if (IsSqlite)
        {
            await Seeder.RunAsync(connection, "pragma synchronous = 2; pragma cache_size = -16384; pragma wal_autocheckpoint = 8000; pragma journal_size_limit = 67108864");
        }

        return connection;
    }

    /// <summary>Takes away what earlier measurements have left on the server.</summary>
    public static async Task DropAllAsync()
    {
        await using var server = await OpenServerAsync();
        var names = new List<string>();
        await using (var find = new NpgsqlCommand($"select datname from pg_database where datname like '{Prefix.Replace("_", @"\_", StringComparison.Ordinal)}%'", server))
        await using (var found = await find.ExecuteReaderAsync())
        {
            while (await found.ReadAsync())
            {
                names.Add(found.GetString(0));
            }
        }

        foreach (var name in names)
        {
            await Seeder.RunAsync(server, $"drop database {name} with (force)");
        }
    }

    private static async Task<NpgsqlConnection> OpenServerAsync()
    {
        var server = new NpgsqlConnection(Server);
        await server.OpenAsync();
        return server;
    }
}
