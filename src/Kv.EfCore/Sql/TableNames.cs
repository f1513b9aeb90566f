namespace Kv.Sql;

/// <summary>The names of a store's tables, from which all of its SQL is built.</summary>
/// <param name="prefix">What the names begin with: it keeps them apart from tables of the application.</param>
internal sealed class TableNames(string prefix)
{
    /// <summary>The tables as migrations make them, where the connection finds them.</summary>
    public static TableNames Default { get; } = new("");

    public TableName Kv { get; } = new(prefix + "kv");

    public TableName DataVersion { get; } = new(prefix + "data_version");

    public TableName Queue { get; } = new(prefix + "queue");

    public TableName Running { get; } = new(prefix + "queue_running");

    /// <summary>All of them, in the order in which errors name them.</summary>
    public IReadOnlyList<TableName> All => [Kv, DataVersion, Queue, Running];
}

/// <summary>One table, as a statement names it.</summary>
/// <param name="Name">The name, which also qualifies the table's columns.</param>
internal readonly record struct TableName(string Name)
{
    /// <summary>The name as a text of SQL.</summary>
    public string Literal => $"'{Name}'";

    public override string ToString() => Name;
}
