using Microsoft.EntityFrameworkCore;

namespace WorkerApp;

/// <summary>The section "WorkerApp" of the configuration: appsettings.json, environment (WorkerApp__Provider), command line.</summary>
internal sealed class Settings
{
    public string Provider { get; init; } = "sqlite";

    public string? Connection { get; init; }

    public string Orders { get; init; } = Path.Combine(AppContext.BaseDirectory, "orders.jsonl");

    public bool Watch { get; init; }

    /// <summary>The least time between two lines of progress.</summary>
    public TimeSpan Progress { get; init; }

    public void UseDatabase(DbContextOptionsBuilder db) => _ = (Provider, Connection) switch
    {
        ("sqlite", _) => db.UseSqlite(Connection ?? "Data Source=workerapp.db"),
        ("postgres", { }) => db.UseNpgsql(Connection),
        ("postgres", null) => throw new ArgumentException("PostgreSQL needs a connection: --connection \"Host=...;Database=...\"."),
        _ => throw new ArgumentException($"The provider is 'sqlite' or 'postgres', not '{Provider}'."),
    };
}
