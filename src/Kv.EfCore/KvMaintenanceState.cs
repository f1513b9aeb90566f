namespace Kv;

/// <summary>How much there is for maintenance to do.</summary>
public sealed record KvMaintenanceState
{
    /// <summary>
    /// What the store takes, in bytes: on SQLite the file, with all that an application has in it; on PostgreSQL the store's tables with
    /// their indexes.
    /// </summary>
    public required long Size { get; init; }

    /// <summary>How many bytes of it hold nothing and wait for new rows, on SQLite; 0 on PostgreSQL, see <see cref="DeadRows"/>.</summary>
    public long FreeSize { get; init; }

    /// <summary>The size of SQLite's log (WAL), in bytes; 0 on PostgreSQL.</summary>
    public long LogSize { get; init; }

    /// <summary>Rows of the queue's tables that are deleted and take their place still, by PostgreSQL's estimate; 0 on SQLite.</summary>
    public long DeadRows { get; init; }

    /// <summary>Entries that have expired and were not deleted yet, counted up to 1,000. No read shows them.</summary>
    public int Expired { get; init; }

    /// <summary>How long ago the last run of this store in this process ended; null if there was none.</summary>
    public TimeSpan? SinceLastRun { get; init; }
}
