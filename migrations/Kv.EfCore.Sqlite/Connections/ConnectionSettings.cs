using System.Data.Common;
using System.Globalization;
using Kv.Connections;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Kv.Sqlite;

/// <summary>Sets up a connection of a store that was just opened.</summary>
internal sealed class ConnectionSettings(SqliteDriver driver, DbConnection connection, SessionRole role, KvStoreOptions options)
{
    private static readonly TimeSpan LongestSwitch = TimeSpan.FromMilliseconds(500);

    /// <summary>Takes a connection to the level of <c>synchronous</c> that commits have, outside of a transaction.</summary>
    public static string SetLevel(KvDurability durability) =>
        durability == KvDurability.Full ? "pragma synchronous = 2" : "pragma synchronous = 1";

    private static int LevelOf(KvDurability durability) => durability == KvDurability.Full ? 2 : 1;

    /// <exception cref="KvException">The connection cannot write, or not as durably as it should.</exception>
    public ValueTask SetAsync(CancellationToken cancellationToken) =>
        raw.sqlite3_db_readonly(((SqliteConnection)connection).Handle!, "main") == 1
            ? SetReadOnlyAsync(cancellationToken)
            : SetWritableAsync(cancellationToken);

    private async ValueTask SetWritableAsync(CancellationToken cancellationToken)
    {
        await SwitchToWalAsync(cancellationToken).ConfigureAwait(false);

        // Not kept in the file: each connection says it for itself. The log is bounded when it is recycled, and large enough that
        // checkpoints do not follow every few commits (measured: 40 k sets a second at 1,000 pages, 55 k at 8,000).
        var level = LevelOf(options.Durability);
        await ScalarAsync(
            $"""
            {SetLevel(options.Durability)};
            pragma cache_size = -{(role is SessionRole.Heartbeat or SessionRole.Listen ? 512 : 16 * 1024)};
            pragma wal_autocheckpoint = 8000;
            pragma journal_size_limit = 67108864
            """,
            cancellationToken).ConfigureAwait(false);
        var set = await ScalarAsync("pragma synchronous", cancellationToken).ConfigureAwait(false);
        if (set != level.ToString(CultureInfo.InvariantCulture))
        {
            throw new KvException(
                KvErrorKind.Unavailable,
                $"SQLite did not take synchronous={level} (it is {set}), so commits would be less durable than asked.");
        }
    }

    // The journal of a file that this process cannot write is as its writers want it.
    private async ValueTask SetReadOnlyAsync(CancellationToken cancellationToken)
    {
        if (role is SessionRole.Write or SessionRole.Heartbeat)
        {
            throw new KvException(
                KvErrorKind.Unavailable,
                $"The {driver.Describe(connection)} is read-only for this process, so reads work and writes do not; nothing was written. "
                + "Leave Mode=ReadOnly out of the connection string, or change the permissions of the file and its folder.")
            {
                IsLasting = true,
            };
        }

        await ScalarAsync($"pragma cache_size = -{16 * 1024}", cancellationToken).ConfigureAwait(false);
    }

    // Switching to WAL fails at once while another process recovers the file, whatever the timeout: so it is looked at first, and tried
    // again. Not for long: the caller that wants the session tries again as well, and knows how much time there is.
    private async ValueTask SwitchToWalAsync(CancellationToken cancellationToken)
    {
        var backoff = Backoff.ForLocks(options.CommandTimeout < LongestSwitch ? options.CommandTimeout : LongestSwitch);
        await Retry.UntilAsync(TryAsync, Classify, static error => error, cancellationToken).ConfigureAwait(false);

        async ValueTask<string?> TryAsync(Backoff? before) =>
            await ScalarAsync("pragma journal_mode", cancellationToken).ConfigureAwait(false) is "wal" and var wal
                ? wal
                : await ScalarAsync("pragma journal_mode = wal", cancellationToken).ConfigureAwait(false);

        Backoff? Classify(Exception error, Backoff? before) =>
            error is SqliteException && driver.Classify(error) == Fault.Busy ? backoff : null;
    }

    private async ValueTask<string?> ScalarAsync(string text, CancellationToken cancellationToken)
    {
        var command = driver.CreateCommand(connection);
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = text;
            var scalar = await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
            return Convert.ToString(scalar, CultureInfo.InvariantCulture);
        }
    }
}
