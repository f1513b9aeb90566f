namespace Kv.Sql;

/// <summary>What maintenance asks of a file.</summary>
internal static class SqliteMaintenanceSql
{
    /// <summary>The size of a page, the pages of the file, and how many of them hold nothing.</summary>
    public const string Pages =
        "select page_size, page_count, freelist_count from pragma_page_size, pragma_page_count, pragma_freelist_count";

    /// <summary>0 where the file keeps its free pages, 1 where each commit gives them back, 2 where that is on demand.</summary>
    public const string AutoVacuum = "pragma auto_vacuum";

    /// <summary>Writes of the log into the file what it can: whether that is nothing, the pages of the log, and those written.</summary>
    public const string Checkpoint = "pragma wal_checkpoint(passive)";

    /// <summary>Gives back so many free pages, in a transaction of its own.</summary>
    public const string GiveBack = "pragma incremental_vacuum(256)";
}
