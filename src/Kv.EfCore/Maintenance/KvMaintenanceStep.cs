namespace Kv;

/// <summary>One thing that maintenance did.</summary>
/// <param name="Name">
/// <c>expired</c> (entries deleted), <c>checkpoint</c> (pages of SQLite's log written into the file), <c>vacuum</c> (pages given back on
/// SQLite, tables on PostgreSQL) or <c>reindex</c> (tables, on PostgreSQL).
/// </param>
/// <param name="Done">How many.</param>
/// <param name="Took">How long it took.</param>
/// <param name="Problem">Why it did not do all, and what can be done about that; null if it did.</param>
public sealed record KvMaintenanceStep(string Name, long Done, TimeSpan Took, string? Problem);
