namespace Kv.Sql;

/// <summary>The names of a store's tables, from which all of its SQL is built.</summary>
/// <param name="prefix">What the names begin with: it keeps them apart from tables of the application.</param>
/// <param name="schema">The schema that they are in; null for where the connection finds them.</param>
internal sealed class TableNames(string prefix, string? schema = null)
{
    /// <summary>The table that names the migrations which were applied.</summary>
    public const string HistoryTable = "__kv_migrations";

    /// <summary>The tables as migrations make them, where the connection finds them.</summary>
    public static TableNames Default { get; } = new("");

    /// <summary>What the names begin with; empty for nothing.</summary>
    public string Prefix => prefix;

    /// <summary>The schema that they are in; null for where the connection finds them.</summary>
    public string? Schema => schema;

    public TableName Kv { get; } = new(schema, prefix + "kv");

    public TableName DataVersion { get; } = new(schema, prefix + "data_version");

    public TableName Queue { get; } = new(schema, prefix + "queue");

    public TableName Running { get; } = new(schema, prefix + "queue_running");

    /// <summary>The keys that commits changed, while the change feed is on.</summary>
    public TableName Changes { get; } = new(schema, prefix + "kv_changes");

    /// <summary>The switch of the change feed.</summary>
    public TableName Feed { get; } = new(schema, prefix + "kv_feed");

    /// <summary>Those by which a connection's tables are told apart from others, in the order in which errors name them.</summary>
    public IReadOnlyList<TableName> All => [Kv, DataVersion, Queue, Running];

    /// <summary>All that migrations make.</summary>
    public IReadOnlyList<TableName> Made => [.. All, Changes, Feed];
}

/// <summary>One table, as a statement names it.</summary>
/// <param name="Schema">The schema; null for where the connection finds the table.</param>
/// <param name="Name">The name, which also qualifies the table's columns.</param>
internal readonly record struct TableName(string? Schema, string Name)
{
    /// <summary>The whole name as a text of SQL.</summary>
    public string Literal => $"'{this}'";

    /// <summary>The name without the schema as a text of SQL.</summary>
    public string NameLiteral => $"'{Name}'";

    // Options take letters, digits and underscores only, so there is nothing to escape.
    public override string ToString() => Schema is null ? Name : $"\"{Schema}\".\"{Name}\"";
}
