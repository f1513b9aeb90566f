using System.Data.Common;
using System.Globalization;
using Kv.Connections;
using Kv.Sql;
using Microsoft.EntityFrameworkCore;

namespace Kv.Feed;

/// <summary>Switches the change feed on and off: makes and drops the triggers that fill it, on a connection of its own.</summary>
/// <param name="contexts">Makes contexts on the store's database.</param>
/// <param name="driver">The database.</param>
/// <param name="locks">The write gate, where there is one.</param>
/// <param name="options">How long to wait for locks.</param>
internal sealed class FeedSwitch(Func<KvDbContext> contexts, Driver driver, SharedLocks? locks, KvStoreOptions options)
{
    private FeedSql Sql => driver.Sql.Feed;

    /// <summary>Switches it on where it is off, and says how long changes are kept.</summary>
    /// <remarks>
    /// Under the lock of the version row, which every writer takes before it writes: a writer that comes after finds the triggers, and what
    /// came before is in no version after the one that the feed begins with.
    /// </remarks>
    public Task OnAsync(long? keepMilliseconds, long? keepVersions, CancellationToken cancellationToken) => InTransactionAsync(
        async connection =>
        {
            if (!await IsOnAsync(connection, cancellationToken).ConfigureAwait(false))
            {
                foreach (var statement in (string[])[.. Sql.DropTriggers, Sql.ForgetAhead, .. Sql.MakeTriggers, Sql.Close, Sql.Open])
                {
                    await ExecuteAsync(connection, statement, cancellationToken).ConfigureAwait(false);
                }
            }

            var keep = Command(connection, Sql.Keep);
            await using (keep.ConfigureAwait(false))
            {
                CommandStatement.Declare(keep.Parameters, Sql.Keep, keep.CreateParameter);
                CommandStatement.Assign(keep.Parameters, "@age", keepMilliseconds);
                CommandStatement.Assign(keep.Parameters, "@versions", keepVersions);
                await keep.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
            }
        },
        "on",
        cancellationToken);

    /// <summary>Switches it off. What it has recorded is of no use then.</summary>
    /// <returns>The store's version: a feed that is switched on again begins with none before it.</returns>
    public async Task<long> OffAsync(CancellationToken cancellationToken)
    {
        var version = 0L;
        await InTransactionAsync(
            async connection =>
            {
                foreach (var statement in (string[])[.. Sql.DropTriggers, Sql.ForgetAhead, Sql.Close])
                {
                    await ExecuteAsync(connection, statement, cancellationToken).ConfigureAwait(false);
                }

                var command = Command(connection, driver.Sql.Version);
                await using (command.ConfigureAwait(false))
                {
                    version = Convert.ToInt64(
                        await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false), CultureInfo.InvariantCulture);
                }
            },
            "off",
            cancellationToken).ConfigureAwait(false);
        return version;
    }

    private async Task<bool> IsOnAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var command = Command(connection, Sql.State);
        await using (command.ConfigureAwait(false))
        {
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                return !reader.IsDBNull(1) && Convert.ToInt32(reader.GetValue(2), CultureInfo.InvariantCulture) == 1;
            }
        }
    }

    // With nothing of the caller: a connection that is opened in a transaction of System.Transactions would be part of it.
    private Task InTransactionAsync(Func<DbConnection, Task> use, string what, CancellationToken cancellationToken) =>
        Detached.RunAsync(async () =>
        {
            try
            {
                using var gate = await SharedLocks.PassAsync(locks).ConfigureAwait(false);
                var context = contexts();
                await using (context.ConfigureAwait(false))
                {
                    await context.Database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
                    var connection = context.Database.GetDbConnection();
                    await BeginAsync(connection, cancellationToken).ConfigureAwait(false);
                    await ExecuteAsync(connection, driver.Sql.LockVersion, cancellationToken).ConfigureAwait(false);
                    await use(connection).ConfigureAwait(false);
                    await ExecuteAsync(connection, KvSql.Commit, CancellationToken.None).ConfigureAwait(false);
                }
            }
            catch (Exception error) when (DatabaseErrors.IsOfDatabase(error) && !cancellationToken.IsCancellationRequested)
            {
                throw driver.Classify(error) == Fault.Permanent
                    ? DatabaseErrors.Refused(driver, error, $"to switch the change feed {what}")
                    : new KvException(
                        KvErrorKind.Unavailable,
                        $"The change feed could not be switched {what} ({DatabaseErrors.Text(error).TrimEnd('.')}). Nothing was changed, "
                        + "unless the connection was lost during the commit: look at IKvChanges.GetStateAsync, and try again.",
                        error);
            }
        });

    // A file that another process writes is waited for here; a server waits by itself.
    private async Task BeginAsync(DbConnection connection, CancellationToken cancellationToken) => await Retry.UntilAsync(
        async _ =>
        {
            await ExecuteAsync(connection, driver.Sql.BeginWrite, cancellationToken).ConfigureAwait(false);
            return true;
        },
        (error, backoff) => driver.Classify(error) == Fault.Busy ? backoff ?? Backoff.ForLocks(options.CommandTimeout) : null,
        static error => error,
        cancellationToken).ConfigureAwait(false);

    private async Task ExecuteAsync(DbConnection connection, string text, CancellationToken cancellationToken)
    {
        var command = Command(connection, text);
        await using (command.ConfigureAwait(false))
        {
            await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private DbCommand Command(DbConnection connection, string text)
    {
        var command = driver.CreateCommand(connection);
        command.CommandText = text;
        if (driver.CommandTimeout(SessionRole.Write, options) is { } timeout)
        {
            command.CommandTimeout = timeout;
        }

        return command;
    }
}
