using System.Data.Common;
using System.Globalization;
using Kv.Benchmarks.Systems;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.Benchmarks;

/// <summary>What the command line asks for.</summary>
public sealed class Settings
{
    public IReadOnlyList<string> Databases { get; private init; } = [];

    public IReadOnlyList<string> Systems { get; private init; } = [];

    public IReadOnlyList<string> Operations { get; private init; } = [];

    public IReadOnlyList<int> Callers { get; private init; } = [];

    public TimeSpan Time { get; private init; }

    public int Rounds { get; private init; }

    public int Rows { get; private init; }

    public bool SetUp { get; private init; }

    private string Folder { get; init; } = "";

    private static string? Postgres => Environment.GetEnvironmentVariable("EFKV_BENCH_POSTGRES");

    public static Settings Parse(string[] args)
    {
        var small = args.Contains("--small");
        return new Settings
        {
            Databases = Value("--databases", "sqlite,postgres").Split(','),
            Systems = Value("--systems", "efkv,raw,ef").Split(','),
            Operations = Value("--ops", string.Join(',', BenchSystem.Operations)).Split(','),
            Callers = [.. Value("--callers", "1,64").Split(',').Select(static n => int.Parse(n, CultureInfo.InvariantCulture))],
            Time = TimeSpan.FromSeconds(double.Parse(Value("--seconds", small ? "0.2" : "2"), CultureInfo.InvariantCulture)),
            Rounds = int.Parse(Value("--rounds", small ? "1" : "3"), CultureInfo.InvariantCulture),
            Rows = int.Parse(Value("--rows", (small ? BenchSystem.SmallRows : BenchSystem.Rows).ToString(CultureInfo.InvariantCulture)), CultureInfo.InvariantCulture),
            Folder = Value("--folder", "."),
            SetUp = args.Contains("--setup"),
        };

        string Value(string name, string otherwise) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : otherwise;
    }

    public static bool IsThere(string database)
    {
        if (database == "postgres" && Postgres is null)
        {
            Console.Error.WriteLine("PostgreSQL is left out: set EFKV_BENCH_POSTGRES to a connection string of a server whose databases efkv_bench_* may be dropped.");
            return false;
        }

        return true;
    }

    public BenchSystem Create(string system, string database)
    {
        var sqlite = database == "sqlite";
        var connectionString = sqlite ? $"Data Source={Path.Combine(Folder, system)}.db" : Database(system);
        void Configure(DbContextOptionsBuilder db) => _ = sqlite ? db.UseSqlite(connectionString) : db.UseNpgsql(connectionString);
        return system switch
        {
            "efkv" => new EfKvSystem(Configure),
            "raw" => new RawSystem(() => OpenAsync(sqlite, connectionString), new EfKvSystem(Configure), sqlite ? "begin immediate" : "begin", sqlite),
            "ef" => new PlainEfSystem(Configure, sqlite),
            _ => throw new ArgumentException($"There is no system '{system}'. Use efkv, raw or ef.", nameof(system)),
        };
    }

    // The floor is as durable and has as much memory as the store.
    private static async Task<DbConnection> OpenAsync(bool sqlite, string connectionString)
    {
        DbConnection connection = sqlite ? new SqliteConnection(connectionString) : new NpgsqlConnection(connectionString);
        await connection.OpenAsync();
        if (sqlite)
        {
            await using var pragmas = connection.CreateCommand();
            pragmas.CommandText = "pragma synchronous = 2; pragma cache_size = -16384; pragma wal_autocheckpoint = 8000";
            await pragmas.ExecuteNonQueryAsync();
        }

        return connection;
    }

    private string Database(string system)
    {
        var name = $"efkv_bench_{system}";
        if (SetUp)
        {
            using var connection = new NpgsqlConnection(Postgres);
            connection.Open();
            using var drop = new NpgsqlCommand($"drop database if exists {name} with (force)", connection);
            drop.ExecuteNonQuery();
            using var create = new NpgsqlCommand($"create database {name}", connection);
            create.ExecuteNonQuery();
        }

        return new NpgsqlConnectionStringBuilder(Postgres) { Database = name }.ConnectionString;
    }
}
