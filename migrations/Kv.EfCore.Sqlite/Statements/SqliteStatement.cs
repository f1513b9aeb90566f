using System.Buffers;
using System.Data.Common;
using System.Globalization;
using System.Text;
using Kv.Connections;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Kv.Sqlite;

/// <summary>A statement that SQLite keeps prepared, run on the handle of the driver's connection.</summary>
/// <remarks>
/// A command of Microsoft.Data.Sqlite allocates 640 bytes and looks its parameters up anew for each run, which is half of the price of a
/// read (decision 0018). Everything that belongs to the connection applies as before: settings, keys, functions, interceptors, the open
/// transaction. Errors are those of the driver.
/// </remarks>
internal sealed class SqliteStatement : Statement
{
    private const uint Persistent = 1;
    private const int StackSize = 256;

    // By reflection, because a compiler that sees an older SQLitePCLRaw than the driver was built with refuses to name the property.
    internal static readonly Func<SqliteConnection, sqlite3?> HandleOf =
        typeof(SqliteConnection).GetProperty("Handle")!.GetMethod!.CreateDelegate<Func<SqliteConnection, sqlite3?>>();

    private readonly Dictionary<string, int> _parameters = new(StringComparer.Ordinal);
    private readonly HashSet<int> _unset = [];
    private readonly sqlite3 _database;
    private readonly sqlite3_stmt _statement;
    private readonly SqliteRows _rows;
    private readonly TimeSpan _longestWait;
    private readonly bool _nested;
    private readonly bool _writes;
    private nint _run;

    /// <summary>Prepares a statement.</summary>
    /// <param name="connection">An open connection.</param>
    /// <param name="text">One statement.</param>
    /// <param name="longestWait">How long to wait for locks of others.</param>
    /// <param name="nested">Whether it is part of a transaction of the user's, without which it must not run.</param>
    public SqliteStatement(SqliteConnection connection, string text, TimeSpan longestWait, bool nested = false)
    {
        _database = HandleOf(connection) ?? throw new InvalidOperationException("The connection is closed.");

        // Which does nothing, but finds out now and not in the middle of a run whether there is something to call.
        _ = NativeStatement.Reset(0);
        Check(raw.sqlite3_prepare_v3(_database, text, Persistent, out _statement, out var rest));
        if (!string.IsNullOrWhiteSpace(rest))
        {
            _statement.Dispose();
            throw new ArgumentException($"A text is one statement; after its first there is more: {rest}", nameof(text));
        }

        _rows = new SqliteRows(this);
        (_longestWait, _nested) = (longestWait, nested);
        _writes = raw.sqlite3_stmt_readonly(_statement) == 0;
        for (var i = 1; i <= raw.sqlite3_bind_parameter_count(_statement); i++)
        {
            _parameters.Add(raw.sqlite3_bind_parameter_name(_statement, i).utf8_to_string(), i);
            _unset.Add(i);
        }
    }

    public override Statement Set(string parameter, long value)
    {
        if (TryFind(parameter, out var index))
        {
            Check(raw.sqlite3_bind_int64(_statement, index, value));
        }

        return this;
    }

    public override Statement Set(string parameter, object? value)
    {
        if (TryFind(parameter, out var index))
        {
            Check(value switch
            {
                null or DBNull => raw.sqlite3_bind_null(_statement, index),
                byte[] { Length: 0 } => raw.sqlite3_bind_zeroblob(_statement, index, 0),
                byte[] bytes => raw.sqlite3_bind_blob(_statement, index, bytes),
                string text => BindText(index, text),
                double number => raw.sqlite3_bind_double(_statement, index, number),
                _ => raw.sqlite3_bind_int64(_statement, index, Convert.ToInt64(value, CultureInfo.InvariantCulture)),
            });
        }

        return this;
    }

    public override ValueTask<DbDataReader> ReadAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return TryRun(out var found) ? new(_rows.Open(found)) : WaitAsync(cancellationToken);
    }

    public override DbDataReader Read() => _rows.Open(TryRun(out var found) ? found : throw Error(raw.SQLITE_BUSY));

    public override async ValueTask<object?> ScalarAsync(CancellationToken cancellationToken)
    {
        var rows = await ReadAsync(cancellationToken).ConfigureAwait(false);
        await using (rows.ConfigureAwait(false))
        {
            return rows.Read() ? rows.GetValue(0) : null;
        }
    }

    public override async ValueTask<int> ExecuteAsync(CancellationToken cancellationToken)
    {
        var rows = await ReadAsync(cancellationToken).ConfigureAwait(false);
        await using (rows.ConfigureAwait(false))
        {
            while (rows.Read())
            {
                // To the end: what a statement returns it returns before it is done.
            }
        }

        return _writes ? raw.sqlite3_changes(_database) : 0;
    }

    public override void Dispose() => _statement.Dispose();

    /// <summary>The statement while it runs, for <see cref="NativeStatement"/>.</summary>
    public nint Run => _run;

    /// <summary>The statement while it runs, for what is asked less often.</summary>
    public sqlite3_stmt Handle => _statement;

    /// <summary>Goes on to the next row.</summary>
    /// <returns>False at the end.</returns>
    public bool Step() => NativeStatement.Step(_run) switch
    {
        raw.SQLITE_ROW => true,
        raw.SQLITE_DONE => false,
        var code => throw Error(code),
    };

    /// <summary>Ends the run, and with it the statement's snapshot where it has one of its own. An error was told by the step that met it.</summary>
    public void Reset()
    {
        if (_run != 0)
        {
            _ = NativeStatement.Reset(_run);
            _run = 0;
            _statement.DangerousRelease();
        }
    }

    /// <summary>Begins to run, unless a lock is in the way that may be waited for.</summary>
    private bool TryRun(out bool found)
    {
        if (_unset.Count > 0)
        {
            throw new InvalidOperationException($"Parameters of a statement have no value: {string.Join(", ", _parameters.Where(p => _unset.Contains(p.Value)).Select(static p => p.Key))}.");
        }

        if (!_rows.IsClosed)
        {
            throw new InvalidOperationException("The statement is still being read.");
        }

        // SQLite ends a transaction by itself when the disk is full; what ran then would be committed on the spot.
        if (_nested && raw.sqlite3_get_autocommit(_database) != 0)
        {
            throw new InvalidOperationException("The transaction is over: SQLite rolled it back after an error, or it was ended. Begin another one and do all of it again.");
        }

        // Counted once for all calls until the reset: a thread that disposes of it meanwhile does not take it away.
        var counted = false;
        _statement.DangerousAddRef(ref counted);
        _run = _statement.DangerousGetHandle();
        var code = NativeStatement.Step(_run);
        found = code == raw.SQLITE_ROW;
        if (found || code == raw.SQLITE_DONE)
        {
            return true;
        }

        var error = Error(code);
        return error.SqliteErrorCode is raw.SQLITE_BUSY or raw.SQLITE_LOCKED && _longestWait > TimeSpan.Zero ? false : throw error;
    }

    // For statements in a transaction of the user's, whose connection has its own idea of how long to wait. The engine's own never wait here.
    private async ValueTask<DbDataReader> WaitAsync(CancellationToken cancellationToken)
    {
        var backoff = Backoff.ForLocks(_longestWait);
        while (true)
        {
            var goesOn = await backoff.WaitAsync(cancellationToken).ConfigureAwait(false);
            if (TryRun(out var found))
            {
                return _rows.Open(found);
            }

            if (!goesOn)
            {
                throw Error(raw.SQLITE_BUSY);
            }
        }
    }

    private bool TryFind(string parameter, out int index)
    {
        if (!_parameters.TryGetValue(parameter, out index))
        {
            return false;
        }

        if (_unset.Count > 0)
        {
            _unset.Remove(index);
        }

        return true;
    }

    private int BindText(int index, string text)
    {
        if (text.Length == 0)
        {
            return raw.sqlite3_bind_text(_statement, index, "");
        }

        var most = Encoding.UTF8.GetMaxByteCount(text.Length);
        var rented = most > StackSize ? ArrayPool<byte>.Shared.Rent(most) : null;
        var buffer = rented ?? stackalloc byte[StackSize];
        var code = raw.sqlite3_bind_text(_statement, index, (ReadOnlySpan<byte>)buffer[..Encoding.UTF8.GetBytes(text, buffer)]);
        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }

        return code;
    }

    private void Check(int code)
    {
        if (code != raw.SQLITE_OK)
        {
            throw Error(code);
        }
    }

    // Asked for at once: the next call on the connection has another message.
    private SqliteException Error(int code)
    {
        try
        {
            var (message, extended) = code == raw.SQLITE_MISUSE
                ? (raw.sqlite3_errstr(code).utf8_to_string(), code)
                : (raw.sqlite3_errmsg(_database).utf8_to_string(), raw.sqlite3_extended_errcode(_database));
            return new($"SQLite Error {code & 0xFF}: '{message}'.", code & 0xFF, extended);
        }
        finally
        {
            Reset();
        }
    }
}
