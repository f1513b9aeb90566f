namespace Kv;

/// <summary>Maintenance of a store's database, when it suits.</summary>
/// <remarks>
/// Nothing of it has to be run: what has expired is deleted anyway, SQLite writes its log into the file by itself, and PostgreSQL has its
/// autovacuum. It is for a quiet hour, after much was deleted, or where those lag behind. <see cref="KvStoreOptions.Maintenance"/> has it
/// run by itself.
/// </remarks>
public interface IKvMaintenance
{
    /// <summary>How much there is to do.</summary>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="KvException">The schema is not as it must be, or the database is away.</exception>
    Task<KvMaintenanceState> GetStateAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Deletes what has expired; on SQLite writes the log into the file (a passive checkpoint) and gives free pages back where
    /// <c>auto_vacuum</c> is incremental; on PostgreSQL vacuums and analyzes the queue's tables and builds their indexes anew
    /// (<c>VACUUM (ANALYZE)</c>, <c>REINDEX CONCURRENTLY</c>). Writers go on meanwhile, and wait for one batch at most: 500 entries, or 256
    /// pages.
    /// </summary>
    /// <param name="progress">Hears of each step when it has ended.</param>
    /// <param name="cancellationToken">Ends it: what was done so far stays done.</param>
    /// <returns>
    /// What was done. A step that the database refuses, since the role does not own the tables for example, has its
    /// <see cref="KvMaintenanceStep.Problem"/>, and the others are done.
    /// </returns>
    /// <exception cref="KvException">The schema is not as it must be, or the database is away.</exception>
    Task<KvMaintenanceReport> RunAsync(IProgress<KvMaintenanceStep>? progress = null, CancellationToken cancellationToken = default);
}
