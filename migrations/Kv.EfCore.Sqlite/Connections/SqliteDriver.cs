using System.Data;
using System.Data.Common;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Sql;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace Kv.Sqlite;

/// <summary>The store on SQLite.</summary>
internal sealed class SqliteDriver(SqliteSql sql) : Driver
{
    private const int WithoutWaiting = -1;
    private const int Error = 1;
    private const int Busy = 5;
    private const int Locked = 6;
    private const int NoMemory = 7;
    private const int ReadOnly = 8;
    private const int IoError = 10;
    private const int Corrupt = 11;
    private const int Full = 13;
    private const int CannotOpen = 14;
    private const int Protocol = 15;
    private const int TooBig = 18;
    private const int Constraint = 19;
    private const int Mismatch = 20;
    private const int Range = 25;
    private const int NotADatabase = 26;
    private static readonly Version WithoutWalResetBug = new(3, 51, 3);
    private static int _warned;

    public override string Name => "sqlite";

    public override SqliteSql Sql { get; } = sql;

    // Readers run on the threads of their callers without ever giving them up, so there are never more at work than the thread pool has
    // threads. A caller that finds none free waits for others and changes threads, which costs more than the read (with one for each core,
    // 64 callers read 0.6 times as fast as 64 connections): so there are some to spare. They are opened when they are needed.
    public override int Readers => Math.Max(16, 4 * Environment.ProcessorCount);

    // Negative: a locked database is given back at once instead of being waited for in the caller's thread. The engine waits by itself.
    public override int? CommandTimeout(SessionRole role, KvStoreOptions options) => WithoutWaiting;

    public override DbCommand CreateCommand(DbConnection connection)
    {
        var command = base.CreateCommand(connection);
        command.CommandTimeout = WithoutWaiting;
        return command;
    }

    // In a user's transaction the user's setting counts, by which 0 means for ever.
    public override Statement CreateStatement(Session session, string text)
    {
        var connection = (SqliteConnection)session.Connection;
        var patience = (session.CommandTimeout ?? connection.DefaultTimeout) switch
        {
            < 0 => TimeSpan.Zero,
            0 => TimeSpan.MaxValue,
            var seconds => TimeSpan.FromSeconds(seconds),
        };
        return new SqliteStatement(connection, text, patience, nested: session.Transaction is not null);
    }

    public override void CheckConnection(DbConnection connection)
    {
        var settings = new SqliteConnectionStringBuilder(connection.ConnectionString);
        if (settings.DataSource is "" or ":memory:"
            || settings.Mode == SqliteOpenMode.Memory || UriHas(":memory:") || UriHas("mode=memory"))
        {
            throw new NotSupportedException(
                $"The store cannot be in the memory of this connection (data source '{settings.DataSource}'): it reads and writes on "
                + "several. For a database that is gone with the store, give it the connection string 'Data Source=:memory:', alone.");
        }

        if (settings.Cache == SqliteCacheMode.Shared || UriHas("cache=shared"))
        {
            throw new NotSupportedException(
                "Cache=Shared makes readers wait for writers and fail with locked tables. "
                + "Leave it out: in WAL mode connections read beside a writer.");
        }

        // The pool would take a connection back in whatever transaction it is, and hold its locks; closed for good, it lets them go.
        if (settings.Pooling && connection.State == ConnectionState.Closed)
        {
            settings.Pooling = false;
            connection.ConnectionString = settings.ConnectionString;
        }

        bool UriHas(string setting) =>
            settings.DataSource.StartsWith("file:", StringComparison.OrdinalIgnoreCase)
            && settings.DataSource.Contains(setting, StringComparison.OrdinalIgnoreCase);
    }

    public override OpenStorage StorageOf(DbConnection connection) => new OpenFile((SqliteConnection)connection);

    public override void RefuseToCreate(DbConnection connection)
    {
        var settings = new SqliteConnectionStringBuilder(connection.ConnectionString);
        if (settings.Mode == SqliteOpenMode.ReadWriteCreate && connection.State == ConnectionState.Closed)
        {
            settings.Mode = SqliteOpenMode.ReadWrite;
            connection.ConnectionString = settings.ConnectionString;
        }
    }

    public override ValueTask<DatabaseIdentity> IdentifyAsync(
        DbConnection connection, DbTransaction? transaction, CancellationToken cancellationToken)
    {
        var file = IdentifyFile(connection);
        using var command = connection.CreateCommand();
        command.CommandText = Sql.TemporaryTable;
        command.Transaction = transaction;
        return new(command.ExecuteScalar() is string hidden
            ? file with { Tables = null, Location = $"{file.Location}, where a temporary table hides {hidden}" }
            : file);
    }

    /// <summary>Which file a connection works on, whatever temporary tables it has.</summary>
    public static DatabaseIdentity IdentifyFile(DbConnection connection)
    {
        var file = MainFile.Of((SqliteConnection)connection);
        return new DatabaseIdentity(file.Identity, file.Path, file.ToString());
    }

    public override async ValueTask<DatabaseIdentity?> IdentifyOpenedAsync(DbConnection connection, CancellationToken cancellationToken) =>
        await IdentifyAsync(connection, null, cancellationToken).ConfigureAwait(false);

    public override IEnumerable<Statement> OfTopics(Statement statement, IReadOnlyList<string> topics) =>
        topics.Select(topic => statement.Set("@topic", topic));

    public override DatabaseIdentity? IdentifyAgain(DatabaseIdentity known)
    {
        var file = MainFile.At(known.Name);
        return file.Identity is not null && string.Equals(file.Identity, known.Tables, StringComparison.Ordinal)
            ? known
            : known with { Tables = null, Location = (file with { Identity = null }).ToString() };
    }

    // EF Core begins transactions of SQLite as immediate ones.
    public override bool LocksWhole(DbConnection holding, DbConnection waiting) =>
        holding is SqliteConnection && string.Equals(PathOf(holding), PathOf(waiting), StringComparison.Ordinal);

    public override string Describe(DbConnection connection) => $"file '{PathOf(connection)}'";

    public override string DescribeMissing(DbConnection connection)
    {
        var path = PathOf(connection);
        var mode = new SqliteConnectionStringBuilder(connection.ConnectionString).Mode;
        return Path.GetDirectoryName(path) is { Length: > 0 } folder && !Directory.Exists(folder)
            ? $"the folder '{folder}' of the file '{path}' does not exist. Create the folder, or correct the path; "
                + "then `await services.MigrateKvStoreAsync()` creates the file with the store's tables."
            : File.Exists(path)
            ? $"the file '{path}' is there, but this process may not open it. "
                + "Change its permissions and those of its folder, or correct the path."
            : mode == SqliteOpenMode.ReadWriteCreate
            ? $"the file '{path}' does not exist. "
                + "Correct the path, or call `await services.MigrateKvStoreAsync()`, which creates it with the store's tables."
            : $"the file '{path}' does not exist, and Mode={mode} creates none. Correct the path, or leave Mode out "
                + "and call `await services.MigrateKvStoreAsync()`, which creates it with the store's tables.";
    }

    public override void EnsureCreatable(DbConnection connection)
    {
        var path = PathOf(connection);
        if (File.Exists(path)
            || new SqliteConnectionStringBuilder(connection.ConnectionString).Mode != SqliteOpenMode.ReadWriteCreate
            || (Path.GetDirectoryName(path) is { Length: > 0 } folder && !Directory.Exists(folder)))
        {
            throw new KvException(KvErrorKind.Schema, $"The store cannot be migrated: {DescribeMissing(connection)}");
        }
    }

    public override string OwnLocation => "a file";

    // Deno's are never called otherwise.
    private bool HasOwnNames => Sql.Prefix.Length > 0;

    public override ValueTask OpenedAsync(
        DbConnection connection, SessionRole role, KvStoreOptions options, ILogger logger, CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _warned, 1) == 0
            && Version.TryParse(connection.ServerVersion, out var version)
            && version < WithoutWalResetBug)
        {
            KvLog.OldSqlite(logger, connection.ServerVersion);
        }

        return new ConnectionSettings(this, connection, role, options).SetAsync(cancellationToken);
    }

    private static string PathOf(DbConnection connection) =>
        DataSource.PathOf(new SqliteConnectionStringBuilder(connection.ConnectionString).DataSource);

    // The driver's pool takes connections back as they are. One that went back in the middle of a transaction would keep the write lock, or
    // its old snapshot, and the next one to open it would be in that transaction.
    public override void Closing(DbConnection connection)
    {
        if (connection is not SqliteConnection { State: System.Data.ConnectionState.Open } sqlite)
        {
            return;
        }

        using var command = sqlite.CreateCommand();
        command.CommandText = KvSql.Rollback;
        try
        {
            command.ExecuteNonQuery();
        }
        catch (SqliteException error) when (error.SqliteErrorCode == Error)
        {
            // As it should be.
        }
        catch (SqliteException)
        {
            SqliteConnection.ClearPool(sqlite);
        }
    }

    public override Fault Classify(Exception exception) => exception switch
    {
        SqliteException { SqliteErrorCode: Busy or Locked or Protocol } => Fault.Busy,
        SqliteException { SqliteErrorCode: Full or NoMemory } => Fault.Full,
        SqliteException { SqliteErrorCode: IoError or CannotOpen } => Fault.Broken,
        TimeoutException => Fault.Busy,
        IOException => Fault.Broken,
        _ => DatabaseErrors.Wrapped(exception) is { } inner ? Classify(inner) : Fault.Permanent,
    };

    // A file that was read-only when it was opened stays so for that connection, whatever becomes of the file.
    public override bool IsSpent(Exception exception) =>
        exception is SqliteException { SqliteErrorCode: ReadOnly } || base.IsSpent(exception);

    public override bool IsDamage(Exception exception) => exception is SqliteException { SqliteErrorCode: Corrupt or NotADatabase };

    public override bool IsLockWait(Exception exception) => exception is SqliteException { SqliteErrorCode: Busy or Locked };

    public override string LockAdvice =>
        "Look for a transaction that is left open, in this process or another one; "
        + "what is to be part of a transaction of your own goes there with CommitAsync(context)";

    public override bool IsOfValues(Exception exception) =>
        exception is SqliteException { SqliteErrorCode: TooBig or Constraint or Mismatch or Range };

    public override KvErrorKind KindOf(Exception exception) => exception switch
    {
        SqliteException { SqliteErrorCode: ReadOnly } => KvErrorKind.Unavailable,
        SqliteException { SqliteErrorCode: Error } error
            when error.Message.Contains("no such", StringComparison.Ordinal) => KvErrorKind.Schema,
        _ => KvErrorKind.Refused,
    };

    public override async ValueTask<string?> FindDamageAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            var command = connection.CreateCommand();
            await using (command.ConfigureAwait(false))
            {
                command.CommandText = SqliteSql.QuickCheck;
                var found = await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
                return found is string and not "ok" and var damage ? damage : null;
            }
        }
        catch (SqliteException error) when (IsDamage(error))
        {
            return error.Message;
        }
    }

    // A failed COMMIT of SQLite has rolled back or can still be rolled back, except when the disk itself failed.
    public override bool ProvesRollback(Exception exception, DbConnection connection) =>
        exception is SqliteException { SqliteErrorCode: not IoError };

    public override bool MayBeAdopted => !HasOwnNames;

    public override bool LooksAdopted(DbConnection connection)
    {
        using var command = CreateCommand(connection);
        command.CommandText = DenoFile.IsOne;
        return command.ExecuteScalar() is not 0L;
    }

    public override ValueTask<bool> IsAdoptedAsync(DbConnection connection, CancellationToken cancellationToken) =>
        HasOwnNames ? new(false) : DenoFile.IsAsync(connection, cancellationToken);

    public override ValueTask ShareAsync(DbConnection connection, CancellationToken cancellationToken) =>
        SQLitePCL.raw.sqlite3_db_readonly(((SqliteConnection)connection).Handle!, "main") == 1
            ? ValueTask.CompletedTask
            : new MovedMessages(TableNames.Default).EnsureAsync(connection, cancellationToken);

    public override async ValueTask<IReadOnlyList<string>> AdoptAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var state = HasOwnNames ? null : await DenoFile.StateAsync(connection, cancellationToken).ConfigureAwait(false);
        if (state is { } step)
        {
            await DenoFile.PrepareAsync(connection, step, cancellationToken).ConfigureAwait(false);
        }

        return state switch
        {
            null => [],
            <= 2 => ["Initial"],
            _ => ["Initial", "Expiry"],
        };
    }
}
