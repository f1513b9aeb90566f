using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>Learns of the commits of other processes, for as long as somebody watches or works: hears of them, or else looks for them.</summary>
/// <remarks>
/// Looking is right by itself. Hearing is quicker and spares the looks, so it is believed only after a notice to itself has come back, and
/// again whenever nothing was heard for a while: a pooler, a network or a server may swallow notices without a word.
/// </remarks>
internal sealed class ChangeListener(
    SessionFactory sessions,
    SnapshotReader reader,
    ChangeNotifier notifier,
    KvDialect dialect,
    CommitSignals signals,
    StoreClock clock,
    KvStoreOptions options,
    ILogger logger,
    CancellationToken stop)
{
    /// <summary>After so long without a notice it is made sure that one would be heard.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(60);

    /// <summary>How long a connection that swallows notices is left alone: it does so by design.</summary>
    public static readonly TimeSpan Deafness = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);
    private readonly Lock _gate = new();
    private readonly Signal _look = new();
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _loop = Task.CompletedTask;
    private bool _running;
    private int _users;
    private volatile int _watchers;
    private volatile bool _hears;
    private bool _saidDeaf;

    /// <summary>It begins or ceases to hear.</summary>
    public event Action? HearsChanged;

    /// <summary>Whether the commits of other processes are heard of, so that nobody needs to look for them.</summary>
    public bool Hears => _hears;

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
            if (!_running)
            {
                _running = true;
                var before = _loop;
                _loop = Task.Run(() => RunAsync(before), CancellationToken.None);
            }
        }

        return new User(this, watches);
    }

    private async Task RunAsync(Task before)
    {
        await before.ConfigureAwait(false);
        await _opened.Task.WaitAsync(stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var looking = LookAsync(ending.Token);
        Backoff? backoff = null;
        while (!stop.IsCancellationRequested && IsUsed())
        {
            var pause = TimeSpan.Zero;
            try
            {
                if (dialect.Notifies && !options.Notifications)
                {
                    pause = Silence;
                }
                else if (!await HearAsync().ConfigureAwait(false))
                {
                    pause = Deafness;
                }
            }
            catch (Exception) when (stop.IsCancellationRequested)
            {
                break;
            }
            catch (Exception error)
            {
                // Said once for a loss and not at each try after it.
                var lost = _hears || backoff is null;
                KvLog.ListeningFailed(logger, lost ? LogLevel.Warning : LogLevel.Debug, error);
                backoff = lost ? new Backoff(FirstPause, LongestPause, TimeSpan.MaxValue) : backoff!;
                SetHears(false);
                await WaitAsync(backoff).ConfigureAwait(false);
            }

            SetHears(false);
            await Task.Delay(pause, clock.Time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await ending.CancelAsync().ConfigureAwait(false);
        await looking.ConfigureAwait(false);
    }

    /// <summary>Hears of commits until nobody wants to know any more.</summary>
    /// <returns>False if notices do not come through.</returns>
    private async Task<bool> HearAsync()
    {
        var session = await sessions.OpenAsync(SessionRole.Listen, stop).ConfigureAwait(false);
        await using (session.ConfigureAwait(false))
        {
            var feed = await dialect.OpenFeedAsync(session, options, clock.Time, stop).ConfigureAwait(false);
            if (!await ProbeAsync(feed).ConfigureAwait(false))
            {
                if (!_saidDeaf)
                {
                    _saidDeaf = true;
                    KvLog.Deaf(logger);
                }

                return false;
            }

            SetHears(true);

            // Whatever came before the feed was open was not heard.
            await HandleAsync(Notice.LookAtAll).ConfigureAwait(false);
            while (IsUsed())
            {
                if (await NextAsync(feed, Silence, clock.Time).ConfigureAwait(false) is { } notice)
                {
                    await HandleAsync(notice).ConfigureAwait(false);
                }
                else if (IsUsed() && !await ProbeAsync(feed).ConfigureAwait(false))
                {
                    throw new TimeoutException($"A notice to itself did not come back within {ProbeTimeout.TotalSeconds:0} seconds.");
                }
            }

            return true;
        }
    }

    /// <summary>Sees whether a notice to itself comes back. It is sent on another connection: a pooler may return it on the same one, and only there.</summary>
    private async ValueTask<bool> ProbeAsync(ChangeFeed feed)
    {
        if (!dialect.Notifies)
        {
            return true;
        }

        // The answer has the version, so watchers look with every probe.
        signals.Advance(await notifier.SendAsync(new Notice(notifier.Id, Changes.None, 0, IsProbe: true), stop).ConfigureAwait(false));
        while (await NextAsync(feed, ProbeTimeout, TimeProvider.System).ConfigureAwait(false) is { } notice)
        {
            if (notice.IsProbe && notice.Sender == notifier.Id)
            {
                return true;
            }

            await HandleAsync(notice).ConfigureAwait(false);
        }

        return false;
    }

    private async ValueTask<Notice?> NextAsync(ChangeFeed feed, TimeSpan longest, TimeProvider time)
    {
        using var silence = new CancellationTokenSource(longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, stop);
        try
        {
            return await feed.NextAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (silence.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            return null;
        }
    }

    private async ValueTask HandleAsync(Notice notice)
    {
        // Its own commits it knows already.
        if (notice.Sender == notifier.Id || notice.IsProbe)
        {
            return;
        }

        if (notice.What.HasFlag(Changes.Version))
        {
            if (notice.Version > 0)
            {
                signals.Advance(notice.Version);
            }
            else if (_watchers > 0)
            {
                signals.Advance(await reader.VersionAsync(stop).ConfigureAwait(false));
            }
        }

        signals.Raise(notice.What);
    }

    /// <summary>Looks at the version for as long as it does not hear of it.</summary>
    private async Task LookAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await _look.WaitAsync(_hears ? Silence : options.WatchInterval, clock.Time, cancellationToken).ConfigureAwait(false);
                if (!_hears && _watchers > 0)
                {
                    signals.Advance(await reader.VersionAsync(cancellationToken).ConfigureAwait(false));
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                KvLog.PollFailed(logger, error);
            }
        }
    }

    private async ValueTask WaitAsync(Backoff backoff)
    {
        try
        {
            await backoff.WaitAsync(stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The loop sees it, too.
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

    // The last user's leaving is noticed at the next notice or probe, so that a watcher who comes and goes costs no connection each time.
    private bool IsUsed()
    {
        lock (_gate)
        {
            return _running = _users > 0;
        }
    }

    private void Leave(bool watched)
    {
        lock (_gate)
        {
            _users--;
            _watchers -= watched ? 1 : 0;
        }
    }

    private sealed class User(ChangeListener listener, bool watches) : IDisposable
    {
        private ChangeListener? _listener = listener;

        public void Dispose() => Interlocked.Exchange(ref _listener, null)?.Leave(watches);
    }
}
