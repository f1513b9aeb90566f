using System.Diagnostics.Metrics;

namespace Kv.Diagnostics;

/// <summary>The instruments of all stores of a process. What is looked at when it is asked for is told store by store.</summary>
/// <remarks>
/// One meter, which never ends, as the driver and EF Core have it: OpenTelemetry takes meters of one name for one, and with the first that
/// ends it ceases to collect from the others.
/// </remarks>
internal static class KvMeter
{
    private static readonly InstrumentAdvice<double> Seconds = new()
    {
        HistogramBucketBoundaries = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
    };

    private static readonly InstrumentAdvice<int> Sizes = new() { HistogramBucketBoundaries = [1, 2, 5, 10, 20, 50, 100, 200, 500] };
    private static readonly Meter Meter = new(
        new MeterOptions(KvDiagnostics.MeterName) { Version = typeof(KvMeter).Assembly.GetName().Version?.ToString(3) });

    private static readonly Lock Gate = new();
    private static IReadOnlyList<StoreMetrics> _stores = [];

    private static readonly ObservableGauge<long> Depth = Meter.CreateObservableGauge(
        KvMetrics.QueueMessages, static () => Observe(static s => s.Depth), "{message}", "Messages in the queue.");

    private static readonly ObservableGauge<double> Age = Meter.CreateObservableGauge(
        KvMetrics.QueueOldestAge, static () => Observe(static s => s.Age), "s", "How long the oldest message that waits has been due.");

    static KvMeter()
    {
        Meter.CreateObservableUpDownCounter(
            KvMetrics.Watches, static () => Observe(static s => s.Watches), "{watch}", "Watches that are open.");
        Meter.CreateObservableUpDownCounter(
            KvMetrics.Connections, static () => Observe(static s => s.Connections), "{connection}", "Connections that are open for reads.");
    }

    public static Counter<long> Sent { get; } = Count(KvMetrics.MessagesSent, "{message}", "Messages that were enqueued.");

    public static Counter<long> Consumed { get; } = Count(KvMetrics.MessagesConsumed, "{message}", "Messages that were claimed.");

    public static Histogram<double> Processed { get; } = Time(KvMetrics.ProcessDuration, "How long a handler took for an attempt.");

    public static Counter<long> Completed { get; } =
        Count(KvMetrics.MessagesCompleted, "{message}", "Messages that were seen through to the end.");

    public static Counter<long> Failed { get; } = Count(KvMetrics.AttemptsFailed, "{attempt}", "Attempts that failed.");

    public static Counter<long> Retried { get; } =
        Count(KvMetrics.MessagesRetried, "{message}", "Messages that were put back for another attempt.");

    public static Counter<long> DeadLettered { get; } =
        Count(KvMetrics.MessagesDeadLettered, "{message}", "Messages that became dead letters.");

    public static Counter<long> LeasesLost { get; } =
        Count(KvMetrics.LeasesLost, "{lease}", "Leases that were lost while a message was handled.");

    public static Histogram<double> Operations { get; } = Time(KvMetrics.OperationDuration, "How long a call of the store took.");

    public static Histogram<double> Transactions { get; } =
        Time(KvMetrics.TransactionDuration, "How long a transaction of the store took.");

    public static Histogram<int> Shared { get; } = Meter.CreateHistogram(
        KvMetrics.TransactionSize, "{operation}", "How many writes, ends and claims shared a transaction.", advice: Sizes);

    public static Counter<long> Conflicts { get; } =
        Count(KvMetrics.Conflicts, "{write}", "Writes that were refused by their checks.");

    public static Counter<long> Retries { get; } = Count(KvMetrics.Retries, "{retry}", "Reads and transactions that were tried again.");

    public static Counter<long> Swept { get; } = Count(KvMetrics.EntriesSwept, "{entry}", "Expired entries that were deleted.");

    /// <summary>Whether the time of calls is listened to.</summary>
    public static bool TimesCalls => Operations.Enabled;

    /// <summary>Whether the time of transactions, or how much shares one, is listened to.</summary>
    public static bool TimesTransactions => Transactions.Enabled || Shared.Enabled;

    /// <summary>Whether the end of a handler is listened to.</summary>
    public static bool TimesHandlers => Processed.Enabled || Failed.Enabled;

    /// <summary>Whether anything listens to what has to be looked for in the queue.</summary>
    public static bool LooksAtQueue => Depth.Enabled || Age.Enabled;

    /// <summary>Has a store looked at, until the result is disposed of.</summary>
    public static IDisposable Add(StoreMetrics store)
    {
        lock (Gate)
        {
            _stores = [.. _stores, store];
        }

        return new Removal(store);
    }

    private static Counter<long> Count(string name, string unit, string description) => Meter.CreateCounter<long>(name, unit, description);

    private static Histogram<double> Time(string name, string description) =>
        Meter.CreateHistogram(name, "s", description, advice: Seconds);

    private static List<Measurement<T>> Observe<T>(Func<StoreMetrics, IEnumerable<Measurement<T>>> of)
        where T : struct => [.. _stores.SelectMany(of)];

    private sealed class Removal(StoreMetrics store) : IDisposable
    {
        public void Dispose()
        {
            lock (Gate)
            {
                _stores = [.. _stores.Where(s => s != store)];
            }
        }
    }
}
