using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>Applies the migrations when many processes start at once: one does it, the others wait.</summary>
/// <remarks>
/// EF Core's own lock on SQLite is a row: a process that is killed while it holds it makes every later start wait for ever. Here the lock is
/// the database's, which ends with its holder, and the script is EF Core's, run with its history in one transaction.
/// </remarks>
internal sealed class Migrator(KvDbContext context, KvDialect dialect, ILogger logger)
{
    private static readonly TimeSpan Budget = TimeSpan.FromSeconds(60);

    /// <returns>The migrations that were applied here; none if the schema was current, or another process was quicker.</returns>
    public async Task<IReadOnlyList<string>> MigrateAsync(CancellationToken cancellationToken)
    {
        dialect.CheckConnection(context.Database.GetDbConnection());
        await CreateDatabaseAsync(cancellationToken).ConfigureAwait(false);
        await context.Database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
        if (await IsCurrentAsync(cancellationToken).ConfigureAwait(false))
        {
            return [];
        }

        await LockAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var applied = await ApplyAsync(cancellationToken).ConfigureAwait(false);
            await ExecuteAsync(KvSql.Commit, CancellationToken.None).ConfigureAwait(false);
            return applied;
        }
        catch (Exception error)
        {
            try
            {
                await ExecuteAsync(KvSql.Rollback, CancellationToken.None).ConfigureAwait(false);
            }
            catch (DbException)
            {
                // The cause says more than the rollback that it made impossible.
                throw error;
            }

            throw;
        }
    }

    private async Task<List<string>> ApplyAsync(CancellationToken cancellationToken)
    {
        var history = context.GetService<IHistoryRepository>();
        var known = context.Database.GetMigrations().ToList();
        await ExecuteAsync(history.GetCreateIfNotExistsScript(), cancellationToken).ConfigureAwait(false);
        var applied = (await history.GetAppliedMigrationsAsync(cancellationToken).ConfigureAwait(false)).Select(static m => m.MigrationId).ToList();
        SchemaCheck.EnsureNotAhead([.. applied.Except(known, StringComparer.Ordinal)]);
        if (applied.Count == 0)
        {
            applied = await AdoptAsync(history, known, cancellationToken).ConfigureAwait(false);
        }

        var missing = known.Skip(applied.Count).ToList();
        if (missing.Count > 0)
        {
            KvLog.Migrating(logger, string.Join(", ", missing));
            var script = context.GetService<IMigrator>().GenerateScript(applied.LastOrDefault(), null, MigrationsSqlGenerationOptions.NoTransactions);
            await ExecuteAsync(script, cancellationToken).ConfigureAwait(false);
        }

        return missing;
    }

    private async Task<List<string>> AdoptAsync(IHistoryRepository history, List<string> known, CancellationToken cancellationToken)
    {
        var names = await dialect.AdoptAsync(context.Database.GetDbConnection(), cancellationToken).ConfigureAwait(false);
        var adopted = known.Take(names.Count).ToList();
        foreach (var migration in adopted)
        {
            await ExecuteAsync(history.GetInsertScript(new HistoryRow(migration, ProductInfo.GetVersion())), cancellationToken).ConfigureAwait(false);
        }

        if (adopted.Count > 0)
        {
            KvLog.Adopted(logger, string.Join(", ", names));
        }

        return adopted;
    }

    private async Task<bool> IsCurrentAsync(CancellationToken cancellationToken)
    {
        try
        {
            var (missing, unknown) = await SchemaCheck.CompareAsync(context, dialect, cancellationToken).ConfigureAwait(false);
            SchemaCheck.EnsureNotAhead(unknown);
            return missing.Count == 0;
        }
        catch (DbException error) when (dialect.Classify(error) == Fault.Busy)
        {
            return false;
        }
    }

    private async Task LockAsync(CancellationToken cancellationToken)
    {
        var backoff = Backoff.ForLocks(Budget);
        var told = false;
        while (true)
        {
            try
            {
                await ExecuteAsync(dialect.Sql.BeginMigration, cancellationToken).ConfigureAwait(false);
                return;
            }
            catch (DbException error) when (dialect.Classify(error) == Fault.Busy)
            {
                if (!told)
                {
                    KvLog.WaitingForMigration(logger);
                    told = true;
                }

                if (!await backoff.WaitAsync(cancellationToken).ConfigureAwait(false))
                {
                    throw new KvException(
                        KvError.Unavailable,
                        $"Another process has held the migration lock for {Budget.TotalSeconds:0} seconds. Nothing was changed. Look for a process that hangs while it migrates.",
                        error);
                }
            }
        }
    }

    private async Task CreateDatabaseAsync(CancellationToken cancellationToken)
    {
        var creator = context.GetService<IRelationalDatabaseCreator>();
        if (!await creator.ExistsAsync(cancellationToken).ConfigureAwait(false))
        {
            try
            {
                await creator.CreateAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (DbException error)
            {
                // Another starter may have been quicker.
                if (!await creator.ExistsAsync(cancellationToken).ConfigureAwait(false))
                {
                    System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error);
                }
            }
        }
    }

    private async Task ExecuteAsync(string text, CancellationToken cancellationToken)
    {
        var command = context.Database.GetDbConnection().CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = text;
            command.CommandTimeout = (int)Budget.TotalSeconds;

            // Read to its end: ExecuteNonQuery of the SQLite driver passes over errors that come after a statement with rows.
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.NextResultAsync(cancellationToken).ConfigureAwait(false))
                {
                }
            }
        }
    }
}
