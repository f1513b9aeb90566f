using System.Globalization;
using Kv.Connections;
using Kv.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Kv.Changes;

/// <summary>Tells other processes of the commits of this one: the first at once, what follows within an interval as one.</summary>
/// <remarks>
/// On connections of the readers and never in a commit's own transaction: there, a notification takes a lock that all databases of the
/// server share. No caller waits for it, and what fails is sent again. What is left when the store ends goes out on a connection that is
/// open: a container that is disposed of can make no other by then.
/// </remarks>
internal sealed class ChangeNotifier(SessionPool pool, ChangeSource source, ILogger logger) : IAsyncDisposable
{
    /// <summary>At most one notice in this time.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);

    private static readonly TimeSpan GracePeriod = TimeSpan.FromSeconds(2);
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _ending = new();
    private readonly CancellationTokenSource _ended = new();
    private Task _loop = Task.CompletedTask;
    private ChangeKinds _pending;
    private long _version;
    private bool _running;
    private bool _failing;
    private bool _isEnding;

    /// <summary>What notices of this store in this process are signed with.</summary>
    public long Id { get; } = Random.Shared.NextInt64(1, long.MaxValue);

    private bool IsOn => source.Notify is not null;

    /// <summary>Has others told of a commit, soon.</summary>
    public void Tell(ChangeKinds what, long version)
    {
        if (!IsOn)
        {
            return;
        }

        lock (_gate)
        {
            _pending |= what;
            _version = Math.Max(_version, version);
            if (!_running && !_isEnding)
            {
                _running = true;
                _loop = Detached.RunAsync(RunAsync);
            }
        }
    }

    /// <summary>
    /// Puts a notice into a transaction of the user's: it is told when that commits, to this process too, and never if it does not.
    /// </summary>
    public async ValueTask TellWithinAsync(Session session, ChangeKinds what, long version, CancellationToken cancellationToken)
    {
        if (source.NotifyWithin is { } notify)
        {
            await session.Statement(notify).Set("@payload", new Notice(0, what, version).ToString())
                .ExecuteAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Sends a notice now.</summary>
    /// <returns>The store's version.</returns>
    public async ValueTask<long> SendAsync(Notice notice, CancellationToken cancellationToken)
    {
        using var interruption = new Interruption(cancellationToken);
        var session = await pool.RentBesidesAsync(interruption.Token).ConfigureAwait(false);
        var healthy = false;
        try
        {
            var version = await SendAsync(session, notice, interruption.Token).ConfigureAwait(false);
            healthy = true;
            return version;
        }
        catch (Exception error)
        {
            session.Blame(error);
            throw;
        }
        finally
        {
            await pool.ReturnBesidesAsync(session, healthy).ConfigureAwait(false);
        }
    }

    /// <summary>Sends what is left over a session that is about to be closed, if that is quickly done.</summary>
    public async ValueTask EndAsync(Session last)
    {
        await StopAsync().ConfigureAwait(false);
        if (Take() is { } notice)
        {
            try
            {
                await SendAsync(last, notice, _ended.Token).ConfigureAwait(false);
            }
            catch (Exception error)
            {
                // The connection may be of no use any more. Others find the commits by looking.
                PutBack(notice);
                KvLog.LastNoticeFailed(logger, error);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        if (pool.TryRent() is { } session)
        {
            await EndAsync(session).ConfigureAwait(false);
            await session.DisposeAsync().ConfigureAwait(false);
        }

        _ending.Dispose();
        _ended.Dispose();
    }

    // What it is just sending it may finish, and the rest it leaves.
    private async ValueTask StopAsync()
    {
        Task loop;
        lock (_gate)
        {
            _isEnding = true;
            loop = _loop;
        }

        if (!_ending.IsCancellationRequested)
        {
            await _ending.CancelAsync().ConfigureAwait(false);
            _ended.CancelAfter(GracePeriod);
        }

        await loop.ConfigureAwait(false);
    }

    private async ValueTask<long> SendAsync(Session session, Notice notice, CancellationToken cancellationToken) => Convert.ToInt64(
        await session.Statement(source.Notify!).Set("@payload", notice.ToString()).ScalarAsync(cancellationToken).ConfigureAwait(false),
        CultureInfo.InvariantCulture);

    private async Task RunAsync()
    {
        try
        {
            await Retry.UntilAsync(
                this,
                static (notifier, _) => notifier.SendPendingAsync(),
                static (notifier, error, backoff) => notifier.Classify(error, backoff),
                static (_, error) => error,
                _ending.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (error is ObjectDisposedException || _ending.IsCancellationRequested)
        {
            // A process that ends does not stay for what did not go through.
        }
    }

    private async ValueTask<bool> SendPendingAsync()
    {
        while (!_ending.IsCancellationRequested && Take() is { } notice)
        {
            try
            {
                await SendAsync(notice, _ended.Token).ConfigureAwait(false);
                _failing = false;
                await Task.Delay(Interval, TimeProvider.System, _ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch
            {
                PutBack(notice);
                throw;
            }
        }

        return true;
    }

    private Backoff? Classify(Exception error, Backoff? backoff)
    {
        if (error is ObjectDisposedException || _ending.IsCancellationRequested)
        {
            // The store ends, or what it is made of is disposed of before it: there will be no further connection.
            KvLog.NotifyingFailed(logger, LogLevel.Debug, error);
            Stop();
            return null;
        }

        // Said once and not at each try after it: others find the commits by looking.
        KvLog.NotifyingFailed(logger, _failing ? LogLevel.Debug : LogLevel.Warning, error);
        backoff = _failing ? backoff : Backoff.WithoutEnd();
        _failing = true;
        return backoff;
    }

    private void Stop()
    {
        lock (_gate)
        {
            _running = false;
        }
    }

    private Notice? Take()
    {
        lock (_gate)
        {
            if (_pending == ChangeKinds.None)
            {
                _running = false;
                return null;
            }

            var notice = new Notice(Id, _pending, _version);
            (_pending, _version) = (ChangeKinds.None, 0);
            return notice;
        }
    }

    private void PutBack(Notice notice)
    {
        lock (_gate)
        {
            _pending |= notice.What;
            _version = Math.Max(_version, notice.Version);
        }
    }
}
