using Kv.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Kv.Connections;

/// <summary>
/// Serves reads that may miss the last commits from a server which repeats what the store's own does. While it cannot, it says so once and
/// leaves them to the store's own, and tries by itself to come back.
/// </summary>
internal sealed class Replica : IAsyncDisposable
{
    // Longer than a server in reach takes to open a connection, and short for a caller that is to be served elsewhere.
    private static readonly TimeSpan LongestPatience = TimeSpan.FromSeconds(5);
    private readonly Lock _gate = new();
    private readonly SessionFactory _sessions;
    private readonly SessionPool _pool;
    private readonly Driver _driver;
    private readonly ILogger _logger;
    private readonly CancellationToken _stop;
    private Task _return = Task.CompletedTask;
    private volatile Exception? _away;

    /// <param name="sessions">Opens connections to it.</param>
    /// <param name="driver">The database.</param>
    /// <param name="identity">Tells whether it is the store's.</param>
    /// <param name="options">The store's options.</param>
    /// <param name="logger">Where to say that it is away.</param>
    /// <param name="stop">Ends with the store.</param>
    public Replica(
        SessionFactory sessions, Driver driver, ReplicaIdentity identity, KvStoreOptions options, ILogger logger, CancellationToken stop)
    {
        (_sessions, _driver, _logger, _stop) = (sessions, driver, logger, stop);
        var half = options.CommandTimeout / 2;
        var patience = half < LongestPatience ? half : LongestPatience;
        _pool = new SessionPool(sessions, driver.Readers, patience, locks: null, returned: static () => { });
        sessions.Opened = (connection, _, token) => identity.EnsureAsync(connection, token);
    }

    /// <summary>Why it does not serve; null while it does, as far as is known.</summary>
    public Exception? Away => _away;

    /// <summary>Whether it is worth to be asked.</summary>
    public bool Serves => _away is null;

    /// <summary>Runs a read on it.</summary>
    /// <param name="argument">What the read is given.</param>
    /// <param name="read">The read.</param>
    /// <param name="keep">Whether the read goes on after its first answer: then its session is the caller's to return.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Whether it did; if not, the read is to be run elsewhere.</returns>
    public async ValueTask<(bool Served, TResult Result)> TryAsync<TArgument, TResult>(
        TArgument argument,
        Func<Session, TArgument, CancellationToken, ValueTask<TResult>> read,
        bool keep,
        CancellationToken cancellationToken)
    {
        using var interruption = _driver.Interrupt(cancellationToken);
        var ends = interruption?.Token ?? cancellationToken;
        try
        {
            var session = await _pool.RentAsync(ends).ConfigureAwait(false);
            var healthy = false;
            try
            {
                var result = await read(session, argument, ends).ConfigureAwait(false);
                healthy = true;
                return (true, result);
            }
            catch (Exception error)
            {
                session.Blame(error);
                throw;
            }
            finally
            {
                if (!healthy || !keep)
                {
                    await _pool.ReturnAsync(session, healthy).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException error) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(error.Message, error, cancellationToken);
        }
        catch (Exception error) when (PassesOver(error))
        {
            return (false, default!);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task returning;
        lock (_gate)
        {
            returning = _return;
        }

        await returning.ConfigureAwait(false);
        await _pool.DisposeAsync().ConfigureAwait(false);
        await _sessions.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Whether an error is the replica's alone, so that the read can be served elsewhere.</summary>
    private bool PassesOver(Exception error)
    {
        if (error is KvException { Kind: KvErrorKind.Unavailable } || _driver.Classify(error) == Fault.Busy)
        {
            // All of its sessions are in use, or what it repeats was in the way of what is read.
            KvLog.ReplicaPassedOver(_logger, error);
            return true;
        }

        if (error is not OtherServerException && (!DatabaseErrors.IsOfDatabase(error) || _driver.IsOfValues(error)))
        {
            return false;
        }

        Leave(error);
        return true;
    }

    private void Leave(Exception error)
    {
        lock (_gate)
        {
            if (_away is not null || _stop.IsCancellationRequested)
            {
                return;
            }

            _away = error;
            _return = Detached.RunAsync(ReturnAsync);
        }

        KvLog.ReplicaAway(_logger, error, DatabaseErrors.Text(error).TrimEnd('.'));
    }

    /// <summary>Tries to come back, until it does or the store ends.</summary>
    private async Task ReturnAsync()
    {
        try
        {
            await _pool.RenewAsync().ConfigureAwait(false);
            await Retry.UntilAsync(
                this,
                static (replica, _) => replica.TryReturnAsync(),
                static (replica, error, backoff) => replica._stop.IsCancellationRequested ? null : replica.Wait(error, backoff),
                static (_, error) => error,
                _stop).ConfigureAwait(false);
            KvLog.ReplicaBack(_logger);
        }
        catch (Exception) when (_stop.IsCancellationRequested)
        {
            // The store ends.
        }
    }

    private async ValueTask<bool> TryReturnAsync()
    {
        using var interruption = new Interruption(_stop);
        var session = await _pool.RentAsync(interruption.Token).ConfigureAwait(false);
        await _pool.ReturnAsync(session, healthy: true).ConfigureAwait(false);
        _away = null;
        return true;
    }

    private Backoff Wait(Exception error, Backoff? backoff)
    {
        _away = error;
        return backoff ?? Backoff.WithoutEnd();
    }
}
