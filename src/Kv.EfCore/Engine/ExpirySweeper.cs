using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>Deletes what has expired, in batches, each a commit with a version, so that watchers see it.</summary>
internal sealed class ExpirySweeper(
    SnapshotReader reader, CommitPipeline pipeline, CommitSignals signals, StoreClock clock, KvStoreOptions options, ILogger logger)
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    /// <summary>Sweeps when something is due, and looks again when the next thing is: earlier if an earlier expiry is committed.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            TimeSpan wait;
            try
            {
                wait = await SweepAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (Exception) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                wait = RetryAfter;
                KvLog.SweepFailed(logger, error, wait);
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
        // Until the next look is known, any expiry may come before it.
        signals.SweepAt = long.MaxValue;

        // Mostly nothing is due, and then this is the only statement.
        var (now, next) = await reader.NextExpiryAsync(cancellationToken).ConfigureAwait(false);
        if (next <= now)
        {
            await DeleteExpiredAsync(now, cancellationToken).ConfigureAwait(false);
            (now, next) = await reader.NextExpiryAsync(cancellationToken).ConfigureAwait(false);
        }

        var longest = (long)options.SweepInterval.TotalMilliseconds;
        var wait = TimeSpan.FromMilliseconds(next is { } at ? Math.Clamp(at - now, 1, longest) : longest);
        signals.SweepsIn(wait);
        return wait;
    }

    private async Task DeleteExpiredAsync(long now, CancellationToken cancellationToken)
    {
        int found;
        do
        {
            var expired = await reader.ExpiredAsync(options.SweepBatchSize, now, cancellationToken).ConfigureAwait(false);
            found = expired.Count;
            if (found > 0)
            {
                var write = new AtomicWrite();
                write.Mutations.AddRange(expired.ConvertAll(static key => new Mutation(MutationKind.DeleteExpired, key)));
                await pipeline.SubmitAsync(new AtomicWork(write), cancellationToken).ConfigureAwait(false);
                KvLog.Swept(logger, found);
            }
        }
        while (found == options.SweepBatchSize);
    }
}
