using System.Data.Common;
using Kv.Maintenance;
using Kv.Sql;

namespace Kv.PostgreSql;

/// <summary>Maintains the queue's tables, whose rows come and go: what is deleted, the planner's statistics, and the indexes.</summary>
/// <param name="sql">Its statements.</param>
/// <param name="hasSession">
/// Whether the connection leads to one session of the server. Through a pooler of transactions a lock would be taken in one and stay there.
/// </param>
internal sealed class PostgreSqlMaintenance(PostgreSqlMaintenanceSql sql, bool hasSession) : DatabaseMaintenance
{
    public override IReadOnlyList<MaintenanceWork> Works =>
    [
        new("vacuum", (connection, cancellationToken) => EachAsync(connection, VacuumAsync, cancellationToken)),
        new("reindex", (connection, cancellationToken) => EachAsync(connection, ReindexAsync, cancellationToken)),
    ];

    public override async Task<KvMaintenanceState> StateAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var numbers = await NumbersAsync(connection, sql.State, cancellationToken).ConfigureAwait(false);
        return new KvMaintenanceState { Size = numbers[0], DeadRows = numbers[1] };
    }

    private static Task VacuumAsync(DbConnection connection, string table, CancellationToken cancellationToken) =>
        ExecuteAsync(connection, PostgreSqlMaintenanceSql.Vacuum(table), cancellationToken);

    private static async Task ReindexAsync(DbConnection connection, string table, CancellationToken cancellationToken)
    {
        var leftovers = await TextsAsync(connection, PostgreSqlMaintenanceSql.Leftovers(table), cancellationToken).ConfigureAwait(false);
        foreach (var index in leftovers)
        {
            await ExecuteAsync(connection, PostgreSqlMaintenanceSql.Drop(index), cancellationToken).ConfigureAwait(false);
        }

        await ExecuteAsync(connection, PostgreSqlMaintenanceSql.Reindex(table), cancellationToken).ConfigureAwait(false);
    }

    // Two that build the same indexes would wait for one another.
    private async Task<(long Done, string? Problem)> EachAsync(
        DbConnection connection, Func<DbConnection, string, CancellationToken, Task> run, CancellationToken cancellationToken)
    {
        if (hasSession && (await NumbersAsync(connection, sql.TryLock, cancellationToken).ConfigureAwait(false))[0] == 0)
        {
            return (0, "Another session maintains the store just now.");
        }

        try
        {
            var done = 0;
            foreach (var table in sql.Queue)
            {
                await run(connection, table, cancellationToken).ConfigureAwait(false);
                done++;
            }

            return (done, null);
        }
        finally
        {
            if (hasSession)
            {
                await ExecuteAsync(connection, PostgreSqlMaintenanceSql.Unlock, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }
}
