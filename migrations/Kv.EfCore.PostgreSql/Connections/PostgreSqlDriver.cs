using System.Collections.Concurrent;
using System.Data;
using System.Data.Common;
using System.Globalization;
using Kv.Connections;
using Kv.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Logging;
using Npgsql;
using Npgsql.EntityFrameworkCore.PostgreSQL.Storage.Internal;

namespace Kv.PostgreSql;

/// <summary>The store on PostgreSQL.</summary>
/// <param name="sql">Its statements.</param>
/// <param name="replica">The connection string of a replica, where it is about one.</param>
internal sealed class PostgreSqlDriver(PostgreSqlSql sql, NpgsqlConnectionStringBuilder? replica = null) : Driver
{
    // A caller that reads while its own listing holds a snapshot needs a second one.
    private const int LeastReaders = 2;
    private const int MostReaders = 8;

    // One that reads besides, two that write, one that hears, one for heartbeats, one for what comes seldom.
    private const int OtherConnections = 6;
    private static readonly ConcurrentDictionary<string, bool> WarnedOfEncoding = new(StringComparer.Ordinal);
    private static int _warned;

    public override string Name => "postgresql";

    public override PostgreSqlSql Sql { get; } = sql;

    public override int Readers => replica is { Pooling: true } ? Math.Clamp(replica.MaxPoolSize, 1, MostReaders) : MostReaders;

    // A lease must be extended, or found lost, well within a third of itself. What a replica does not answer, another server is to.
    public override int? CommandTimeout(SessionRole role, KvStoreOptions options) => role == SessionRole.Heartbeat ? 3
        : replica is not null ? (int)Math.Ceiling(options.CommandTimeout.TotalSeconds / 2)
        : base.CommandTimeout(role, options);

    public override void CheckConnection(DbConnection connection)
    {
        if (connection is not NpgsqlConnection { State: ConnectionState.Closed })
        {
            return;
        }

        var settings = new NpgsqlConnectionStringBuilder(connection.ConnectionString);
        if (settings.Multiplexing)
        {
            throw new NotSupportedException(
                "Multiplexing=true shares sessions of the server between commands; the store keeps transactions, prepared statements and notifications in sessions of its own. "
                + "Leave it out of the store's connection string; contexts of yours that are not joined to it may have it.");
        }

        if (replica is not null)
        {
            return;
        }

        if (settings.Pooling && settings.MaxPoolSize < LeastReaders + OtherConnections)
        {
            throw new NotSupportedException(
                $"Maximum Pool Size is {settings.MaxPoolSize}; a store needs {LeastReaders + OtherConnections} connections at the least ({LeastReaders} that read and one besides, "
                + "2 that write, one that listens, one for heartbeats, one for health and migrations), and contexts of yours with the same connection string take theirs from the same "
                + $"pool. Set Maximum Pool Size to {MostReaders + OtherConnections}, with which {MostReaders} read, or to more, or leave it out for the driver's 100.");
        }
    }

    public override int ReadersOf(DbConnection connection)
    {
        var settings = new NpgsqlConnectionStringBuilder(connection.ConnectionString);
        return settings.Pooling ? Math.Clamp(settings.MaxPoolSize - OtherConnections, LeastReaders, MostReaders) : MostReaders;
    }

    public override string Describe(DbConnection connection) => $"database \"{connection.Database}\" on {Server(connection)}";

    public override string DescribeMissing(DbConnection connection) =>
        $"database \"{connection.Database}\" does not exist on {Server(connection)}. Correct the connection string, create the database, or call `await services.MigrateKvStoreAsync()`, which creates it with the store's tables.";

    public override bool IsStarting(Exception exception) => Classify(exception) is Fault.Broken or Fault.Full;

    public override Interruption? Interrupt(CancellationToken cancellationToken) => cancellationToken.CanBeCanceled ? new Interruption(cancellationToken) : null;

    public override IEnumerable<Statement> OfTopics(Statement statement, IReadOnlyList<string> topics) => [statement.Set("@topics", topics.ToArray())];

    public override string OwnLocation => "a schema (Search Path=efkv in its connection string, after create schema efkv) or a database";

    public override async ValueTask<string?> FindElsewhereAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = Sql.Place.Elsewhere;
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                return reader.IsDBNull(0)
                    ? null
                    : $"The store's tables are in schema {reader.GetString(0)} of {Describe(connection)}, where an application's own model put them (UseKv with a default schema), and the search path ({reader.GetString(1)}) does not lead there. "
                        + $"Set KvStoreOptions.Schema to '{reader.GetString(0)}'. Migrating the store would make a second set of tables, so do not.";
            }
        }
    }

    // EF Core's provider takes a connection that is reset for a database that is not there. The caller that opens one is told which of the two it is.
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

    public override async ValueTask<DatabaseIdentity> IdentifyAsync(
        DbConnection connection, DbTransaction? transaction, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = Sql.Place.Identify;
            command.Transaction = transaction;
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                var (path, schemas, missing, temporary) = (reader.GetString(2), reader.GetString(3), reader.GetString(4), reader.GetString(5));
                var tables = missing.Length > 0 ? $"where the search path ({path}) finds no table {missing}"
                    : temporary.Length > 0 ? $"where a temporary table hides {temporary}"
                    : $"with the tables in schema {schemas}";
                return new DatabaseIdentity(
                    missing.Length > 0 || temporary.Length > 0 ? null : reader.GetString(0), "", $"{Describe(connection)} ({tables})");
            }
        }
    }

    public override async ValueTask<ServerIdentity> IdentifyServerAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = Sql.Place.Server;
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                return new ServerIdentity(reader.GetString(0), reader.GetString(1), reader.GetBoolean(2), Describe(connection));
            }
        }
    }

    public override string? SessionName(DbConnection connection) =>
        connection is NpgsqlConnection npgsql ? string.Create(CultureInfo.InvariantCulture, $"{npgsql.DataSource}/{npgsql.Database}/{npgsql.ProcessID}") : null;

    /// <summary>What commands of the application's have taken along.</summary>
    public AppendedCommands Appended { get; } = new();

    public override LoneTables Lone => field ??= new PostgreSqlLoneTables(this);

    public override bool IsGuard(Exception exception) =>
        exception is OtherTablesException or PostgresException { SqlState: PostgresErrorCodes.DivisionByZero };

    public override ValueTask OpenedAsync(
        DbConnection connection, SessionRole role, KvStoreOptions options, ILogger logger, CancellationToken cancellationToken) => role switch
        {
            SessionRole.Write => OpenedToWriteAsync(connection, options, logger, cancellationToken),

            // Behind a pooler of transactions the session is shared with others.
            _ when options.TransactionPooling => ValueTask.CompletedTask,
            SessionRole.Read => SetAsync(connection, ServerSql.ReaderSettings, cancellationToken),
            _ => SetAsync(connection, ServerSql.NameSession, cancellationToken),
        };

    /// <summary>The driver's own notion of transient errors lacks some of these, and has a full disk among them.</summary>
    public override Fault Classify(Exception exception) => exception switch
    {
        // A plan that was prepared before the tables were changed stays with its connection, also in the driver's pool.
        PostgresException { SqlState: PostgresErrorCodes.FeatureNotSupported, Routine: "RevalidateCachedQuery" } => Fault.Broken,

        // A flush on a server that became a standby, which answers other writes by a code of their own.
        PostgresException { SqlState: PostgresErrorCodes.InternalError, Routine: "GetNewTransactionId" } => Fault.Broken,
        PostgresException error => Classify(error.SqlState),
        NpgsqlException { InnerException: PostgresException inner } => Classify(inner),
        NpgsqlException or IOException or TimeoutException or System.Net.Sockets.SocketException => Fault.Broken,
        _ => DatabaseErrors.Wrapped(exception) is { } inner ? Classify(inner) : Fault.Permanent,
    };

    // The driver knows of connections that are gone, and nothing of those that lead to a server which takes no writes any more.
    public override void ClearPool(DbContext context)
    {
        Appended.ForgetSessions();
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

    public override KvErrorKind KindOf(Exception exception) => exception is PostgresException
    {
        SqlState: PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedColumn or PostgresErrorCodes.InvalidSchemaName or PostgresErrorCodes.InvalidCatalogName
    }
        ? KvErrorKind.Schema
        : KvErrorKind.Refused;

    public override string? RemedyOf(Exception exception) =>
        exception is PostgresException { SqlState: PostgresErrorCodes.UntranslatableCharacter } error && MissingCharacter.In(error.MessageText) is { } missing
            ? $"The encoding of the database lacks {missing}, which stands in a topic, a name, a key of a group, a note or another text of a message. "
                + "Make the database with encoding UTF8, or leave it out there; keys and values of entries may have it."
            : null;

    public override async ValueTask<string?> FindHolderAsync(Session session, int backend, CancellationToken cancellationToken)
    {
        var reader = await session.Statement(ServerSql.LockHolder).Set("@backend", backend).ReadAsync(cancellationToken).ConfigureAwait(false);
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

    public override async ValueTask<string?> FindBurdenAsync(DbConnection connection, TimeSpan longest, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = ServerSql.LongTransaction;
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

    // Of several servers, an open connection tells which.
    private static string Server(DbConnection connection)
    {
        if (connection is NpgsqlConnection { State: ConnectionState.Open, Host: { } host, Port: var port })
        {
            return string.Create(CultureInfo.InvariantCulture, $"{host}:{port}");
        }

        var settings = new NpgsqlConnectionStringBuilder(connection.ConnectionString);
        return Hosts.AreSeveral(settings) ? $"one of {settings.Host}" : string.Create(CultureInfo.InvariantCulture, $"{settings.Host}:{settings.Port}");
    }

    private static async ValueTask SetAsync(DbConnection connection, string settings, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = settings;
            await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask OpenedToWriteAsync(DbConnection connection, KvStoreOptions options, ILogger logger, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            // Behind a pooler of transactions the settings are those of each transaction.
            command.CommandText = $"""
                {(options.TransactionPooling ? "" : ServerSql.WriterSettings(IdleTime(options), LockWait.First(options.CommandTimeout), local: false) + ";")}
                select current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes'),
                    current_setting('server_encoding')
                """;
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                if (!options.TransactionPooling)
                {
                    await reader.NextResultAsync(cancellationToken).ConfigureAwait(false);
                }

                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                if (reader.GetString(3) is not "UTF8" and var encoding && WarnedOfEncoding.TryAdd(Describe(connection), true))
                {
                    KvLog.NotUtf8(logger, Describe(connection), encoding);
                }

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
    internal static TimeSpan IdleTime(KvStoreOptions options) => TimeSpan.FromMilliseconds(Math.Clamp(options.CommandTimeout.TotalMilliseconds / 3, 500, 10_000));

    private static Fault Classify(string state) => state switch
    {
        "40001" or "40P01" or "55P03" => Fault.Busy,
        "57014" => Fault.Busy, // Cancelled, by hand or by the server's own time-out: another try may fare better.
        "25006" => Fault.Broken, // A standby: this connection still leads to a former primary.
        "26000" or "42P05" or "25P02" or "25P03" or "25P04" => Fault.Broken, // What the server has prepared or begun is not what this session did.
        "3D000" or "28000" or "28P01" => Fault.Permanent,
        _ when IsShutdown(state) || state.StartsWith("08", StringComparison.Ordinal) => Fault.Broken,
        _ when state.StartsWith("53", StringComparison.Ordinal) => Fault.Full,
        _ => Fault.Permanent,
    };

    private static bool IsShutdown(string state) => state is "57P01" or "57P02" or "57P03" or "57P05";
}
