namespace Kv.Sql;

/// <summary>What maintenance asks of a server.</summary>
/// <param name="tables">The store's tables.</param>
internal sealed class PostgreSqlMaintenanceSql(TableNames tables)
{
    // Any number that no other program takes: the letters "kv maint".
    private const long Key = 0x6b76_206d_6169_6e74;

    /// <summary>The tables whose rows come and go.</summary>
    public IReadOnlyList<string> Queue => [$"{tables.Queue}", $"{tables.Running}"];

    /// <summary>Bytes of the tables with their indexes, and dead rows of those of the queue.</summary>
    public string State =>
        $"""
        select (select sum(pg_total_relation_size(to_regclass(t)))
                from unnest(array[{string.Join(", ", tables.All.Select(static t => t.Literal))}]) as t),
            coalesce((select sum(n_dead_tup) from pg_stat_all_tables
                where relid in (to_regclass({tables.Queue.Literal}), to_regclass({tables.Running.Literal}))), 0)
        """;

    /// <summary>1 if the session may maintain the store, 0 if another one does.</summary>
    public string TryLock => $"select case when pg_try_advisory_lock({Key} # hashtext({tables.Queue.Literal})) then 1 else 0 end";

    /// <summary>Ends the session's locks.</summary>
    public static string Unlock => "select pg_advisory_unlock_all()";

    public static string Vacuum(string table) => $"vacuum (analyze) {table}";

    /// <summary>Builds the indexes of a table anew beside those that are used meanwhile.</summary>
    public static string Reindex(string table) => $"reindex table concurrently {table}";

    /// <summary>What a build left behind that was broken off.</summary>
    public static string Leftovers(string table) =>
        $"""
        select indexrelid::regclass::text from pg_index
        where indrelid = to_regclass('{table}') and not indisvalid and indexrelid::regclass::text ~ '_cc(new|old)[0-9]*"?$'
        """;

    public static string Drop(string index) => $"drop index concurrently if exists {index}";
}
