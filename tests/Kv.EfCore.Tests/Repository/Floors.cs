namespace Kv.Tests.Repository;

/// <summary>
/// The folders of the source of each package, the roof first: a folder uses only those that stand below it. The root of a project is empty.
/// </summary>
internal static class Floors
{
    public static IReadOnlyDictionary<string, string[]> Of { get; } = new Dictionary<string, string[]>(StringComparer.Ordinal)
    {
        ["Kv.EfCore"] =
        [
            "Setup", "Control", "Joined", "Store", "Engine", "Maintenance", "Feed", "Queue", "Commits", "Changes", "Reads", "Schema",
            "Connections", "Model", "Messages", "Merges", "Values", "V8", "", "Keys", "Sql", "Diagnostics", "Platform",
        ],
        ["Kv.Hosting"] = ["Setup", "Health", "Worker", "Schedules", "Handling", "Topics", "", "Diagnostics"],
        ["Kv.Testing"] = ["Hosts", "Looking", "Driving", "Deliveries", "Databases", "", "Faults", "Keys", "Time"],
        ["Kv.OpenTelemetry"] = [""],
        ["Kv.EfCore.Sqlite"] = ["", "Maintenance", "Queue", "Commits", "Changes", "Reads", "Connections", "Schema", "Sql", "Statements", "CompiledModel", "Migrations"],
        ["Kv.EfCore.PostgreSql"] = ["", "Maintenance", "Queue", "Commits", "Changes", "Reads", "Connections", "Sql", "CompiledModel", "Migrations"],
    };
}
