using Kv.Queue;
using Kv.Topics;

namespace Kv.Worker;

/// <summary>Decides in rounds when to look for messages and when to claim: what is due, what lapsed, and what looks for a slot.</summary>
/// <param name="queue">Where messages come from.</param>
/// <param name="topics">The topics that are handled.</param>
/// <param name="claims">Takes what is due.</param>
/// <param name="recovery">Decides which leases are recovered.</param>
/// <param name="sifter">Sees to what no claim takes.</param>
/// <param name="options">How often to look.</param>
internal sealed class ClaimLoop(
    MessageQueue queue, TopicSettings[] topics, Claims claims, LeaseRecovery recovery, StraySifter sifter, KvWorkerOptions options)
{
    private const long Day = 24 * 60 * 60 * 1000;
    private static readonly TimeSpan Polling = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Precaution = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private long? _lookedAt;
    private TimeSpan _trusted;
    private int _due;

    /// <summary>Whether the last look found any message, of whatever topic and in whatever state.</summary>
    public bool HasRows { get; private set; } = true;

    /// <summary>The shortest lease of a message.</summary>
    public TimeSpan ShortestLease { get; } = topics.Select(static t => t.Lease).Append(options.Lease).Min();

    /// <summary>How long until it looks although nothing happened that it knows of.</summary>
    /// <remarks>
    /// A worker that is told of messages looks as a precaution. It is not told of claims, so it looks once per lease: that way it has seen
    /// the deadline of every message by the time the lease is over.
    /// </remarks>
    private TimeSpan PollInterval =>
        options.PollInterval ?? (!queue.IsListening ? Polling : ShortestLease < Precaution ? ShortestLease : Precaution);

    /// <summary>Something is due that may be claimed without a look.</summary>
    public void MarkDue() => Interlocked.Exchange(ref _due, 1);

    /// <summary>Takes what is due and what there is capacity for.</summary>
    /// <returns>How long until there may be more, unless the worker is told of something before.</returns>
    public async Task<TimeSpan> RunRoundAsync(CancellationToken cancellationToken)
    {
        await recovery.LookAtClockAsync(cancellationToken).ConfigureAwait(false);
        if (HasRows)
        {
            await SiftAsync(cancellationToken).ConfigureAwait(false);
        }

        var open = claims.Open();
        if (open.Count == 0)
        {
            return PollInterval;
        }

        // A look costs no write: an idle worker takes no lock and commits nothing. One that knows that something is due claims without a
        // look, until a lease lapses or something else is due that only a look sees. A look at a backlog is dear: it walks past all that
        // was claimed of it.
        var isKnown = Interlocked.Exchange(ref _due, 0) == 1 && _lookedAt is { } at && queue.Time.GetElapsedTime(at) < _trusted;
        var (recover, findSlots) = (false, false);
        IReadOnlySet<string>? free = null;
        if (!isKnown)
        {
            var hadRows = HasRows;
            _lookedAt = queue.Time.GetTimestamp();
            (var due, var deferred, var lapse, HasRows) = await queue.NextDueAsync(open, cancellationToken).ConfigureAwait(false);
            if (HasRows && !hadRows)
            {
                // What no claim takes is looked for where there is anything at all: an idle worker asks nothing more than this.
                await SiftAsync(cancellationToken).ConfigureAwait(false);
            }

            (var untilRecovery, free) = await recovery.UntilAsync(Milliseconds(lapse), cancellationToken).ConfigureAwait(false);
            _trusted = Earliest(untilRecovery, Milliseconds(deferred), options.RecoverInterval);
            (recover, findSlots) = (untilRecovery <= TimeSpan.Zero, deferred is <= 0);
            if (due is not <= 0 && !recover && !findSlots)
            {
                return Earliest(Milliseconds(due), Milliseconds(deferred), untilRecovery);
            }
        }

        if (recover)
        {
            recovery.Begin();
        }

        var (any, isFull) = await claims.ClaimAsync(recover ? free : null, findSlots, cancellationToken).ConfigureAwait(false);
        if (isFull)
        {
            // As many as asked for, so there are most likely more.
            MarkDue();
        }

        // Nothing: others are taking what is due, or hold it locked.
        return any || recover || findSlots || isKnown ? TimeSpan.Zero : Earliest(FirstPause);
    }

    private async ValueTask SiftAsync(CancellationToken cancellationToken)
    {
        if (await sifter.SiftAsync(endless: recovery.Believes, cancellationToken).ConfigureAwait(false))
        {
            // What is due has changed.
            _lookedAt = null;
        }
    }

    // Other programs have put in times that no TimeSpan can hold.
    private static TimeSpan? Milliseconds(long? milliseconds) =>
        milliseconds is { } known ? TimeSpan.FromMilliseconds(Math.Clamp(known, -Day, Day)) : null;

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
