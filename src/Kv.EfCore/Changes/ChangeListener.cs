using Kv.Connections;
using Kv.Diagnostics;
using Kv.Reads;
using Microsoft.Extensions.Logging;

namespace Kv.Changes;

/// <summary>Learns of the commits of other processes, for as long as somebody watches or works: hears of them, or else looks for them.</summary>
/// <remarks>
/// Looking is right by itself. Hearing is quicker and spares the looks, so it is believed only after a notice to itself has come back, and
/// again whenever nothing was heard for a while: a pooler, a network or a server may swallow notices without a word. What is heard comes from
/// other processes, which no injected clock moves, so the waits for it are the system's.
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
    public static readonly TimeSpan Deafness = TimeSpan.FromMinutes(5);

    /// <summary>How long it listens on when the last user has gone, so that watchers who come and go cost no connection each.</summary>
    public static readonly TimeSpan Linger = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);
    private readonly Lock _gate = new();
    private readonly Signal _look = new();
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _loop = Task.CompletedTask;
    private CancellationTokenSource? _running;
    private ITimer? _lingering;
    private int _users;
    private volatile int _watchers;
    private volatile bool _hears;
    private bool _saidDeaf;

    /// <summary>It begins or ceases to hear.</summary>
    public event Action? HearsChanged;

    /// <summary>Whether the commits of other processes are heard of, so that nobody needs to look for them.</summary>
    public bool Hears => _hears;

    /// <summary>After so long without a notice it is made sure that one would be heard.</summary>
    public TimeSpan Silence { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>The loop, for those who wait for its end.</summary>
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
            _lingering?.Dispose();
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
        Backoff? backoff = null;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await HearAsync(cancellationToken).ConfigureAwait(false);
                SayDeaf();
                await Task.Delay(Deafness, TimeProvider.System, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception) when (cancellationToken.IsCancellationRequested)
            {
                SetHears(false);
            }
            catch (Exception error)
            {
                // Said once for a loss and not at each try after it.
                var lost = _hears || backoff is null;
                KvLog.ListeningFailed(logger, lost ? LogLevel.Warning : LogLevel.Debug, error);
                backoff = lost ? new Backoff(FirstPause, LongestPause, TimeSpan.MaxValue) : backoff!;
                SetHears(false);
                await TryWaitAsync(backoff, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Hears of commits until the connection is lost. It returns if notices do not come through at all.</summary>
    private async Task HearAsync(CancellationToken cancellationToken)
    {
        using var interruption = new Interruption(cancellationToken);
        var session = await sessions.OpenAsync(SessionRole.Listen, interruption.Token).ConfigureAwait(false);
        await using (session.ConfigureAwait(false))
        {
            NoticeReceiver? ears = null;
            try
            {
                ears = new NoticeReceiver(await source.OpenFeedAsync(session, interruption.Token).ConfigureAwait(false));
                await HearAsync(ears, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception error)
            {
                session.Blame(error);
                throw;
            }
            finally
            {
                if (ears is not null)
                {
                    await ears.DisposeAsync().ConfigureAwait(false);
                }
            }
        }
    }

    private async Task HearAsync(NoticeReceiver ears, CancellationToken cancellationToken)
    {
        if (!await ProbeAsync(ears, cancellationToken).ConfigureAwait(false))
        {
            return;
        }

        SetHears(true);

        // Whatever came before the feed was open was not heard.
        await HandleAsync(Notice.LookAtAll, cancellationToken).ConfigureAwait(false);
        while (true)
        {
            if (await ears.NextAsync(Silence, cancellationToken).ConfigureAwait(false) is { } notice)
            {
                await HandleAsync(notice, cancellationToken).ConfigureAwait(false);
            }
            else if (!await ProbeAsync(ears, cancellationToken).ConfigureAwait(false))
            {
                throw new TimeoutException($"A notice to itself did not come back within {ProbeTimeout.TotalSeconds:0} seconds.");
            }
        }
    }

    /// <summary>Sees whether a notice to itself comes back. It is sent on another connection: a pooler may return it on the same one, and only there.</summary>
    private async ValueTask<bool> ProbeAsync(NoticeReceiver ears, CancellationToken cancellationToken)
    {
        if (source.Notify is null)
        {
            return true;
        }

        // The answer has the version, so watchers look with every probe. Where no answer comes, the driver takes its time to give up, and is not
        // waited for.
        var sending = notifier.SendAsync(new Notice(notifier.Id, ChangeKinds.None, 0, IsProbe: true), cancellationToken).AsTask();
        try
        {
            signals.Advance(await sending.WaitAsync(ProbeTimeout, TimeProvider.System, cancellationToken).ConfigureAwait(false));
        }
        finally
        {
            sending.Abandon();
        }

        while (await ears.NextAsync(ProbeTimeout, cancellationToken).ConfigureAwait(false) is { } notice)
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

        if (notice.What.HasFlag(ChangeKinds.Version))
        {
            if (notice.Version > 0)
            {
                signals.Advance(notice.Version);
            }
            else if (_watchers > 0)
            {
                signals.Advance(await reader.VersionAsync(cancellationToken).ConfigureAwait(false));
            }
        }

        signals.Raise(notice.What);
    }

    /// <summary>Looks at the version for as long as it does not hear of it. A look that failed, which took its time to do so, is soon repeated.</summary>
    private async Task LookAsync(CancellationToken cancellationToken)
    {
        var (failed, lost) = (false, false);
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                var wait = failed && options.WatchInterval > FirstPause ? FirstPause : options.WatchInterval;
                await _look.WaitAsync(_hears ? Timeout.InfiniteTimeSpan : wait, clock.Time, cancellationToken).ConfigureAwait(false);
                failed = true;
                if (!_hears && _watchers > 0)
                {
                    signals.Advance(await reader.VersionAsync(cancellationToken).ConfigureAwait(false));
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
                KvLog.PollFailed(logger, lost ? LogLevel.Debug : LogLevel.Warning, error);
                lost = true;
            }
        }
    }

    private static async ValueTask TryWaitAsync(Backoff backoff, CancellationToken cancellationToken)
    {
        try
        {
            await backoff.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The loop sees it, too.
        }
    }

    private void SayDeaf()
    {
        if (!_saidDeaf)
        {
            _saidDeaf = true;
            KvLog.Deaf(logger);
        }
    }

    private void SetHears(bool hears)
    {
        if (_hears != hears)
        {
            _hears = hears;
            _look.Set();
            HearsChanged?.Invoke();
        }
    }

    private void Leave(bool watched)
    {
        lock (_gate)
        {
            _watchers -= watched ? 1 : 0;
            if (--_users == 0)
            {
                _lingering = Detached.Run(() => clock.Time.CreateTimer(static listener => ((ChangeListener)listener!).End(), this, Linger, Timeout.InfiniteTimeSpan));
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
