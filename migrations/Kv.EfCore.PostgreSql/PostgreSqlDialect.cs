using System.Data;
using System.Data.Common;
using Kv.Engine;
using Kv.PostgreSql.CompiledModel;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Logging;
using Npgsql;
using Npgsql.EntityFrameworkCore.PostgreSQL.Storage.Internal;

namespace Kv.PostgreSql;

/// <summary>The store on PostgreSQL.</summary>
internal sealed class PostgreSqlDialect : KvDialect
{
    private static int _warned;

    public override string Name => "postgresql";

    public override IModel Model => KvDbContextModel.Instance;

    public override KvSql Sql { get; } = new(arrays: true);

    public override bool HasServerClock => true;

    public override bool IsRemote => true;

    public override bool Notifies => true;

    public override int Readers => 8;

    // A lease must be extended, or found lost, well within a third of itself.
    public override int? CommandTimeout(SessionRole role, KvStoreOptions options) =>
        role == SessionRole.Heartbeat ? 3 : base.CommandTimeout(role, options);

    public override void CheckConnection(DbConnection connection)
    {
        // Any server will do; what is wrong with the connection string, the driver says.
    }

    // EF Core's provider takes a connection that is reset for a database that is not there. Who opens one is told which of the two it is.
    public override async ValueTask<bool> IsMissingAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            await connection.OpenAsync(cancellationToken).ConfigureAwait(false);
            await connection.CloseAsync().ConfigureAwait(false);
            return false;
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.InvalidCatalogName)
        {
            return true;
        }
    }

    public override ValueTask OpenedAsync(
        DbConnection connection, SessionRole role, KvStoreOptions options, ILogger logger, CancellationToken cancellationToken) => role switch
        {
            SessionRole.Write => OpenedToWriteAsync(connection, options, logger, cancellationToken),

            // Behind a pooler of transactions the session is anybody's.
            SessionRole.Read when !options.TransactionPooling => OpenedToReadAsync(connection, cancellationToken),
            _ => ValueTask.CompletedTask,
        };

    /// <summary>The driver's own notion of transient errors lacks some of these, and has a full disk among them.</summary>
    public override Fault Classify(Exception exception) => exception switch
    {
        // A plan that was prepared before the tables were changed stays with its connection, also in the driver's pool.
        PostgresException { SqlState: PostgresErrorCodes.FeatureNotSupported, Routine: "RevalidateCachedQuery" } => Fault.Broken,
        PostgresException error => Classify(error.SqlState),
        NpgsqlException { InnerException: PostgresException inner } => Classify(inner),
        NpgsqlException or IOException or TimeoutException or System.Net.Sockets.SocketException => Fault.Broken,
        _ => DatabaseErrors.Wrapped(exception) is { } inner ? Classify(inner) : Fault.Permanent,
    };

    // The driver knows of connections that are gone, and nothing of those that lead to a server which takes no writes any more.
    public override void ClearPool(DbContext context)
    {
        try
        {
#pragma warning disable EF1001 // The only way to the data source that the application gave to EF Core.
            if (context.GetService<IRelationalConnection>() is INpgsqlRelationalConnection { DataSource: NpgsqlDataSource source })
#pragma warning restore EF1001
            {
                source.Clear();
            }

            NpgsqlConnection.ClearPool((NpgsqlConnection)context.Database.GetDbConnection());
        }
        catch (Exception error) when (error is DbException or InvalidOperationException)
        {
            // What is being cleared was gone already.
        }
    }

    public override bool IsLockWait(Exception exception) => exception is PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable };

    public override string LockAdvice => "Look for a transaction that is left open (pg_stat_activity)";

    public override bool IsOfValues(Exception exception) =>
        exception is PostgresException { SqlState: var state } && (state.StartsWith("22", StringComparison.Ordinal) || state.StartsWith("23", StringComparison.Ordinal));

    public override KvError KindOf(Exception exception) => exception is PostgresException
    {
        SqlState: PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedColumn or PostgresErrorCodes.InvalidSchemaName or PostgresErrorCodes.InvalidCatalogName
    }
        ? KvError.Schema
        : KvError.Refused;

    public override async ValueTask<string?> FindHolderAsync(Session session, int backend, CancellationToken cancellationToken)
    {
        var reader = await session.Statement(KvSql.LockHolder).Set("@backend", backend).ReadAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            return !await reader.ReadAsync(cancellationToken).ConfigureAwait(false) ? null
                : reader.GetInt32(0) == 0 ? "a prepared transaction (see pg_prepared_xacts)"
                : $"process {reader.GetInt32(0)} of the server ({reader.GetString(1)}, {reader.GetString(2)}), whose transaction has been open for {reader.GetInt64(3)} seconds and whose last statement is: {reader.GetString(4)}";
        }
    }

    // The server answered with an error instead of a commit. A server that is going down may have committed before it said so.
    // Where the driver's own time-out cancelled the statement and the connection is still open, the server has answered that it did.
    public override bool ProvesRollback(Exception exception, DbConnection connection) => exception switch
    {
        PostgresException { SqlState: var state } => !IsShutdown(state),
        NpgsqlException { InnerException: TimeoutException } => connection.State == ConnectionState.Open,
        _ => false,
    };

    public override GroupWriter CreateWriter(Session session, StoreClock clock, KvStoreOptions options, FailPoints failPoints) =>
        new ArrayWriter(session, this, clock, options.TransactionPooling ? KvSql.WriterSettings(IdleTime(options), LockWait.First(options.CommandTimeout), local: true) : null, failPoints);

    public override async ValueTask<ChangeFeed> OpenFeedAsync(Session session, KvStoreOptions options, CancellationToken cancellationToken)
    {
        var feed = new NotificationFeed(session);
        var channel = (string)(await session.Statement(KvSql.Channel).ScalarAsync(cancellationToken).ConfigureAwait(false))!;
        await session.ExecuteAsync(KvSql.Listen(channel), cancellationToken).ConfigureAwait(false);
        return feed;
    }

    public override async ValueTask<string?> FindBurdenAsync(DbConnection connection, TimeSpan longest, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = KvSql.LongTransaction;
            command.Parameters.Add(new NpgsqlParameter("@seconds", longest.TotalSeconds));
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                return await reader.ReadAsync(cancellationToken).ConfigureAwait(false)
                    ? $"A transaction has been open for {reader.GetInt64(3)} seconds (process {reader.GetInt32(0)}, {reader.GetString(1)}, {reader.GetString(2)}). While it is, PostgreSQL cleans up nothing that claims and writes leave behind, and both become slower. End it, and set idle_in_transaction_session_timeout."
                    : null;
            }
        }
    }

    private static async ValueTask OpenedToReadAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = KvSql.ReaderSettings;
            await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private static async ValueTask OpenedToWriteAsync(DbConnection connection, KvStoreOptions options, ILogger logger, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            // Behind a pooler of transactions the settings are those of each transaction.
            command.CommandText = $"""
                {(options.TransactionPooling ? "" : KvSql.WriterSettings(IdleTime(options), LockWait.First(options.CommandTimeout), local: false) + ";")}
                select current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes')
                """;
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                if (!options.TransactionPooling)
                {
                    await reader.NextResultAsync(cancellationToken).ConfigureAwait(false);
                }

                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                for (var i = 0; i < 3; i++)
                {
                    if (reader.GetString(i) == "off" && Interlocked.Exchange(ref _warned, 1) == 0)
                    {
                        KvLog.NotDurable(logger, i switch { 0 => "fsync", 1 => "synchronous_commit", _ => "full_page_writes" }, "off");
                    }
                }
            }
        }
    }

    // A writer whose machine is cut off must not hold the version row for as long as TCP believes in it: well within the time that others
    // try, since this row is what they wait for.
    private static TimeSpan IdleTime(KvStoreOptions options) => TimeSpan.FromMilliseconds(Math.Clamp(options.CommandTimeout.TotalMilliseconds / 3, 500, 10_000));

    private static Fault Classify(string state) => state switch
    {
        "40001" or "40P01" or "55P03" => Fault.Busy,
        "57014" => Fault.Busy, // Cancelled, by somebody or by the server's own time-out: another try may fare better.
        "25006" => Fault.Broken, // A standby: this connection still leads to a former primary.
        "26000" or "42P05" or "25P02" or "25P03" or "25P04" => Fault.Broken, // What the server has prepared or begun is not what this session did.
        "3D000" or "28000" or "28P01" => Fault.Permanent,
        _ when IsShutdown(state) || state.StartsWith("08", StringComparison.Ordinal) => Fault.Broken,
        _ when state.StartsWith("53", StringComparison.Ordinal) => Fault.Full,
        _ => Fault.Permanent,
    };

    private static bool IsShutdown(string state) => state is "57P01" or "57P02" or "57P03" or "57P05";
}
