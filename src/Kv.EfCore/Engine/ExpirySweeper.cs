using Kv.Changes;
using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Reads;
using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>Deletes what has expired, in batches, each a commit with a version, so that watchers see it.</summary>
/// <remarks>
/// A clock that is wrong for a while hides entries, and shows them again when it is right; only what is deleted is gone. So a machine's
/// clock that was just set forward is doubted: what it makes expire is kept for some time, in which it may be seen that it is wrong.
/// </remarks>
internal sealed class ExpirySweeper(
    StoreReader reader,
    CommitPipeline pipeline,
    CommitSignals signals,
    StoreClock clock,
    KvStoreOptions options,
    StoreMetrics metrics,
    ILogger logger,
    Func<CancellationToken, ValueTask>? look = null,
    Func<CancellationToken, ValueTask<TimeSpan>>? trim = null)
{
    /// <summary>How long a clock is doubted that was set forward.</summary>
    public static readonly TimeSpan Doubt = TimeSpan.FromMinutes(10);

    /// <summary>Entries that one commit deletes.</summary>
    private const int BatchSize = 500;

    private readonly ClockSteps _steps = new(clock.Time);
    private long? _setAt;
    private bool _hasFeed;

    /// <summary>
    /// Sweeps when something is due, and looks again when the next thing is: earlier if an earlier expiry is committed. In between it has
    /// changes deleted that are no longer kept.
    /// </summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            TimeSpan wait;
            try
            {
                wait = await SweepAsync(cancellationToken).ConfigureAwait(false);
                if (_hasFeed && trim is not null && await trim(cancellationToken).ConfigureAwait(false) is var next && next < wait)
                {
                    wait = next;
                }
            }
            catch (Exception) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                wait = Backoff.AfterSweep;
                KvLog.SweepFailed(logger, StoreDisposed.LevelOf(error, LogLevel.Error), error, wait);
            }

            try
            {
                await signals.Expiry.WaitAsync(wait, clock.Time, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>Deletes all that is due now.</summary>
    /// <returns>How long until there may be more.</returns>
    public async Task<TimeSpan> SweepAsync(CancellationToken cancellationToken)
    {
        if (look is not null)
        {
            await look(cancellationToken).ConfigureAwait(false);
        }

        // Until the next look is known, any expiry may come before it.
        signals.SweepAt = long.MaxValue;

        // Mostly nothing is due, and then this is the only statement.
        var (now, next, hasFeed) = await reader.NextExpiryAsync(cancellationToken).ConfigureAwait(false);
        var doubt = DoubtLeft();
        if (next <= now && doubt == TimeSpan.Zero)
        {
            await DeleteExpiredAsync(now, cancellationToken).ConfigureAwait(false);
            (now, next, hasFeed) = await reader.NextExpiryAsync(cancellationToken).ConfigureAwait(false);
        }

        var longest = (long)options.SweepInterval.TotalMilliseconds;
        var soonest = (long)Math.Clamp(Math.Ceiling(doubt.TotalMilliseconds), 1, longest);
        var wait = TimeSpan.FromMilliseconds(next is { } at ? Math.Clamp(at - now, soonest, longest) : longest);
        signals.SweepsIn(wait);
        _hasFeed = hasFeed;
        return wait;
    }

    /// <summary>Deletes what is due now, whatever else sweeps.</summary>
    /// <returns>How many entries, and for how long none are deleted.</returns>
    public async Task<(long Deleted, TimeSpan Doubt)> DeleteAsync(CancellationToken cancellationToken)
    {
        var (now, next, _) = await reader.NextExpiryAsync(cancellationToken).ConfigureAwait(false);
        var doubt = DoubtLeft();
        return (next <= now && doubt == TimeSpan.Zero ? await DeleteExpiredAsync(now, cancellationToken).ConfigureAwait(false) : 0, doubt);
    }

    /// <summary>
    /// How long nothing is deleted: a server's clock is believed. Asked after the time was read that is to be believed, so that no step
    /// comes between unseen.
    /// </summary>
    private TimeSpan DoubtLeft()
    {
        lock (_steps)
        {
            if (!clock.ServerDecides && _steps.Look() is var step && step > TimeSpan.Zero)
            {
                _setAt = clock.Time.GetTimestamp();
                KvLog.ClockSetForward(logger, step, Doubt);
            }

            var left = _setAt is { } at ? Doubt - clock.Time.GetElapsedTime(at) : TimeSpan.Zero;
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    private async Task<long> DeleteExpiredAsync(long now, CancellationToken cancellationToken)
    {
        var deleted = 0L;
        int found;
        do
        {
            var expired = await reader.ExpiredAsync(BatchSize, now, cancellationToken).ConfigureAwait(false);
            found = expired.Count;
            if (found > 0)
            {
                var write = new AtomicWrite();
                write.Mutations.AddRange(expired.ConvertAll(static key => new Mutation(MutationKind.DeleteExpired, key)));
                await pipeline.SubmitAsync(new AtomicWork(write), cancellationToken).ConfigureAwait(false);
                KvLog.Swept(logger, found);
                metrics.Swept(found);
                deleted += found;
            }
        }
        while (found == BatchSize);

        return deleted;
    }
}
