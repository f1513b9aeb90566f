using Kv.Connections;
using Kv.Sql;

namespace Kv.Reads;

/// <summary>A transaction that reads one version, and ends after a time.</summary>
internal sealed class ReadSnapshot : IAsyncDisposable
{
    private readonly ReadRunner _runner;
    private readonly SemaphoreSlim _turn = new(1);
    private readonly ITimer _timer;
    private Session? _session;
    private string? _ended;

    /// <param name="runner">Takes the session back.</param>
    /// <param name="session">Has the transaction.</param>
    /// <param name="now">When it began, where no server's clock decides: what expires later is there until its end.</param>
    /// <param name="version">What it shows.</param>
    /// <param name="longest">How long it may last.</param>
    /// <param name="time">The clock for that.</param>
    public ReadSnapshot(ReadRunner runner, Session session, long now, long version, TimeSpan longest, TimeProvider time)
    {
        (_runner, _session, Now, Version) = (runner, session, now, version);
        _timer = time.CreateTimer(
            _ => _ = Detached.RunAsync(() => EndAsync($"it was open for {longest}, KvStoreOptions.SnapshotTimeout", healthy: true)),
            null,
            longest,
            Timeout.InfiniteTimeSpan);
    }

    public long Now { get; }

    public long Version { get; }

    /// <summary>Reads something of it, when the calls before are done.</summary>
    public async ValueTask<TResult> ReadAsync<TArgument, TResult>(
        TArgument argument,
        Func<Session, TArgument, CancellationToken, ValueTask<TResult>> read,
        CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var session = _session ?? throw Over();
            using var interruption = new Interruption(cancellationToken);
            try
            {
                return await read(session, argument, interruption.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException error) when (cancellationToken.IsCancellationRequested)
            {
                await LeaveAsync("a call was cancelled while the database worked", healthy: false).ConfigureAwait(false);
                throw new OperationCanceledException(error.Message, error, cancellationToken);
            }
            catch (Exception error)
            {
                session.Blame(error);
                await LeaveAsync($"a read failed ({DatabaseErrors.Text(error)})", healthy: false).ConfigureAwait(false);
                throw _runner.Told(error) is var told && told != error ? told : error;
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    public ValueTask DisposeAsync() => new(EndAsync("", healthy: true));

    private async Task EndAsync(string why, bool healthy)
    {
        await _turn.WaitAsync().ConfigureAwait(false);
        try
        {
            await LeaveAsync(why, healthy).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Ends the transaction, and gives the session back. Later calls are told why, but for one that was disposed of.</summary>
    private async ValueTask LeaveAsync(string why, bool healthy)
    {
        if (_session is not { } session)
        {
            _ended = why.Length == 0 ? why : _ended;
            return;
        }

        (_session, _ended) = (null, why);
        await _timer.DisposeAsync().ConfigureAwait(false);
        try
        {
            if (healthy)
            {
                healthy = false;
                await session.ExecuteAsync(KvSql.Commit, CancellationToken.None).ConfigureAwait(false);
                healthy = true;
            }
        }
        catch (Exception error)
        {
            // It has read, and nothing is lost with its end.
            session.Blame(error);
        }
        finally
        {
            await _runner.ReturnAsync(session, healthy).ConfigureAwait(false);
        }
    }

    private Exception Over() => _ended is { Length: > 0 } why
        ? new KvException(KvErrorKind.NotFound, $"The snapshot has ended: {why}. Take another one, and begin anew.")
        : new ObjectDisposedException("IKvSnapshot", "The snapshot was disposed of.");
}
