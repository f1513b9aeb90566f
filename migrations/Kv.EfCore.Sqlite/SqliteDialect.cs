using System.Data;
using System.Data.Common;
using System.Globalization;
using Kv.Engine;
using Kv.Sqlite.CompiledModel;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.Extensions.Logging;

namespace Kv.Sqlite;

/// <summary>The store on SQLite.</summary>
internal sealed class SqliteDialect : KvDialect
{
    private const int NoTransaction = 1;
    private const int Busy = 5;
    private const int Locked = 6;
    private const int IoError = 10;
    private const int Full = 13;
    private const int CannotOpen = 14;
    private static readonly Version WithoutWalResetBug = new(3, 51, 3);
    private static int _warned;

    public override string Name => "sqlite";

    public override IModel Model => KvDbContextModel.Instance;

    public override KvSql Sql { get; } = new(arrays: false);

    // Every client runs on the machine that has the file.
    public override bool HasServerClock => false;

    public override bool IsRemote => false;

    public override bool Notifies => false;

    // Readers run on the threads of their callers without ever giving them up, so there are never more at work than the thread pool has
    // threads. Whoever finds none free waits for others and changes threads, which costs more than the read (with one for each core, 64
    // callers read 0.6 times as fast as 64 connections): so there are some to spare. They are opened when they are needed.
    public override int Readers => Math.Max(16, 4 * Environment.ProcessorCount);

    // Negative: a locked database is given back at once instead of being waited for in the caller's thread. The engine waits by itself.
    public override int? CommandTimeout(SessionRole role, KvStoreOptions options) => -1;

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
        if (settings.DataSource is "" or ":memory:" || settings.Mode == SqliteOpenMode.Memory || UriHas(":memory:") || UriHas("mode=memory"))
        {
            throw new NotSupportedException(
                $"The store cannot live in memory (data source '{settings.DataSource}'): it reads and writes on several connections. Use a file; for tests one in a temporary folder.");
        }

        if (settings.Cache == SqliteCacheMode.Shared || UriHas("cache=shared"))
        {
            throw new NotSupportedException(
                "Cache=Shared makes readers wait for writers and fail with locked tables. Leave it out: in WAL mode connections read beside a writer.");
        }

        // The pool would take a connection back in whatever transaction it is, and hold its locks; closed for good, it lets them go.
        if (settings.Pooling && connection.State == ConnectionState.Closed)
        {
            settings.Pooling = false;
            connection.ConnectionString = settings.ConnectionString;
        }

        bool UriHas(string setting) =>
            settings.DataSource.StartsWith("file:", StringComparison.OrdinalIgnoreCase) && settings.DataSource.Contains(setting, StringComparison.OrdinalIgnoreCase);
    }

    public override string Settle(string connectionString) => DataSource.Settle(connectionString);

    public override OpenPlace PlaceOf(DbConnection connection) => new OpenFile((SqliteConnection)connection);

    public override void RefuseToCreate(DbConnection connection)
    {
        var settings = new SqliteConnectionStringBuilder(connection.ConnectionString);
        if (settings.Mode == SqliteOpenMode.ReadWriteCreate && connection.State == ConnectionState.Closed)
        {
            settings.Mode = SqliteOpenMode.ReadWrite;
            connection.ConnectionString = settings.ConnectionString;
        }
    }

    public override async ValueTask OpenedAsync(
        DbConnection connection, SessionRole role, KvStoreOptions options, ILogger logger, CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _warned, 1) == 0 && Version.TryParse(connection.ServerVersion, out var version) && version < WithoutWalResetBug)
        {
            KvLog.OldSqlite(logger, connection.ServerVersion);
        }

        // Switching to WAL fails at once while another process recovers the file, whatever the timeout: so it is looked at first, and tried again.
        var backoff = Backoff.ForLocks(options.CommandTimeout);
        while (true)
        {
            try
            {
                if (await ScalarAsync("pragma journal_mode").ConfigureAwait(false) != "wal")
                {
                    await ScalarAsync("pragma journal_mode = wal").ConfigureAwait(false);
                }

                break;
            }
            catch (SqliteException error) when (Classify(error) == Fault.Busy)
            {
                if (!await backoff.WaitAsync(cancellationToken).ConfigureAwait(false))
                {
                    throw;
                }
            }
        }

        // Not kept in the file: each connection says it for itself. The log is bounded when it is recycled, and large enough that
        // checkpoints do not follow every few commits (measured: 40 k sets a second at 1,000 pages, 55 k at 8,000).
        var level = options.Durability == KvDurability.Full ? 2 : 1;
        await ScalarAsync($"""
            pragma synchronous = {level};
            pragma cache_size = -{(role is SessionRole.Heartbeat or SessionRole.Listen ? 512 : 16 * 1024)};
            pragma wal_autocheckpoint = 8000;
            pragma journal_size_limit = 67108864
            """).ConfigureAwait(false);
        if (await ScalarAsync("pragma synchronous").ConfigureAwait(false) is var set && set != level.ToString(CultureInfo.InvariantCulture))
        {
            throw new KvException(KvError.Unavailable, $"SQLite did not take synchronous={level} (it is {set}), so commits would be less durable than asked.");
        }

        async ValueTask<string?> ScalarAsync(string text)
        {
            var command = connection.CreateCommand();
            await using (command.ConfigureAwait(false))
            {
                command.CommandText = text;
                command.CommandTimeout = CommandTimeout(role, options)!.Value;
                return Convert.ToString(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false), CultureInfo.InvariantCulture);
            }
        }
    }

    // The driver's pool takes connections back as they are. One that went back in the middle of a transaction would keep the write lock, or
    // its old snapshot, and whoever opened it next would be in that transaction.
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
        catch (SqliteException error) when (error.SqliteErrorCode == NoTransaction)
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
        SqliteException { SqliteErrorCode: Busy or Locked } => Fault.Busy,
        SqliteException { SqliteErrorCode: Full } => Fault.Full,
        SqliteException { SqliteErrorCode: IoError or CannotOpen } => Fault.Broken,
        IOException => Fault.Broken,
        _ => Fault.Permanent,
    };

    // A failed COMMIT of SQLite has rolled back or can still be rolled back, except when the disk itself failed.
    public override bool ProvesRollback(Exception exception) => exception is SqliteException { SqliteErrorCode: not IoError };

    public override GroupWriter CreateWriter(Session session, StoreClock clock, KvStoreOptions options, FailPoints failPoints) =>
        new RowWriter(session, this, clock, options.CommandTimeout, failPoints);

    public override async ValueTask<ChangeFeed> OpenFeedAsync(Session session, KvStoreOptions options, CancellationToken cancellationToken)
    {
        var feed = new FileFeed(session, this, options.WatchInterval);
        await feed.LookAsync(cancellationToken).ConfigureAwait(false);
        return feed;
    }

    // A column of SQLite holds what is put in, with a type that is but a wish. Texts sort above all numbers, and blobs above all texts, so the
    // indexes find them. A due time that is no number is past, and each has one of its own, since it is half of the key.
    public override IReadOnlyList<(string Find, string Mend)> Mends { get; } =
    [
        ("select 1 from queue where ts >= '' limit 1", "update or ignore queue set ts = -rowid where ts >= '' returning id"),
        ("select 1 from queue where id >= x'' limit 1", "update or ignore queue set id = lower(hex(id)) where id >= x'' returning id"),
        ("select 1 from queue where topic >= x'' limit 1", "update queue set topic = cast(topic as text) where topic >= x'' returning id"),
        ("select 1 from queue where topic = @topic and group_key >= x'' limit 1",
            "update queue set group_key = cast(group_key as text) where topic = @topic and group_key >= x'' returning id"),
        ("select 1 from queue_running where deadline >= '' limit 1", "update or ignore queue_running set deadline = @now where deadline >= '' returning id"),
        ("select 1 from queue_running where id >= x'' limit 1", "update or ignore queue_running set id = lower(hex(id)) where id >= x'' returning id"),
    ];

    public override ValueTask<bool> IsAdoptedAsync(DbConnection connection, CancellationToken cancellationToken) => DenoFile.IsAsync(connection, cancellationToken);

    public override async ValueTask<IReadOnlyList<string>> AdoptAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var state = await DenoFile.StateAsync(connection, cancellationToken).ConfigureAwait(false);
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
