using Kv.Diagnostics;
using Kv.Messages;
using Kv.Queue;
using Kv.Topics;
using Microsoft.Extensions.Logging;

namespace Kv.Worker;

/// <summary>
/// The claims of a worker that are under way, and the capacity that they take: each takes what is left when its commit begins.
/// </summary>
/// <param name="queue">Where messages come from.</param>
/// <param name="topics">The topics that are handled.</param>
/// <param name="capacity">How many messages can be handled.</param>
/// <param name="owner">The name of the worker.</param>
/// <param name="concurrency">How many messages are handled at the same time.</param>
/// <param name="sifter">Makes dead letters of what a claim sets aside.</param>
/// <param name="start">Gets what was claimed, and when the claim was sent.</param>
/// <param name="wake">Has a round run soon.</param>
/// <param name="logger">Where to say that a claim failed.</param>
internal sealed class Claims(
    MessageQueue queue,
    TopicSettings[] topics,
    WorkerCapacity capacity,
    string owner,
    int concurrency,
    StraySifter sifter,
    Action<ClaimedMessage, long> start,
    Action wake,
    ILogger logger)
{
    private static readonly TimeSpan ApartPause = TimeSpan.FromMinutes(10);

    // As many at once make a backlog.
    private const int Backlog = 16;

    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _underWay;
    private bool _closing;
    private volatile bool _isShort;
    private volatile bool _isBacklog;
    private volatile int _firstTopic;
    private long? _failedApartAt;

    /// <summary>What there is capacity for now; if that is not all topics, a round runs as soon as there is more.</summary>
    public IReadOnlyList<TopicClaim> Open()
    {
        // Set before it is known, so that capacity which is freed meanwhile does not go unnoticed.
        _isShort = true;
        var open = WithCapacity();
        _isShort = open.Count < topics.Length;
        return open;
    }

    /// <summary>Capacity has become free: if something may have been left for want of it, it is looked for.</summary>
    public void OnCapacity()
    {
        if (_isShort)
        {
            wake();
        }
    }

    /// <summary>Claims what is due.</summary>
    /// <param name="recovers">The ids of the messages that are put back first; null for none.</param>
    /// <param name="findSlots">Whether slots are looked for first, for messages of limited groups whose time has come.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Whether it took something, and whether that was as much as it asked for.</returns>
    public async Task<(bool Any, bool IsFull)> ClaimAsync(
        IReadOnlySet<string>? recovers, bool findSlots, CancellationToken cancellationToken)
    {
        // The lease counts from before the claim is sent, and so ends here no later than in the database.
        var sentAt = queue.Time.GetTimestamp();
        if (Begin(coming: null, recovers, findSlots) is not { } claim)
        {
            return (false, false);
        }

        IReadOnlyList<ClaimedMessage> claimed = [];
        var isFull = false;
        try
        {
            claimed = await queue.ClaimAsync(claim, cancellationToken).ConfigureAwait(false);
            isFull = claimed.Count >= claim.Limit;
            return (isFull || claimed.Count > 0, isFull);
        }
        catch (Exception) when (claim.IsOfBacklog)
        {
            // There may be no connection left for it, while the other writes have theirs.
            _failedApartAt = queue.Time.GetTimestamp();
            throw;
        }
        finally
        {
            // Fewer are worth no commit of their own: they share one with the ends of those before.
            _isBacklog = isFull && (_isBacklog || claimed.Count >= Backlog)
                && !(_failedApartAt is { } at && queue.Time.GetElapsedTime(at) < ApartPause);
            End(claim, claimed, sentAt);
        }
    }

    /// <summary>
    /// A claim that shares the commit of messages which are coming: they run once they are committed, without a commit of its own.
    /// </summary>
    /// <param name="coming">How many messages come, by topic.</param>
    /// <returns>Null if they are not for this worker, or it has no capacity; then it is told of them after the commit.</returns>
    public ClaimWork? ShareCommit(IReadOnlyDictionary<string, int> coming)
    {
        if (Begin(coming) is { } claim)
        {
            _ = FollowAsync(claim, queue.Time.GetTimestamp());
            return claim;
        }

        return null;
    }

    /// <summary>Runs a message of a topic that is handled, which was claimed apart from all rounds.</summary>
    public void Give(ClaimedMessage message)
    {
        capacity.Reserve([topics.First(topic => topic.Topic == message.Topic).Claim(1)], 1);
        start(message, queue.Time.GetTimestamp());
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

    /// <summary>A claim of what there will be capacity for when its commit group begins: several may be under way.</summary>
    private ClaimWork? Begin(IReadOnlyDictionary<string, int>? coming, IReadOnlySet<string>? recovers = null, bool findSlots = false)
    {
        lock (_gate)
        {
            if (_closing || (recovers is null && WithCapacity(coming).Count == 0))
            {
                return null;
            }

            _underWay++;
            return new ClaimWork([], 0, owner)
            {
                Recover = recovers is not null,
                Recovers = recovers,
                FindsSlots = findSlots,
                SharesCommit = coming is not null,
                IsOfBacklog = _isBacklog,
                Reserve = () => Reserve(coming),
            };
        }
    }

    /// <summary>Takes the capacity that there is.</summary>
    private (IReadOnlyList<TopicClaim> Topics, int Limit) Reserve(IReadOnlyDictionary<string, int>? coming)
    {
        lock (_gate)
        {
            if (coming is null)
            {
                // Another topic is first each time, so that one with a backlog does not starve the others.
                _firstTopic = (_firstTopic + 1) % topics.Length;
            }

            var open = _closing ? [] : WithCapacity(coming);
            var limit = Math.Clamp(capacity.Left, 0, open.Sum(static t => t.Capacity));
            if (_isBacklog && coming is null && queue.ClaimsApart)
            {
                // One half is handled while the other is claimed.
                limit = Math.Min(limit, (concurrency + 1) / 2);
                open = open.ConvertAll(t => t with { Capacity = Math.Min(t.Capacity, limit) });
            }

            capacity.Reserve(open, limit);
            return (open, limit);
        }
    }

    private void End(ClaimWork claim, IReadOnlyList<ClaimedMessage> claimed, long sentAt)
    {
        capacity.Settle(claim, claimed);
        if (claim.FoundStrays)
        {
            sifter.MarkStrays();
        }

        OnCapacity();
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

    private List<TopicClaim> WithCapacity(IReadOnlyDictionary<string, int>? coming = null)
    {
        var left = capacity.Left;
        List<TopicClaim> open = new(topics.Length);
        if (left <= 0)
        {
            return open;
        }

        var first = _firstTopic;
        for (var i = 0; i < topics.Length; i++)
        {
            var topic = topics[(first + i) % topics.Length];
            var wanted = coming is null ? left : Math.Min(left, coming.GetValueOrDefault(topic.Topic));
            if (Math.Min(wanted, capacity.LeftOf(topic)) is > 0 and var most)
            {
                open.Add(topic.Claim(most));
            }
        }

        return open;
    }
}
