using Kv.Diagnostics;
using Kv.Queue;
using Kv.Topics;
using Microsoft.Extensions.Logging;

namespace Kv.Worker;

/// <summary>Decides when lapsed leases are recovered and which, and whether deadlines can be believed at all.</summary>
/// <param name="queue">Where messages come from.</param>
/// <param name="topics">The topics that are handled.</param>
/// <param name="options">The longest lease, and how often to look.</param>
/// <param name="logger">Where to say that a clock was set.</param>
internal sealed class LeaseRecovery(MessageQueue queue, TopicSettings[] topics, KvWorkerOptions options, ILogger logger)
{
    private const int LeasesOfALook = 1000;
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);
    private readonly ClockGuard _clock = new(
        queue.Time, topics.Select(static t => t.Lease).Append(options.Lease).Max(), begins: queue.IsLocal);

    private readonly LeaseWatch _watch = new(
        queue.Time,
        topic => topics.Where(t => t.Topic == topic).Select(static t => t.ClaimDuration)
            .DefaultIfEmpty(topics.Select(static t => t.ClaimDuration).DefaultIfEmpty(options.Lease).Max()).First(),
        OwnerName.IsDead);

    private long? _recoveredAt;

    /// <summary>Whether deadlines can be believed.</summary>
    public bool Believes => queue.ServerJudges || _clock.IsSteady;

    /// <summary>Looks at the clock, and ends the leases that one which was set back has left far ahead.</summary>
    public async ValueTask LookAtClockAsync(CancellationToken cancellationToken)
    {
        if (!queue.ServerJudges && _clock.HasStepped())
        {
            WorkerLog.ClockStepped(logger, options.Lease);
        }

        if (_clock.LeftDeadlinesBehind)
        {
            // Twice the longest lease: a worker that lives has extended what it runs, to no more than one.
            await queue.LapseAsync(topics.Select(static t => t.Topic), 2 * _clock.Lease, cancellationToken).ConfigureAwait(false);
            _clock.Forget();
        }
    }

    /// <summary>A claim recovers what lapsed.</summary>
    public void Begin() => _recoveredAt = queue.Time.GetTimestamp();

    /// <summary>How long until lapsed messages are to be put back, and which; null if none runs.</summary>
    /// <param name="lapse">How long until the first lease lapses.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async ValueTask<(TimeSpan? Wait, IReadOnlySet<string>? Free)> UntilAsync(TimeSpan? lapse, CancellationToken cancellationToken)
    {
        if (lapse is not { } untilLapse)
        {
            return (null, null);
        }

        var believes = Believes;

        // What lapsed one after the other is put back together; a row that is locked is not tried again at once.
        var pause = options.RecoverInterval < Pause ? options.RecoverInterval : Pause;
        var untilNext = _recoveredAt is { } at ? pause - queue.Time.GetElapsedTime(at) : TimeSpan.Zero;
        var until = untilLapse > untilNext ? untilLapse : untilNext;
        if (until > TimeSpan.Zero && (believes || _watch.HasLooked))
        {
            return (until, null);
        }

        // A lease that is watched before it lapses need not be watched afterwards.
        var leases = await queue.LapsedAsync(believes ? TimeSpan.Zero : Day, LeasesOfALook, cancellationToken).ConfigureAwait(false);
        var (free, wait) = _watch.Judge(leases, believes, believes ? long.MaxValue : queue.Time.GetUtcNow().ToUnixTimeMilliseconds());
        return until > TimeSpan.Zero ? (until, null) : free.Count > 0 ? (TimeSpan.Zero, free) : (wait, null);
    }
}
