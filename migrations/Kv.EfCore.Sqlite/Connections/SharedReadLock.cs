using Kv.Connections;
using Kv.Diagnostics;
using Kv.Sql;
using Microsoft.Extensions.Logging;

namespace Kv.Sqlite;

/// <summary>Keeps the file's read lock for all readers of this process, by a session that stays in a transaction while they come and go.</summary>
/// <remarks>
/// SQLite asks the kernel for a lock for the first reader of a process and gives it back for the last; those between are only counted. For a
/// reader alone these calls are half of a get, and many readers meet in the mutex in which they are made (decision 0031). No caller reads in the
/// transaction itself. While it is open the log cannot be recycled, so it ends before the store writes, and after 50 ms; and after another
/// process was seen to write meanwhile it rests, each time for twice as long, since it is not told when that one will do so again.
/// </remarks>
internal sealed class SharedReadLock : IAsyncDisposable
{
    /// <summary>With every so many of its reads a session asks for it: for fewer it costs more than it spares.</summary>
    private const int Often = 64;

    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(50);
    private readonly Lock _gate = new();
    private readonly string _begin;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private Session? _session;
    private Task _closing = Task.CompletedTask;
    private TimeSpan _rest = TimeSpan.FromMinutes(1);
    private long _fileVersion;
    private long _endsAt;
    private long _restsUntil;
    private bool _writing;
    private bool _disposed;
    private volatile bool _held;

    /// <param name="sql">The statements.</param>
    /// <param name="time">The clock of what waits for the lock, which may be other processes: not an injected one.</param>
    /// <param name="logger">Hears what goes wrong.</param>
    public SharedReadLock(KvSql sql, TimeProvider time, ILogger logger)
    {
        (_begin, _time, _logger) = (sql.BeginSnapshot, time, logger);

        // For when readers stop coming: those that come look at the time themselves. The caller that makes the store has no part in it.
        _timer = Detached.Run(() => time.CreateTimer(static held => ((SharedReadLock)held!).Expire(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan));
    }

    /// <summary>Whether the lock is kept now.</summary>
    public bool IsHeld => _held;

    /// <summary>Hears that a session has read, and now and then begins to keep the lock, or keeps it further.</summary>
    /// <returns>Whether it took the session for that.</returns>
    public bool Observe(Session session)
    {
        if (++session.Reads % Often != 0 || (_held && _time.GetTimestamp() < Volatile.Read(ref _endsAt)) || !_gate.TryEnter())
        {
            return false;
        }

        try
        {
            End();
            if (_writing || _disposed || _time.GetTimestamp() < _restsUntil)
            {
                return false;
            }

            var isNew = _session is null;
            _session ??= session;
            Try(Begin);
            return isNew;
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Lets the lock go, until <see cref="EndWrite"/>.</summary>
    public void BeginWrite()
    {
        lock (_gate)
        {
            _writing = true;
            End();
        }
    }

    public void EndWrite()
    {
        lock (_gate)
        {
            _writing = false;
        }
    }

    /// <summary>Gives its session up: it is on a file that is the store's no longer.</summary>
    public void Renew()
    {
        lock (_gate)
        {
            End();
            Close(null);
        }
    }

    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _disposed = true;
            End();
            Close(null);
        }

        await _timer.DisposeAsync().ConfigureAwait(false);
        await _closing.ConfigureAwait(false);
    }

    private void Expire()
    {
        lock (_gate)
        {
            End();
        }
    }

    private void Begin(Session session)
    {
        _held = true;
        Read(session, _begin);
        Read(session, session.Sql.Version);
        _fileVersion = Read(session, SqliteSql.FileVersion);
        Volatile.Write(ref _endsAt, After(Longest));
        _timer.Change(Longest, Timeout.InfiniteTimeSpan);
    }

    private void End()
    {
        if (_held)
        {
            _held = false;
            Try(session =>
            {
                Read(session, KvSql.Commit);
                if (Read(session, SqliteSql.FileVersion) != _fileVersion)
                {
                    Rest();
                }
            });
        }
    }

    private void Try(Action<Session> step)
    {
        try
        {
            step(_session!);
        }
        catch (Exception error)
        {
            _held = false;
            Rest();
            Close(error);
        }
    }

    // A log that finds a reader at every commit is never recycled: so the next commit of theirs should not find this one.
    private void Rest()
    {
        _restsUntil = After(_rest);
        _rest *= 2;
    }

    // Loggers and interceptors are the user's, and here is a lock in which writers stand.
    private void Close(Exception? cause)
    {
        if (_session is { } session)
        {
            _session = null;
            _closing = Detached.RunAsync(async () =>
            {
                if (cause is not null)
                {
                    KvLog.ReadLockGivenUp(_logger, cause);
                }

                try
                {
                    await session.DisposeAsync().ConfigureAwait(false);
                }
                catch (Exception error)
                {
                    KvLog.CloseFailed(_logger, error);
                }
            });
        }
    }

    private long After(TimeSpan time) => _time.GetTimestamp() + (long)(time.TotalSeconds * _time.TimestampFrequency);

    private static long Read(Session session, string text)
    {
        using var rows = session.Statement(text).Read();
        return rows.Read() ? rows.GetInt64(0) : 0;
    }
}
