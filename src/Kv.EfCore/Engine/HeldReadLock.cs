using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>Keeps the file's read lock for all readers of this process, by a session that stays in a transaction while they come and go.</summary>
/// <remarks>
/// SQLite asks the kernel for a lock for the first reader of a process and gives it back for the last; those between are only counted. For a
/// reader alone these calls are half of a get, and many readers meet in the mutex in which they are made (decision 0031). Nobody reads in the
/// transaction itself. While it is open the log cannot be recycled, so it ends before this process writes, and after 50 ms; and once another
/// connection has written to the file there is never one again, since nobody could tell it when to end.
/// </remarks>
internal sealed class HeldReadLock : IAsyncDisposable
{
    /// <summary>After how many reads of its own a session asks for it: for fewer it costs more than it spares.</summary>
    private const int Often = 64;

    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(50);
    private readonly Lock _gate = new();
    private readonly string _begin;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private Session? _session;
    private Task _closing = Task.CompletedTask;
    private long _since;
    private long _fileVersion;
    private bool _writing;
    private volatile bool _held;
    private volatile bool _over;

    public HeldReadLock(KvSql sql, TimeProvider time, ILogger logger)
    {
        (_begin, _time, _logger) = (sql.BeginSnapshot, time, logger);

        // For when readers stop coming. Those who come look at the time themselves.
        _timer = time.CreateTimer(static held => ((HeldReadLock)held!).EndInTime(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Whether the lock is kept now.</summary>
    public bool IsHeld => _held;

    /// <summary>Whether it is never kept again.</summary>
    public bool IsOver => _over;

    private bool IsInTime => _time.GetElapsedTime(Volatile.Read(ref _since)) < Longest;

    /// <summary>Hears that a session has read, and now and then begins to keep the lock, or keeps it further.</summary>
    /// <returns>Whether it took the session for that.</returns>
    public bool Observe(Session session)
    {
        if (++session.Reads % Often != 0 || _over || (_held && IsInTime) || !_gate.TryEnter())
        {
            return false;
        }

        try
        {
            End();
            if (_writing || _over)
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

    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            End();
            GiveUp();
        }

        await _timer.DisposeAsync().ConfigureAwait(false);
        await _closing.ConfigureAwait(false);
    }

    private void EndInTime()
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
        Read(session, KvSql.Version);
        _fileVersion = Read(session, KvSql.FileVersion);
        Volatile.Write(ref _since, _time.GetTimestamp());
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
                if (Read(session, KvSql.FileVersion) != _fileVersion)
                {
                    GiveUp();
                }
            });
        }
    }

    // A session in an unknown state may still have the lock: it is closed.
    private void Try(Action<Session> step)
    {
        try
        {
            step(_session!);
        }
        catch (Exception error)
        {
            KvLog.ReadLockGivenUp(_logger, error);
            GiveUp();
        }
    }

    // Interceptors of the user's run when a connection closes, so not under the lock in which writers stand.
    private void GiveUp()
    {
        _over = true;
        _held = false;
        if (_session is { } session)
        {
            _session = null;
            _closing = Task.Run(async () =>
            {
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

    private static long Read(Session session, string text)
    {
        using var rows = session.Statement(text).Read();
        return rows.Read() ? rows.GetInt64(0) : 0;
    }
}
