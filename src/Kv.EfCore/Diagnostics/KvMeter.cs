using System.Diagnostics.Metrics;

namespace Kv.Diagnostics;

/// <summary>The instruments of all stores of a container. What is looked at when it is asked for is told store by store.</summary>
internal sealed class KvMeter : IDisposable
{
    private static readonly InstrumentAdvice<double> Seconds = new()
    {
        HistogramBucketBoundaries = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
    };

    private static readonly InstrumentAdvice<int> Sizes = new() { HistogramBucketBoundaries = [1, 2, 5, 10, 20, 50, 100, 200, 500] };
    private readonly Meter _meter;
    private readonly bool _isOwn;
    private readonly Lock _gate = new();
    private IReadOnlyList<StoreMetrics> _stores = [];

    /// <param name="factory">Makes the meter; null where the container has none.</param>
    public KvMeter(IMeterFactory? factory)
    {
        // A factory ends the meter with its container.
        var options = new MeterOptions(KvDiagnostics.MeterName) { Version = typeof(KvMeter).Assembly.GetName().Version?.ToString(3) };
        (_meter, _isOwn) = factory is null ? (new Meter(options), true) : (factory.Create(options), false);
        Sent = _meter.CreateCounter<long>(KvMetrics.MessagesSent, "{message}", "Messages that were enqueued.");
        Consumed = _meter.CreateCounter<long>(KvMetrics.MessagesConsumed, "{message}", "Messages that were claimed.");
        Processed = _meter.CreateHistogram(KvMetrics.ProcessDuration, "s", "How long a handler took for an attempt.", advice: Seconds);
        Completed = _meter.CreateCounter<long>(KvMetrics.MessagesCompleted, "{message}", "Messages that were seen through to the end.");
        Failed = _meter.CreateCounter<long>(KvMetrics.AttemptsFailed, "{attempt}", "Attempts that failed.");
        Retried = _meter.CreateCounter<long>(KvMetrics.MessagesRetried, "{message}", "Messages that were put back for another attempt.");
        DeadLettered = _meter.CreateCounter<long>(KvMetrics.MessagesDeadLettered, "{message}", "Messages that became dead letters.");
        LeasesLost = _meter.CreateCounter<long>(KvMetrics.LeasesLost, "{lease}", "Leases that were lost while a message was handled.");
        Operations = _meter.CreateHistogram(KvMetrics.OperationDuration, "s", "How long a call of the store took.", advice: Seconds);
        Transactions = _meter.CreateHistogram(
            KvMetrics.TransactionDuration, "s", "How long a transaction of the store took.", advice: Seconds);
        Shared = _meter.CreateHistogram(
            KvMetrics.TransactionSize, "{operation}", "How many writes, ends and claims shared a transaction.", advice: Sizes);
        Conflicts = _meter.CreateCounter<long>(KvMetrics.Conflicts, "{write}", "Writes that were refused by their checks.");
        Retries = _meter.CreateCounter<long>(KvMetrics.Retries, "{retry}", "Reads and transactions that were tried again.");
        Swept = _meter.CreateCounter<long>(KvMetrics.EntriesSwept, "{entry}", "Expired entries that were deleted.");
        Depth = _meter.CreateObservableGauge(
            KvMetrics.QueueMessages, () => Observe(static s => s.Depth), "{message}", "Messages in the queue.");
        Age = _meter.CreateObservableGauge(
            KvMetrics.QueueOldestAge, () => Observe(static s => s.Age), "s", "How long the oldest message that waits has been due.");
        _meter.CreateObservableUpDownCounter(KvMetrics.Watches, () => Observe(static s => s.Watches), "{watch}", "Watches that are open.");
        _meter.CreateObservableUpDownCounter(
            KvMetrics.Connections, () => Observe(static s => s.Connections), "{connection}", "Connections that are open for reads.");
    }

    public Counter<long> Sent { get; }

    public Counter<long> Consumed { get; }

    public Histogram<double> Processed { get; }

    public Counter<long> Completed { get; }

    public Counter<long> Failed { get; }

    public Counter<long> Retried { get; }

    public Counter<long> DeadLettered { get; }

    public Counter<long> LeasesLost { get; }

    public Histogram<double> Operations { get; }

    public Histogram<double> Transactions { get; }

    public Histogram<int> Shared { get; }

    public Counter<long> Conflicts { get; }

    public Counter<long> Retries { get; }

    public Counter<long> Swept { get; }

    /// <summary>Whether anything listens to what has to be looked for in the queue.</summary>
    public bool LooksAtQueue => Depth.Enabled || Age.Enabled;

    private ObservableGauge<long> Depth { get; }

    private ObservableGauge<double> Age { get; }

    /// <summary>Has a store looked at, until the result is disposed of.</summary>
    public IDisposable Add(StoreMetrics store)
    {
        lock (_gate)
        {
            _stores = [.. _stores, store];
        }

        return new Removal(this, store);
    }

    public void Dispose()
    {
        if (_isOwn)
        {
            _meter.Dispose();
        }
    }

    private List<Measurement<T>> Observe<T>(Func<StoreMetrics, IEnumerable<Measurement<T>>> of)
        where T : struct => [.. _stores.SelectMany(of)];

    private sealed class Removal(KvMeter meter, StoreMetrics store) : IDisposable
    {
        public void Dispose()
        {
            lock (meter._gate)
            {
                meter._stores = [.. meter._stores.Where(s => s != store)];
            }
        }
    }
}
