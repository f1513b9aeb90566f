using Kv.Control;
using Kv.Diagnostics;
using Kv.Store;

namespace Kv.Worker;

/// <summary>Looks how many messages are in the queue, while the metrics that tell of it are listened to.</summary>
/// <remarks>The look counts the rows of an index, so it is rare, and there is none that nothing listens to.</remarks>
internal sealed class QueueSampler(KvStore store)
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(15);
    private readonly KvQueue _queue = new(store);

    private StoreMetrics Metrics => store.Engine.Metrics;

    /// <summary>Looks until the worker stops. A look that fails is left out: rounds of the worker tell that the database is away.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval, store.Engine.Clock.Time);
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await SampleAsync(cancellationToken).ConfigureAwait(false);
                await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    /// <summary>Looks once, if there is something that listens.</summary>
    public async Task SampleAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<QueueDepth> found = [];
        try
        {
            if (KvMeter.LooksAtQueue)
            {
                var topics = await _queue.GetStatsAsync(cancellationToken).ConfigureAwait(false);
                found = [.. topics.Select(static t => new QueueDepth(t.Topic, t.Due, t.Delayed, t.Blocked, t.Running, t.OldestDue))];
            }
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            // What was seen before is no news either.
        }

        Metrics.Looked(found);
    }
}
