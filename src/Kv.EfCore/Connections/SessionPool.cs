using System.Collections.Concurrent;

namespace Kv.Connections;

/// <summary>The sessions that read. A reader rents one for one batch, so a slow consumer holds none, unless it asked for one snapshot of all.</summary>
internal sealed class SessionPool(SessionFactory factory, int size, TimeSpan longest, SharedLocks? locks, Action returned) : IAsyncDisposable
{
    private readonly ConcurrentBag<Session> _idle = [];
    private readonly SemaphoreSlim _free = new(size);
    private volatile int _size = size;
    private volatile bool _disposed;
    private volatile int _making;

    /// <summary>Leaves some of its connections to the store's other parts, before the first is rented.</summary>
    public void Narrow(int size)
    {
        while (_size > size && _free.Wait(TimeSpan.Zero))
        {
            _size--;
        }
    }

    /// <exception cref="KvException">No session became free in time (<see cref="KvErrorKind.Unavailable"/>).</exception>
    public async ValueTask<Session> RentAsync(CancellationToken cancellationToken)
    {
        if (!await _free.WaitAsync(longest, cancellationToken).ConfigureAwait(false))
        {
            throw new KvException(
                KvErrorKind.Unavailable,
                $"No connection became free for a read within {longest.TotalSeconds:0.#} seconds; there are {_size}. A listing with Snapshot holds one until it is disposed of, so end listings sooner or list without it; or the database is too slow for the reads that it is sent.");
        }

        try
        {
            StoreDisposed.ThrowIf(_disposed);
            return _idle.TryTake(out var session) ? session : await OpenAsync(cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            _free.Release();
            throw;
        }
    }

    /// <summary>Takes a session back; one that met an error it may not survive is closed.</summary>
    public async ValueTask ReturnAsync(Session session, bool healthy)
    {
        try
        {
            if (healthy && !_disposed && session.Making == _making)
            {
                if (locks?.Observe(session) != true)
                {
                    await KeepAsync(session).ConfigureAwait(false);
                }

                returned();
            }
            else
            {
                await session.DisposeAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            _free.Release();
        }
    }

    /// <summary>Takes an idle session, or opens one more than the pool has: for what slow readers must not hold up.</summary>
    public async ValueTask<Session> RentBesidesAsync(CancellationToken cancellationToken)
    {
        StoreDisposed.ThrowIf(_disposed);
        return _idle.TryTake(out var session) ? session : await OpenAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>How many sessions are open and wait, and how many are rented.</summary>
    public (int Idle, int Used) Count() => (_idle.Count, Math.Max(0, _size - _free.CurrentCount));

    /// <summary>Takes an idle session, if there is one: for what may open none.</summary>
    public Session? TryRent() => _idle.TryTake(out var session) ? session : null;

    /// <summary>Takes back what was rented besides; there is never more than one more.</summary>
    public async ValueTask ReturnBesidesAsync(Session session, bool healthy)
    {
        if (healthy && !_disposed && session.Making == _making && _idle.Count < _size)
        {
            await KeepAsync(session).ConfigureAwait(false);
        }
        else
        {
            await session.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Closes the sessions that wait: after one was found broken, the others usually are too.</summary>
    public async ValueTask ClearAsync()
    {
        while (_idle.TryTake(out var session))
        {
            await session.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Closes all that was opened until now: what waits at once, and what is in use when it comes back.</summary>
    public ValueTask RenewAsync()
    {
        Interlocked.Increment(ref _making);
        return ClearAsync();
    }

    public ValueTask DisposeAsync()
    {
        _disposed = true;
        return ClearAsync();
    }

    private async ValueTask<Session> OpenAsync(CancellationToken cancellationToken)
    {
        var making = _making;
        var session = await factory.OpenAsync(SessionRole.Read, cancellationToken, longest).ConfigureAwait(false);
        (session.Making, session.Pool) = (making, this);
        return session;
    }

    private ValueTask KeepAsync(Session session)
    {
        _idle.Add(session);

        // The call that disposed of the pool meanwhile may have looked before it was there.
        return _disposed ? ClearAsync() : ValueTask.CompletedTask;
    }
}
