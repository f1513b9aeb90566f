using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Kv.Engine;

/// <summary>Whether the database has the tables as this version of the store wants them. Nothing is ever migrated here.</summary>
internal static class SchemaCheck
{
    public const string HistoryTable = "__kv_migrations";

    /// <exception cref="KvException">It has not (<see cref="KvError.Schema"/>); the message says which migrations are missing and what to run.</exception>
    public static async Task EnsureCurrentAsync(KvDbContext context, KvDialect dialect, CancellationToken cancellationToken)
    {
        dialect.CheckConnection(context.Database.GetDbConnection());
        var (missing, unknown) = await CompareAsync(context, cancellationToken).ConfigureAwait(false);
        EnsureNotAhead(unknown);
        if (missing.Count == 0 || (missing.Count == context.Database.GetMigrations().Count() && await HasTablesAsync(context, cancellationToken).ConfigureAwait(false)))
        {
            return;
        }

        throw new KvException(
            KvError.Schema,
            $"The store's schema is behind: {string.Join(", ", missing)} {(missing.Count == 1 ? "is" : "are")} not applied to the database '{context.Database.GetDbConnection().DataSource}'. "
            + $"Run `dotnet ef database update --context {nameof(KvDbContext)}`, or call `await services.MigrateKvStoreAsync()` when the application starts.");
    }

    /// <summary>The migrations that the database lacks, and those that it has and this version does not know.</summary>
    public static async Task<(List<string> Missing, List<string> Unknown)> CompareAsync(KvDbContext context, CancellationToken cancellationToken)
    {
        var known = context.Database.GetMigrations().ToList();
        var history = context.GetService<IHistoryRepository>();

        // Asked first, since reading a history that is not there is an error that EF Core logs.
        List<string> applied = await history.ExistsAsync(cancellationToken).ConfigureAwait(false)
            ? [.. (await history.GetAppliedMigrationsAsync(cancellationToken).ConfigureAwait(false)).Select(static row => row.MigrationId)]
            : [];
        return ([.. known.Except(applied, StringComparer.Ordinal)], [.. applied.Except(known, StringComparer.Ordinal)]);
    }

    public static void EnsureNotAhead(List<string> unknown)
    {
        if (unknown.Count > 0)
        {
            throw new KvException(
                KvError.Schema,
                $"The store's schema is ahead: {string.Join(", ", unknown)} came from a newer version of EfKv. Update the Kv packages of this application.");
        }
    }

    // Tables that an application's own migrations made (UseKv in its own context) have no history of ours, so they are asked for each column.
    private static async Task<bool> HasTablesAsync(KvDbContext context, CancellationToken cancellationToken)
    {
        if (!await context.Database.CanConnectAsync(cancellationToken).ConfigureAwait(false))
        {
            return false;
        }

        await context.Database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            foreach (var probe in KvSql.Probes)
            {
                var command = context.Database.GetDbConnection().CreateCommand();
                await using (command.ConfigureAwait(false))
                {
                    command.CommandText = probe;
                    await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
                }
            }

            return true;
        }
        catch (DbException)
        {
            return false;
        }
        finally
        {
            await context.Database.CloseConnectionAsync().ConfigureAwait(false);
        }
    }
}
