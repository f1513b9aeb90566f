using System.Data.Common;
using Kv.Connections;
using Kv.Maintenance;
using Kv.Sql;

namespace Kv.Sqlite;

/// <summary>Maintains a file: its log, and the pages that hold nothing.</summary>
/// <param name="locks">The write gate, which each batch passes.</param>
internal sealed class SqliteMaintenance(SharedLocks? locks) : DatabaseMaintenance
{
    private const long WhenAsked = 2;

    public override IReadOnlyList<MaintenanceWork> Works =>
    [
        new("checkpoint", CheckpointAsync),
        new("vacuum", GiveBackAsync),
    ];

    public override async Task<KvMaintenanceState> StateAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var pages = await NumbersAsync(connection, SqliteMaintenanceSql.Pages, cancellationToken).ConfigureAwait(false);
        var log = new FileInfo(connection.DataSource + "-wal");
        return new KvMaintenanceState
        {
            Size = pages[0] * pages[1],
            FreeSize = pages[0] * pages[2],
            LogSize = log.Exists ? log.Length : 0,
        };
    }

    private async Task<(long Done, string? Problem)> CheckpointAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        // It waits for no reader and no writer: what they still need stays in the log.
        var log = await NumbersAsync(connection, SqliteMaintenanceSql.Checkpoint, cancellationToken).ConfigureAwait(false);
        return log[2] >= log[1]
            ? (Math.Max(log[2], 0), null)
            : (Math.Max(log[2], 0), $"{log[1] - log[2]} of {log[1]} pages stay in the log, since they are read or written: run it again.");
    }

    private async Task<(long Done, string? Problem)> GiveBackAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var first = await NumbersAsync(connection, SqliteMaintenanceSql.Pages, cancellationToken).ConfigureAwait(false);
        var mode = await NumbersAsync(connection, SqliteMaintenanceSql.AutoVacuum, cancellationToken).ConfigureAwait(false);
        var free = first[2];
        if (mode[0] != WhenAsked)
        {
            return (0, free == 0
                ? null
                : $"{free * first[0]:N0} bytes of the file hold nothing and are kept for new rows, since its auto_vacuum is {mode[0]}. "
                    + "To be able to give them back, run 'pragma auto_vacuum = incremental; vacuum;' once, while nothing else uses the "
                    + "file: it writes the file anew, which takes as much space again.");
        }

        var left = free;
        while (left > 0)
        {
            using (await SharedLocks.PassAsync(locks).ConfigureAwait(false))
            {
                await ExecuteAsync(connection, SqliteMaintenanceSql.GiveBack, cancellationToken).ConfigureAwait(false);
            }

            // What others free or take meanwhile is theirs.
            var now = (await NumbersAsync(connection, SqliteMaintenanceSql.Pages, cancellationToken).ConfigureAwait(false))[2];
            if (now >= left)
            {
                break;
            }

            left = now;
        }

        return (free - left, null);
    }
}
