using System.Data.Common;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Logging;

namespace Kv.Schema;

/// <summary>Applies the migrations when many processes start at once: one does it, the others wait.</summary>
/// <remarks>
/// EF Core's own lock on SQLite is a row: a process that is killed while it holds it makes every later start wait for ever. Here the lock
/// is the database's, which ends with its holder, and the script is EF Core's, run with its history in one transaction.
/// </remarks>
/// <param name="context">A context on the database.</param>
/// <param name="driver">The database.</param>
/// <param name="patience">How long a database is waited for that is starting.</param>
/// <param name="logger">Where it says what it does.</param>
internal sealed class Migrator(KvDbContext context, Driver driver, TimeSpan patience, ILogger logger)
{
    private static readonly TimeSpan Budget = TimeSpan.FromSeconds(60);

    /// <returns>The migrations that were applied here; none if the schema was current, or another process was quicker.</returns>
    /// <exception cref="KvException">
    /// The database is not there in time (<see cref="KvErrorKind.Unavailable"/>), or cannot be migrated (<see cref="KvErrorKind.Schema"/>).
    /// </exception>
    public async Task<IReadOnlyList<string>> MigrateAsync(CancellationToken cancellationToken)
    {
        driver.CheckConnection(context.Database.GetDbConnection());
        var backoff = Backoff.ForConnections(patience);
        return await Retry.UntilAsync(TryAsync, Classify, GiveUp, cancellationToken).ConfigureAwait(false);

        async ValueTask<IReadOnlyList<string>> TryAsync(Backoff? before)
        {
            if (before is not null)
            {
                await context.Database.CloseConnectionAsync().ConfigureAwait(false);
            }

            return await MigrateOnceAsync(cancellationToken).ConfigureAwait(false);
        }

        Backoff? Classify(Exception error, Backoff? before)
        {
            if (error is KvException || !(driver.IsStarting(error) || DatabaseErrors.IsOfDatabase(error)))
            {
                return null;
            }

            if (!driver.IsStarting(error))
            {
                throw new KvException(
                    KvErrorKind.Schema,
                    $"The store cannot be migrated on {Database}: {DatabaseErrors.Text(error).TrimEnd('.')}. Nothing was changed. "
                    + "Give the store's user what the database asks for, or migrate with a user who has it.",
                    error);
            }

            // It is starting, or as good as: a process that starts beside it waits.
            if (before is null)
            {
                KvLog.WaitingForDatabase(logger, error, Database);
            }

            return backoff;
        }

        Exception GiveUp(Exception error) => new KvException(
            KvErrorKind.Unavailable,
            $"The store could not be migrated within {patience.TotalSeconds:0.#} seconds: {Database} is not to be reached "
            + $"({DatabaseErrors.Text(error).TrimEnd('.')}). Nothing was changed; try again when it is back.",
            error);
    }

    private string Database => driver.Describe(context.Database.GetDbConnection());

    private async Task<IReadOnlyList<string>> MigrateOnceAsync(CancellationToken cancellationToken)
    {
        await ConnectAsync(cancellationToken).ConfigureAwait(false);
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
            catch (Exception end) when (DatabaseErrors.IsOfDatabase(end))
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
        var rows = await history.GetAppliedMigrationsAsync(cancellationToken).ConfigureAwait(false);
        var applied = rows.Select(static m => m.MigrationId).ToList();
        new SchemaVersions(known, applied).EnsureNotAhead();
        if (applied.Count == 0)
        {
            applied = await AdoptAsync(history, known, cancellationToken).ConfigureAwait(false);
        }

        if (applied.Count == 0)
        {
            await EnsureFreeAsync(cancellationToken).ConfigureAwait(false);
        }

        var missing = known.Except(applied, StringComparer.Ordinal).ToList();
        if (missing.Count > 0)
        {
            KvLog.Migrating(logger, string.Join(", ", missing));
            var script = context.GetService<IMigrator>()
                .GenerateScript(applied.LastOrDefault(), null, MigrationsSqlGenerationOptions.NoTransactions);
            await ExecuteAsync(script, cancellationToken).ConfigureAwait(false);
        }

        return missing;
    }

    /// <summary>Makes sure that the names of the tables are free, and that no tables of the application's own model are there.</summary>
    private async Task EnsureFreeAsync(CancellationToken cancellationToken)
    {
        if (await driver.FindElsewhereAsync(context.Database.GetDbConnection(), cancellationToken).ConfigureAwait(false) is { } elsewhere)
        {
            throw new KvException(KvErrorKind.Schema, $"{elsewhere} Nothing was changed.");
        }

        var there = await SchemaCheck.ReadAsync(context, driver, driver.Sql.InTheWay, cancellationToken).ConfigureAwait(false);
        if (there.Count == 0)
        {
            return;
        }

        var names = string.Join(
            ", ", there.Select(static name => $"{name}".Insert($"{name}".IndexOf(' ', StringComparison.Ordinal) + 1, "'") + "'"));
        throw new KvException(
            KvErrorKind.Schema,
            await SchemaCheck.HasTablesAsync(context, driver, cancellationToken).ConfigureAwait(false)
                ? $"The store's tables in {Database} were not made by the store's migrations: they are of your own model's migrations "
                    + "(UseKv in a context of yours), or EnsureCreated made them. Nothing was changed, and the store can use them as they "
                    + "are. Leave MigrateKvStoreAsync out; your own migrations bring them up to date."
                : $"{Database} has {names} already, not as the store makes it, and the store's tables need the names kv, data_version, "
                    + "queue and queue_running. Nothing was changed. "
                    + $"Rename what is in the way, or give the store {driver.OwnLocation} of its own.");
    }

    private async Task<List<string>> AdoptAsync(IHistoryRepository history, List<string> known, CancellationToken cancellationToken)
    {
        var names = await driver.AdoptAsync(context.Database.GetDbConnection(), cancellationToken).ConfigureAwait(false);
        var adopted = known.Take(names.Count).ToList();
        foreach (var migration in adopted)
        {
            var row = new HistoryRow(migration, ProductInfo.GetVersion());
            await ExecuteAsync(history.GetInsertScript(row), cancellationToken).ConfigureAwait(false);
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
            var versions = await SchemaCheck.CompareAsync(context, driver, cancellationToken).ConfigureAwait(false);
            versions.EnsureNotAhead();
            return versions.Missing.Count == 0;
        }
        catch (DbException error) when (driver.Classify(error) == Fault.Busy)
        {
            return false;
        }
    }

    private async Task LockAsync(CancellationToken cancellationToken)
    {
        var backoff = Backoff.ForLocks(Budget);
        await Retry.UntilAsync(TryAsync, Classify, GiveUp, cancellationToken).ConfigureAwait(false);

        async ValueTask<bool> TryAsync(Backoff? before)
        {
            await ExecuteAsync(driver.Sql.BeginMigration, cancellationToken).ConfigureAwait(false);
            return true;
        }

        Backoff? Classify(Exception error, Backoff? before)
        {
            if (error is not DbException || driver.Classify(error) != Fault.Busy)
            {
                return null;
            }

            if (before is null)
            {
                KvLog.WaitingForMigration(logger);
            }

            return backoff;
        }

        static Exception GiveUp(Exception error) => new KvException(
            KvErrorKind.Unavailable,
            $"Another process has held the migration lock for {Budget.TotalSeconds:0} seconds. Nothing was changed. "
            + "Look for a process that hangs while it migrates.",
            error);
    }

    private async Task ConnectAsync(CancellationToken cancellationToken)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var interruption = new Interruption(end.Token);
        end.CancelAfter(patience);
        try
        {
            await CreateDatabaseAsync(interruption.Token).ConfigureAwait(false);
            await context.Database.OpenConnectionAsync(interruption.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"No answer within {patience.TotalSeconds:0.#} seconds.", error);
        }
    }

    private async Task CreateDatabaseAsync(CancellationToken cancellationToken)
    {
        var creator = context.GetService<IRelationalDatabaseCreator>();
        if (await creator.ExistsAsync(cancellationToken).ConfigureAwait(false))
        {
            return;
        }

        try
        {
            driver.EnsureCreatable(context.Database.GetDbConnection());
            await creator.CreateAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (error is KvException || DatabaseErrors.IsOfDatabase(error))
        {
            // Another starter may have been quicker, at any moment since it was looked for.
            if (!await creator.ExistsAsync(cancellationToken).ConfigureAwait(false))
            {
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error);
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
