using System.Globalization;

namespace Kv.Connections;

/// <summary>
/// How long transactions wait for locks, and which session has them: the server ends the wait before the driver would end the connection,
/// so that it is known that nothing was written.
/// </summary>
/// <remarks>
/// Waits are rare, so a first one is bounded by the session's setting, which costs nothing, at half of the caller's time. The next try
/// waits for the rest, and meanwhile another session asks the server which one has the lock: afterwards, it would not know.
/// </remarks>
internal sealed class LockWait : IAsyncDisposable
{
    private static readonly TimeSpan LongestMargin = TimeSpan.FromMilliseconds(500);
    private readonly CancellationTokenSource _end = new();
    private readonly SessionFactory _sessions;
    private readonly Driver _driver;
    private readonly TimeSpan _longest;
    private Task _looking = Task.CompletedTask;
    private volatile string? _holder;

    /// <param name="sessions">Where to ask.</param>
    /// <param name="driver">The database.</param>
    /// <param name="left">How much of the caller's time is left.</param>
    /// <param name="looks">Whether to look for the session that has the lock.</param>
    public LockWait(SessionFactory sessions, Driver driver, TimeSpan left, bool looks) =>
        (_sessions, _driver, _longest, Looks) = (sessions, driver, Within(left), looks);

    /// <summary>Whether another session looks for the one that has the lock.</summary>
    public bool Looks { get; }

    /// <summary>How long to wait, as the server wants to be told.</summary>
    public string Text => string.Create(CultureInfo.InvariantCulture, $"{_longest.TotalMilliseconds:0}ms");

    /// <summary>The session that has the lock, as far as it was seen.</summary>
    public string? Holder => _holder;

    /// <summary>How long a session waits that was not told anything else.</summary>
    public static TimeSpan First(TimeSpan budget) => Within(budget / 2);

    /// <summary>Whether a session may wait by its own setting, and there is still time left.</summary>
    public static bool IsFirst(TimeSpan left, TimeSpan budget) => left > budget * 0.6;

    /// <summary>Begins to look, while a session waits or soon will.</summary>
    /// <param name="backend">By which number the server knows it.</param>
    public void Begin(int backend)
    {
        if (Looks)
        {
            _looking = Task.Run(() => LookAsync(backend));
        }
    }

    /// <summary>Ends the look. It waits for no answer: a server that gives it none gives none to others either.</summary>
    public async ValueTask DisposeAsync()
    {
        // It yields to a thread of the pool, for which the many that write at once would have to wait.
        if (Looks)
        {
            await _end.CancelAsync().ConfigureAwait(false);
            _looking.Abandon();
        }
    }

    private static TimeSpan Within(TimeSpan time)
    {
        var margin = time / 10 < LongestMargin ? time / 10 : LongestMargin;
        return time - margin > TimeSpan.FromMilliseconds(1) ? time - margin : TimeSpan.FromMilliseconds(1);
    }

    private async Task LookAsync(int backend)
    {
        using var interruption = new Interruption(_end.Token);
        var backoff = Backoff.ForLooks(_longest);
        var session = await _sessions.OpenAsync(SessionRole.Read, interruption.Token).ConfigureAwait(false);
        await using (session.ConfigureAwait(false))
        {
            while (await backoff.WaitAsync(_end.Token).ConfigureAwait(false))
            {
                _holder = await _driver.FindHolderAsync(session, backend, interruption.Token).ConfigureAwait(false) ?? _holder;
            }
        }
    }
}
