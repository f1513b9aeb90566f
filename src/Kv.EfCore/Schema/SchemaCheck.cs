using System.Data.Common;
using Kv.Connections;
using Kv.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;

namespace Kv.Schema;

/// <summary>Whether the database has the tables as this version of the store wants them. Nothing is ever migrated here.</summary>
internal static class SchemaCheck
{
    /// <summary>Opens the connection of a context and leaves it open: for what is asked here, and for what goes on with it.</summary>
    /// <returns>The migrations of newer versions beside which this one goes on; none as a rule.</returns>
    /// <exception cref="KvException">
    /// It has not (<see cref="KvErrorKind.Schema"/>); the message says which migrations are missing and what to run.
    /// </exception>
    public static async Task<IReadOnlyList<string>> OpenCurrentAsync(
        KvDbContext context, Driver driver, CancellationToken cancellationToken)
    {
        driver.CheckConnection(context.Database.GetDbConnection());
        if (!await ExistsAsync(context, driver, cancellationToken).ConfigureAwait(false))
        {
            throw new KvException(
                KvErrorKind.Schema,
                $"The store cannot be opened: {driver.DescribeMissing(context.Database.GetDbConnection())} "
                + $"What makes the tables is {string.Join(", ", context.Database.GetMigrations())}: MigrateKvStoreAsync() applies it, "
                + $"and so does `dotnet ef database update --context {nameof(KvDbContext)}`.");
        }

        await context.Database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
        var versions = await CompareAsync(context, driver, cancellationToken).ConfigureAwait(false);
        versions.EnsureNotAhead();
        var missing = versions.Missing;
        if (missing.Count == 0 && await IsMissingClockAsync(context, driver, cancellationToken).ConfigureAwait(false))
        {
            throw new KvException(
                KvErrorKind.Schema,
                "The table data_version has lost its row with k = 0, the store's clock. Put it back above all versions: insert into "
                + "data_version (k, version, seq) select 0, coalesce(max(version), 0), 0 from kv.");
        }

        var none = missing.Count == context.Database.GetMigrations().Count();
        if (missing.Count == 0 || (none && await HasTablesAsync(context, driver, cancellationToken).ConfigureAwait(false)))
        {
            return versions.Newer;
        }

        var connection = context.Database.GetDbConnection();
        throw new KvException(
            KvErrorKind.Schema,
            (none ? await driver.FindElsewhereAsync(connection, cancellationToken).ConfigureAwait(false) : null)
                ?? $"The store's schema is behind: {string.Join(", ", missing)} {(missing.Count == 1 ? "is" : "are")} not applied to "
                + $"{driver.Describe(connection)}. Run `dotnet ef database update --context {nameof(KvDbContext)}`, or call "
                + "`await services.MigrateKvStoreAsync()` when the application starts. "
                + "If the tables are to be of your own model (UseKv), neither is for you: add a migration of your own.");
    }

    /// <summary>The migrations that the database has, beside those that this version knows. The connection is open.</summary>
    public static async Task<SchemaVersions> CompareAsync(KvDbContext context, Driver driver, CancellationToken cancellationToken)
    {
        var applied = await AppliedAsync(context, driver, cancellationToken).ConfigureAwait(false);
        return new([.. context.Database.GetMigrations()], applied);
    }

    // A database that cannot be reached is no database without tables: the caller must get the error, and may try again.
    private static async Task<bool> ExistsAsync(KvDbContext context, Driver driver, CancellationToken cancellationToken) =>
        await context.GetService<IRelationalDatabaseCreator>().ExistsAsync(cancellationToken).ConfigureAwait(false)
        || !await driver.IsMissingAsync(context.Database.GetDbConnection(), cancellationToken).ConfigureAwait(false);

    /// <summary>
    /// The migrations that the history names. Every start asks, so in plain SQL: EF Core builds a model of the history table for it
    /// (80 ms).
    /// </summary>
    private static async Task<List<string>> AppliedAsync(KvDbContext context, Driver driver, CancellationToken cancellationToken)
    {
        var options = context.GetService<IDbContextOptions>().Extensions.OfType<RelationalOptionsExtension>().First();
        var history = $"\"{options.MigrationsHistoryTableName ?? TableNames.HistoryTable}\"";
        history = options.MigrationsHistoryTableSchema is { } schema ? $"\"{schema}\".{history}" : history;
        if (await ReadAsync(context, driver, driver.Sql.HasTable(history), cancellationToken).ConfigureAwait(false) is not [true or 1L])
        {
            return [];
        }

        var found = await ReadAsync(context, driver, KvSql.History(history), cancellationToken).ConfigureAwait(false);
        return found.ConvertAll(static id => (string)id);
    }

    private static async Task<bool> IsMissingClockAsync(KvDbContext context, Driver driver, CancellationToken cancellationToken) =>
        (await ReadAsync(context, driver, driver.Sql.Version, cancellationToken).ConfigureAwait(false)).Count == 0;

    /// <summary>Whether the tables are there with every column.</summary>
    /// <remarks>
    /// Those that an application's own migrations made (UseKv in its own context) have no history of ours, so they are asked for each
    /// column.
    /// </remarks>
    public static async Task<bool> HasTablesAsync(KvDbContext context, Driver driver, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var probe in driver.Sql.Probes)
            {
                await ReadAsync(context, driver, probe, cancellationToken).ConfigureAwait(false);
            }

            return true;
        }
        catch (DbException error) when (driver.Classify(error) == Fault.Permanent)
        {
            return false;
        }
    }

    /// <summary>The first column of the rows that a statement finds.</summary>
    public static async Task<List<object>> ReadAsync(KvDbContext context, Driver driver, string text, CancellationToken cancellationToken)
    {
        List<object> found = [];
        var command = driver.CreateCommand(context.Database.GetDbConnection());
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = text;
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    found.Add(reader.GetValue(0));
                }
            }
        }

        return found;
    }
}
