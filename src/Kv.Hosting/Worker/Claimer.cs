using Kv.Diagnostics;
using Kv.Messages;
using Kv.Queue;
using Kv.Topics;
using Microsoft.Extensions.Logging;

namespace Kv.Worker;

/// <summary>Decides when to claim and how much: in rounds, and along with the commits of this process that bring messages.</summary>
/// <param name="queue">Where messages come from.</param>
/// <param name="topics">The topics that are handled.</param>
/// <param name="held">What is held already.</param>
/// <param name="owner">Who claims.</param>
/// <param name="options">How much at most, and how often to look.</param>
/// <param name="start">Gets what was claimed, and when the claim was sent.</param>
/// <param name="wake">Has a round run soon.</param>
/// <param name="logger">Where to say what is found.</param>
internal sealed class Claimer(
    MessageQueue queue, TopicSettings[] topics, HeldMessages held, string owner, KvWorkerOptions options, Action<ClaimedMessage, long> start, Action wake, ILogger logger)
{
    private const long Day = 24 * 60 * 60 * 1000;
    private static readonly TimeSpan Blind = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Precaution = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan RecoverPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan ApartPause = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan RepairInterval = TimeSpan.FromMinutes(1);

    // As many at once make a backlog.
    private const int Many = 16;

    // A probe or two for each; where there are more groups, the next look goes on from there.
    private const int GroupsOfALook = 10_000;
    private const int ManyLeases = 1000;

    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SteadyClock _clock = new(queue.Time, LongestLease(topics, options), begins: queue.IsLocal);
    private readonly LeaseWatch _watch = new(
        queue.Time,
        topic => topics.Where(t => t.Topic == topic).Select(static t => t.Term).DefaultIfEmpty(topics.Select(static t => t.Term).DefaultIfEmpty(options.Lease).Max()).First(),
        OwnerName.IsDead);
    private int _underWay;
    private bool _closing;
    private volatile bool _isShort;
    private volatile bool _isBacklog;
    private long? _failedApartAt;
    private long? _recoveredAt;
    private long? _lookedAt;
    private TimeSpan _trusted;
    private int _due;
    private long? _repairedAt;
    private long? _siftedAt;
    private volatile bool _mayHaveStrays;
    private IReadOnlyList<MessageGroup> _repairAfter = [.. topics.Select(static t => new MessageGroup(t.Topic, ""))];
    private volatile int _firstTopic;

    /// <summary>Makes dead letters of what no claim takes.</summary>
    public required StraySifter Sifter { get; init; }

    /// <summary>Whether the last look found any message, of whatever topic and in whatever state.</summary>
    public bool HasRows { get; private set; } = true;

    /// <summary>The shortest lease of a message.</summary>
    public TimeSpan ShortestLease { get; } = topics.Select(static t => t.Lease).Append(options.Lease).Min();

    private TimeProvider Time => queue.Time;

    /// <summary>How long until it looks although nothing happened that it knows of.</summary>
    /// <remarks>
    /// Who is told of messages looks as a precaution. Of claims nobody tells, so it looks once per lease: that way it has seen the deadline of
    /// every message by the time the lease is over.
    /// </remarks>
    private TimeSpan PollInterval =>
        options.PollInterval ?? (!queue.Hears ? Blind : ShortestLease < Precaution ? ShortestLease : Precaution);

    /// <summary>Something is due that may be claimed without a look.</summary>
    public void MarkDue() => Interlocked.Exchange(ref _due, 1);

    /// <summary>Places have become free: if something may have been left for want of them, it is looked for.</summary>
    public void OnRoom()
    {
        if (_isShort)
        {
            wake();
        }
    }

    /// <summary>Takes what is due and what there is room for.</summary>
    /// <returns>How long until there may be more, unless somebody tells before.</returns>
    public async Task<TimeSpan> RunRoundAsync(CancellationToken cancellationToken)
    {
        if (!queue.ServerJudges && _clock.HasStepped())
        {
            WorkerLog.ClockStepped(logger, options.Lease);
        }

        if (_clock.LeftDeadlinesBehind)
        {
            // Twice the longest lease: whoever lives has extended what it holds, to no more than one.
            await queue.LapseAsync(topics.Select(static t => t.Topic), 2 * _clock.Lease, cancellationToken).ConfigureAwait(false);
            _clock.Forget();
        }

        await RepairAsync(cancellationToken).ConfigureAwait(false);
        if (HasRows)
        {
            await SiftAsync(cancellationToken).ConfigureAwait(false);
        }

        // Set before it is known, so that nobody who frees a place meanwhile goes unheard.
        _isShort = true;
        var open = TopicsWithRoom();
        _isShort = open.Count < topics.Length;
        if (open.Count == 0)
        {
            return PollInterval;
        }

        // A look costs no write: an idle worker takes no lock and commits nothing. Who knows that something is due claims without one, until a
        // lease lapses or something else is due that only a look sees. A look at a backlog is dear: it walks past all that was claimed of it.
        var isKnown = Interlocked.Exchange(ref _due, 0) == 1 && _lookedAt is { } at && Time.GetElapsedTime(at) < _trusted;
        var (recover, admit) = (false, false);
        IReadOnlySet<string>? free = null;
        if (!isKnown)
        {
            var hadRows = HasRows;
            _lookedAt = Time.GetTimestamp();
            (var due, var deferred, var lapse, HasRows) = await queue.NextDueAsync(open, cancellationToken).ConfigureAwait(false);
            if (HasRows && !hadRows)
            {
                // What no claim takes is looked for where there is anything at all: an idle worker asks nothing more than this.
                await SiftAsync(cancellationToken).ConfigureAwait(false);
            }

            (var untilRecovery, free) = await UntilRecoveryAsync(lapse, cancellationToken).ConfigureAwait(false);
            _trusted = Earliest(untilRecovery, Milliseconds(deferred), options.RecoverInterval);
            (recover, admit) = (untilRecovery <= TimeSpan.Zero, deferred is <= 0);
            if (due is not <= 0 && !recover && !admit)
            {
                return Earliest(Milliseconds(due), Milliseconds(deferred), untilRecovery);
            }
        }

        var mayGoOn = await ClaimAsync(recover ? free : null, admit, cancellationToken).ConfigureAwait(false);

        // Nothing: others are taking what is due, or hold it locked.
        return mayGoOn || recover || admit || isKnown ? TimeSpan.Zero : Earliest(FirstPause);
    }

    /// <summary>A claim that shares the commit of messages which are coming: they are held once they are committed, without a commit of its own.</summary>
    /// <param name="coming">How many messages come, by topic.</param>
    /// <returns>Null if they are not for this worker, or it has no room; then it is told of them after the commit.</returns>
    public ClaimWork? Accompany(IReadOnlyDictionary<string, int> coming)
    {
        if (Begin(coming) is { } claim)
        {
            _ = FollowAsync(claim, Time.GetTimestamp());
            return claim;
        }

        return null;
    }

    /// <summary>Waits for the claims that are under way. No further one is made.</summary>
    public async Task CloseAsync(TimeSpan longest)
    {
        lock (_gate)
        {
            _closing = true;
            if (_underWay == 0)
            {
                _closed.TrySetResult();
            }
        }

        await _closed.Task.WaitAsync(longest, TimeProvider.System).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <returns>Whether it took something, or as much as there was room for.</returns>
    private async Task<bool> ClaimAsync(IReadOnlySet<string>? recovers, bool admit, CancellationToken cancellationToken)
    {
        // The lease counts from before the claim is sent, and so ends here no later than in the database.
        var sentAt = Time.GetTimestamp();
        if (Begin(coming: null, recovers, admit) is not { } claim)
        {
            return false;
        }

        _recoveredAt = recovers is not null ? sentAt : _recoveredAt;
        IReadOnlyList<ClaimedMessage> claimed = [];
        var isFull = false;
        try
        {
            claimed = await queue.ClaimAsync(claim, cancellationToken).ConfigureAwait(false);
            isFull = claimed.Count >= claim.Limit;
            if (isFull)
            {
                // As many as asked for, so there are most likely more.
                MarkDue();
            }

            return isFull || claimed.Count > 0;
        }
        catch (Exception) when (claim.IsOfBacklog)
        {
            // There may be no connection left for it, while the other writes have theirs.
            _failedApartAt = Time.GetTimestamp();
            throw;
        }
        finally
        {
            // Fewer are worth no commit of their own: they share one with the ends of those before.
            _isBacklog = isFull && (_isBacklog || claimed.Count >= Many) && !(_failedApartAt is { } at && Time.GetElapsedTime(at) < ApartPause);
            End(claim, claimed, sentAt);
        }
    }

    private async Task FollowAsync(ClaimWork claim, long sentAt)
    {
        IReadOnlyList<ClaimedMessage> claimed = [];
        try
        {
            claimed = await claim.Task.ConfigureAwait(false);
        }
        catch (Exception error)
        {
            // The commit failed with it, or the claim alone: a round finds what there is.
            WorkerLog.ClaimFailed(logger, error);
        }
        finally
        {
            End(claim, claimed, sentAt);
        }
    }

    /// <summary>A claim of what there will be room for when its group begins: several may be under way.</summary>
    private ClaimWork? Begin(IReadOnlyDictionary<string, int>? coming, IReadOnlySet<string>? recovers = null, bool admit = false)
    {
        lock (_gate)
        {
            if (_closing || (recovers is null && TopicsWithRoom(coming).Count == 0))
            {
                return null;
            }

            _underWay++;
            return new ClaimWork([], 0, owner)
            {
                Recover = recovers is not null,
                Recovers = recovers,
                Admit = admit,
                Accompanies = coming is not null,
                IsOfBacklog = _isBacklog,
                Room = () => Reserve(coming),
            };
        }
    }

    /// <summary>Takes the places that there are.</summary>
    private (IReadOnlyList<TopicClaim> Topics, int Limit) Reserve(IReadOnlyDictionary<string, int>? coming)
    {
        lock (_gate)
        {
            if (coming is null)
            {
                // Another topic is first each time, so that one with a backlog does not starve the others.
                _firstTopic = (_firstTopic + 1) % topics.Length;
            }

            var open = _closing ? [] : TopicsWithRoom(coming);
            var limit = Math.Clamp(held.Room, 0, open.Sum(static t => t.Room));
            if (_isBacklog && coming is null && queue.ClaimsApart)
            {
                // One half is handled while the other is claimed.
                limit = Math.Min(limit, (options.Concurrency + 1) / 2);
                open = open.ConvertAll(t => t with { Room = Math.Min(t.Room, limit) });
            }

            held.Reserve(open, limit);
            return (open, limit);
        }
    }

    private void End(ClaimWork claim, IReadOnlyList<ClaimedMessage> claimed, long sentAt)
    {
        held.Settle(claim, claimed);
        _mayHaveStrays |= claim.FoundStrays;
        OnRoom();
        foreach (var message in claimed)
        {
            start(message, sentAt);
        }

        lock (_gate)
        {
            if (--_underWay == 0 && _closing)
            {
                _closed.TrySetResult();
            }
        }
    }

    // Whoever deletes messages with SQL of their own may take a place away from a group, and then nobody would let the next one go.
    private async ValueTask RepairAsync(CancellationToken cancellationToken)
    {
        if (_repairedAt is { } at && Time.GetElapsedTime(at) < RepairInterval)
        {
            return;
        }

        _repairedAt = Time.GetTimestamp();
        (var found, _repairAfter) = await queue.RepairAsync(_repairAfter, GroupsOfALook, cancellationToken).ConfigureAwait(false);
        foreach (var group in found)
        {
            WorkerLog.GroupRepaired(logger, group.Key, group.Topic);
        }
    }

    private async ValueTask SiftAsync(CancellationToken cancellationToken)
    {
        if (!_mayHaveStrays && _siftedAt is { } at && Time.GetElapsedTime(at) < options.RecoverInterval)
        {
            return;
        }

        (_siftedAt, _mayHaveStrays) = (Time.GetTimestamp(), false);
        if (await Sifter.SiftAsync(endless: queue.ServerJudges || _clock.IsSteady, cancellationToken).ConfigureAwait(false))
        {
            // What was mended is due, and what was set aside may have kept others from their place.
            _lookedAt = null;
        }
    }

    private List<TopicClaim> TopicsWithRoom(IReadOnlyDictionary<string, int>? coming = null)
    {
        var room = held.Room;
        List<TopicClaim> open = new(topics.Length);
        if (room <= 0)
        {
            return open;
        }

        var first = _firstTopic;
        for (var i = 0; i < topics.Length; i++)
        {
            var topic = topics[(first + i) % topics.Length];
            var wanted = coming is null ? room : Math.Min(room, coming.GetValueOrDefault(topic.Topic));
            if (Math.Min(wanted, held.RoomOf(topic)) is > 0 and var left)
            {
                open.Add(topic.Claim(left));
            }
        }

        return open;
    }

    /// <summary>How long until lapsed messages are to be put back, and which; null if none is held.</summary>
    private async ValueTask<(TimeSpan? Wait, IReadOnlySet<string>? Free)> UntilRecoveryAsync(long? lapse, CancellationToken cancellationToken)
    {
        if (lapse is null)
        {
            return (null, null);
        }

        var untilLapse = Milliseconds(lapse)!.Value;
        var believes = queue.ServerJudges || _clock.IsSteady;

        // What lapsed one after the other is put back together; a row that somebody has locked is not tried again at once.
        var pause = options.RecoverInterval < RecoverPause ? options.RecoverInterval : RecoverPause;
        var untilTurn = _recoveredAt is { } at ? pause - Time.GetElapsedTime(at) : TimeSpan.Zero;
        var until = untilLapse > untilTurn ? untilLapse : untilTurn;
        if (until > TimeSpan.Zero && (believes || _watch.HasLooked))
        {
            return (until, null);
        }

        // Who begins to watch a lease before it lapses need not watch it afterwards.
        var leases = await queue.LapsedAsync(believes ? TimeSpan.Zero : TimeSpan.FromMilliseconds(Day), ManyLeases, cancellationToken).ConfigureAwait(false);
        var (free, wait) = _watch.Judge(leases, believes, believes ? long.MaxValue : Time.GetUtcNow().ToUnixTimeMilliseconds());
        return until > TimeSpan.Zero ? (until, null) : free.Count > 0 ? (TimeSpan.Zero, free) : (wait ?? PollInterval, null);
    }

    private static TimeSpan LongestLease(TopicSettings[] topics, KvWorkerOptions options) => topics.Select(static t => t.Lease).Append(options.Lease).Max();

    // Other programs have put in times that no TimeSpan can hold.
    private static TimeSpan? Milliseconds(long? milliseconds) => milliseconds is { } known ? TimeSpan.FromMilliseconds(Math.Clamp(known, -Day, Day)) : null;

    private TimeSpan Earliest(params ReadOnlySpan<TimeSpan?> waits)
    {
        var earliest = PollInterval;
        foreach (var wait in waits)
        {
            earliest = wait < earliest ? wait.Value : earliest;
        }

        return earliest;
    }
}
