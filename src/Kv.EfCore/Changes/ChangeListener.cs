using Kv.Connections;
using Kv.Diagnostics;
using Kv.Reads;
using Microsoft.Extensions.Logging;

namespace Kv.Changes;

/// <summary>
/// Learns of the commits of other processes, for as long as there is a watcher or a worker: hears of them, or else looks for them.
/// </summary>
/// <remarks>
/// Looking is right by itself. Listening is quicker and spares the looks, so it is believed only after a notice to itself has come back,
/// and again whenever none came for a while: a pooler, a network or a server may swallow notices without a word. Notices come from other
/// processes, which no injected clock moves, so the waits for them are the system's.
/// </remarks>
internal sealed class ChangeListener(
    SessionFactory sessions,
    StoreReader reader,
    ChangeNotifier notifier,
    ChangeSource source,
    CommitSignals signals,
    StoreClock clock,
    KvStoreOptions options,
    ILogger logger,
    CancellationToken stop)
{
    /// <summary>How long a connection that swallows notices is left alone: it does so by design.</summary>
    public static readonly TimeSpan RestAfterSilence = TimeSpan.FromMinutes(5);

    /// <summary>How long it listens on when the last user has gone, so that watchers that come and go cost no connection each.</summary>
    public static readonly TimeSpan GracePeriod = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(5);
    private readonly Lock _gate = new();
    private readonly Signal _look = new();
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _loop = Task.CompletedTask;
    private CancellationTokenSource? _running;
    private ITimer? _grace;
    private int _users;
    private volatile int _watchers;
    private volatile bool _listening;
    private bool _saidSilent;

    /// <summary>It begins or ceases to listen.</summary>
    public event Action? ListeningChanged;

    /// <summary>Whether notices of the commits of other processes come in, so that watchers and workers need not look for them.</summary>
    public bool IsListening => _listening;

    /// <summary>After so long without a notice it is made sure that one would come in.</summary>
    public TimeSpan ProbeInterval { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>The loop, for what waits for its end.</summary>
    public Task Completion
    {
        get
        {
            lock (_gate)
            {
                return _loop;
            }
        }
    }

    /// <summary>The store is open: before, there may be no tables.</summary>
    public void Opened() => _opened.TrySetResult();

    /// <summary>Listens until the result is disposed of.</summary>
    /// <param name="watches">Whether the user wants to know the version, too.</param>
    public IDisposable Listen(bool watches)
    {
        lock (_gate)
        {
            _users++;
            _watchers += watches ? 1 : 0;
            _grace?.Dispose();
            if (_running is null)
            {
                var (running, before) = (CancellationTokenSource.CreateLinkedTokenSource(stop), _loop);
                _running = running;
                _loop = Detached.RunAsync(() => RunAsync(before, running));
            }
        }

        return new User(this, watches);
    }

    private async Task RunAsync(Task before, CancellationTokenSource running)
    {
        var token = running.Token;
        await before.ConfigureAwait(false);
        await _opened.Task.WaitAsync(token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        var looking = LookAsync(token);
        if (source.CanListen)
        {
            await ListenAsync(token).ConfigureAwait(false);
        }

        await looking.ConfigureAwait(false);
        lock (_gate)
        {
            _running = _running == running ? null : _running;
            running.Dispose();
        }
    }

    private async Task ListenAsync(CancellationToken cancellationToken)
    {
        try
        {
            await Retry.UntilAsync(TryAsync, Classify, static error => error, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            SetListening(false);
        }

        async ValueTask<bool> TryAsync(Backoff? backoff)
        {
            while (!cancellationToken.IsCancellationRequested)
            {
                await ReceiveAsync(cancellationToken).ConfigureAwait(false);
                SaySilent();
                await Task.Delay(RestAfterSilence, TimeProvider.System, cancellationToken).ConfigureAwait(false);
            }

            return true;
        }

        Backoff? Classify(Exception error, Backoff? backoff)
        {
            if (cancellationToken.IsCancellationRequested)
            {
                return null;
            }

            // Said once for a loss and not at each try after it.
            var isLoss = _listening || backoff is null;
            KvLog.ListeningFailed(logger, isLoss ? StoreDisposed.LevelOf(error, LogLevel.Warning) : LogLevel.Debug, error);
            SetListening(false);
            return isLoss ? Backoff.WithoutEnd() : backoff;
        }
    }

    /// <summary>Receives notices until the connection is lost. It returns if notices do not come through at all.</summary>
    private async Task ReceiveAsync(CancellationToken cancellationToken)
    {
        using var interruption = new Interruption(cancellationToken);
        var session = await sessions.OpenAsync(SessionRole.Listen, interruption.Token).ConfigureAwait(false);
        await using (session.ConfigureAwait(false))
        {
            NoticeReceiver? receiver = null;
            try
            {
                receiver = new NoticeReceiver(await source.OpenFeedAsync(session, interruption.Token).ConfigureAwait(false));
                await ReceiveAsync(receiver, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception error)
            {
                session.Blame(error);
                throw;
            }
            finally
            {
                if (receiver is not null)
                {
                    await receiver.DisposeAsync().ConfigureAwait(false);
                }
            }
        }
    }

    private async Task ReceiveAsync(NoticeReceiver receiver, CancellationToken cancellationToken)
    {
        if (!await ProbeAsync(receiver, cancellationToken).ConfigureAwait(false))
        {
            return;
        }

        SetListening(true);

        // Whatever came before the feed was open was not heard.
        await HandleAsync(Notice.LookAtAll, cancellationToken).ConfigureAwait(false);
        while (true)
        {
            if (await receiver.NextAsync(ProbeInterval, cancellationToken).ConfigureAwait(false) is { } notice)
            {
                await HandleAsync(notice, cancellationToken).ConfigureAwait(false);
            }
            else if (!await ProbeAsync(receiver, cancellationToken).ConfigureAwait(false))
            {
                throw new TimeoutException($"A notice to itself did not come back within {ProbeTimeout.TotalSeconds:0} seconds.");
            }
        }
    }

    /// <summary>
    /// Sees whether a notice to itself comes back. It is sent on another connection: a pooler may return it on the same one, and only
    /// there.
    /// </summary>
    private async ValueTask<bool> ProbeAsync(NoticeReceiver receiver, CancellationToken cancellationToken)
    {
        if (source.Notify is null)
        {
            return true;
        }

        // The answer has the version, so watchers look with every probe. Where no answer comes, the driver takes its time to give up, and
        // is not waited for.
        var before = signals.Seen.Current.Seen;
        var sending = notifier.SendAsync(new Notice(notifier.Id, ChangeKinds.None, 0, IsProbe: true), cancellationToken).AsTask();
        try
        {
            signals.Look(before, await sending.WaitAsync(ProbeTimeout, TimeProvider.System, cancellationToken).ConfigureAwait(false));
        }
        finally
        {
            sending.Abandon();
        }

        while (await receiver.NextAsync(ProbeTimeout, cancellationToken).ConfigureAwait(false) is { } notice)
        {
            if (notice.IsProbe && notice.Sender == notifier.Id)
            {
                return true;
            }

            await HandleAsync(notice, cancellationToken).ConfigureAwait(false);
        }

        return false;
    }

    private async ValueTask HandleAsync(Notice notice, CancellationToken cancellationToken)
    {
        // Its own commits it knows already.
        if (notice.Sender == notifier.Id || notice.IsProbe)
        {
            return;
        }

        if (!notice.What.HasFlag(ChangeKinds.Version) || notice.Version > 0)
        {
            signals.Raise(notice.What);
            return;
        }

        // It does not say whether a version was taken, and by whom.
        if (_watchers > 0)
        {
            await LookAtVersionAsync(cancellationToken).ConfigureAwait(false);
        }

        signals.Raise(notice.What & ~ChangeKinds.Version);
    }

    /// <summary>
    /// Looks at the version for as long as no notices of it come in. A look that failed, which took its time to do so, is soon repeated.
    /// </summary>
    private async Task LookAsync(CancellationToken cancellationToken)
    {
        var (failed, lost) = (false, false);
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                var wait = failed && options.WatchInterval > Backoff.AfterLook ? Backoff.AfterLook : options.WatchInterval;
                await _look.WaitAsync(_listening ? Timeout.InfiniteTimeSpan : wait, clock.Time, cancellationToken).ConfigureAwait(false);
                failed = true;
                if (!_listening && _watchers > 0)
                {
                    await LookAtVersionAsync(cancellationToken).ConfigureAwait(false);
                }

                (failed, lost) = (false, false);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                // Said once for a loss and not at each try after it.
                KvLog.PollFailed(logger, lost ? LogLevel.Debug : StoreDisposed.LevelOf(error, LogLevel.Warning), error);
                lost = true;
            }
        }
    }

    private async ValueTask LookAtVersionAsync(CancellationToken cancellationToken)
    {
        var before = signals.Seen.Current.Seen;
        signals.Look(before, await reader.VersionAsync(cancellationToken).ConfigureAwait(false));
    }

    private void SaySilent()
    {
        if (!_saidSilent)
        {
            _saidSilent = true;
            KvLog.NoticesLost(logger);
        }
    }

    private void SetListening(bool listens)
    {
        if (_listening != listens)
        {
            _listening = listens;
            _look.Set();
            ListeningChanged?.Invoke();
        }
    }

    private void Leave(bool watched)
    {
        lock (_gate)
        {
            _watchers -= watched ? 1 : 0;
            if (--_users == 0)
            {
                _grace = Detached.Run(() => clock.Time.CreateTimer(
                    static listener => ((ChangeListener)listener!).End(), this, GracePeriod, Timeout.InfiniteTimeSpan));
            }
        }
    }

    private void End()
    {
        lock (_gate)
        {
            if (_users == 0 && _running is { } running)
            {
                _running = null;
                running.CancelAfter(TimeSpan.Zero);
            }
        }
    }

    private sealed class User(ChangeListener listener, bool watches) : IDisposable
    {
        private ChangeListener? _listener = listener;

        public void Dispose() => Interlocked.Exchange(ref _listener, null)?.Leave(watches);
    }
}
