using Microsoft.EntityFrameworkCore;

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
        var applied = (await context.Database.GetAppliedMigrationsAsync(cancellationToken).ConfigureAwait(false)).ToList();
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

    // Tables that an application's own migrations made (UseKv in its own context) have no history of ours. LINQ names every column.
    private static async Task<bool> HasTablesAsync(KvDbContext context, CancellationToken cancellationToken)
    {
        try
        {
            await context.Entries.AsNoTracking().Take(0).ToListAsync(cancellationToken).ConfigureAwait(false);
            await context.QueuedMessages.AsNoTracking().Take(0).ToListAsync(cancellationToken).ConfigureAwait(false);
            await context.RunningMessages.AsNoTracking().Take(0).ToListAsync(cancellationToken).ConfigureAwait(false);
            return await context.Versions.AsNoTracking().AnyAsync(static v => v.Key == 0, cancellationToken).ConfigureAwait(false);
        }
        catch (System.Data.Common.DbException)
        {
            return false;
        }
    }
}
