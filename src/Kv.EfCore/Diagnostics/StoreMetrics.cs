using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Kv.Diagnostics;

/// <summary>What one store and its worker measure.</summary>
/// <remarks>
/// Names and attributes are those of OpenTelemetry's semantic conventions for database clients and messaging, where they have any.
/// </remarks>
/// <param name="store">The store.</param>
internal sealed class StoreMetrics(TracedStore store)
{
    private int _watches;
    private volatile IReadOnlyList<QueueDepth> _queue = [];

    /// <summary>The store.</summary>
    public TracedStore Store => store;

    /// <summary>How many connections are open for reads, and in use.</summary>
    public Func<(int Idle, int Used)>? Pool { get; set; }

    public IEnumerable<Measurement<int>> Watches => [new(_watches, Tags())];

    public IEnumerable<Measurement<int>> Connections
    {
        get
        {
            if (Pool is null)
            {
                return [];
            }

            var (idle, used) = Pool();
            return [new(idle, Pooled("idle")), new(used, Pooled("used"))];

            TagList Pooled(string state) => Tags(
                ("db.client.connection.pool.name", store.Store.Length > 0 ? store.Store : "kv"), ("db.client.connection.state", state));
        }
    }

    public IEnumerable<Measurement<long>> Depth => _queue.SelectMany(q => new[]
    {
        InState("due", q.Topic, q.Due),
        InState("delayed", q.Topic, q.Delayed),
        InState("blocked", q.Topic, q.Blocked),
        InState("running", q.Topic, q.Running),
    });

    public IEnumerable<Measurement<double>> Age => _queue.Select(q => new Measurement<double>(
        q.OldestDue?.TotalSeconds ?? 0, Tags(("messaging.system", "efkv"), ("messaging.destination.name", q.Topic))));

    /// <summary>A watch has begun; it ends with the result.</summary>
    public IDisposable Watch() => new OpenWatch(this);

    /// <summary>What a look at the queue found.</summary>
    public void Looked(IReadOnlyList<QueueDepth> found) => _queue = found;

    /// <summary>A call of the store has ended.</summary>
    public void Called(string operation, long since, Exception? error)
    {
        if (KvMeter.Operations.Enabled)
        {
            KvMeter.Operations.Record(Stopwatch.GetElapsedTime(since).TotalSeconds, Called(operation, error));
        }
    }

    /// <summary>A transaction has ended that some pieces of work shared.</summary>
    /// <param name="shared">How many.</param>
    /// <param name="since">When it began; 0 if nothing listens.</param>
    public void Ran(int shared, long since)
    {
        if (since == 0)
        {
            return;
        }

        KvMeter.Transactions.Record(Stopwatch.GetElapsedTime(since).TotalSeconds, Called("transaction", null));
        KvMeter.Shared.Record(shared, Called("transaction", null));
    }

    /// <summary>Writes were refused by their checks.</summary>
    public void Conflicted(int count)
    {
        if (count > 0)
        {
            KvMeter.Conflicts.Add(count, Tags(("db.system.name", store.System)));
        }
    }

    /// <summary>What failed is tried again.</summary>
    public void Retried(string operation) => KvMeter.Retries.Add(1, Called(operation, null));

    /// <summary>Expired entries were deleted.</summary>
    public void Swept(int count) => KvMeter.Swept.Add(count, Tags(("db.system.name", store.System)));

    /// <summary>A message was committed.</summary>
    public void Sent(string topic) => Count(KvMeter.Sent, topic, "send");

    /// <summary>A message was claimed.</summary>
    public void Consumed(string topic) => Count(KvMeter.Consumed, topic, "receive");

    /// <summary>A handler has ended.</summary>
    public void Processed(string topic, TimeSpan took, Exception? error)
    {
        var tags = Handled(topic, error);
        KvMeter.Processed.Record(took.TotalSeconds, tags);
        if (error is not null)
        {
            KvMeter.Failed.Add(1, tags);
        }
    }

    public void Completed(string topic) => Count(KvMeter.Completed, topic, "process");

    public void Retrying(string topic) => Count(KvMeter.Retried, topic, "process");

    public void DeadLettered(string topic) => Count(KvMeter.DeadLettered, topic, "process");

    public void LeaseLost(string topic) => Count(KvMeter.LeasesLost, topic, "process");

    private void Count(Counter<long> counter, string topic, string operation)
    {
        if (counter.Enabled)
        {
            counter.Add(1, Tags(
                ("messaging.system", "efkv"), ("messaging.operation.name", operation), ("messaging.destination.name", topic)));
        }
    }

    private Measurement<long> InState(string state, string topic, long count) => new(
        count, Tags(("messaging.system", "efkv"), ("messaging.destination.name", topic), (KvMetrics.QueueStateTag, state)));

    private TagList Handled(string topic, Exception? error)
    {
        var tags = Tags(("messaging.system", "efkv"), ("messaging.operation.name", "process"), ("messaging.destination.name", topic));
        return With(tags, error);
    }

    private TagList Called(string operation, Exception? error)
    {
        var tags = Tags(("db.system.name", store.System), ("db.operation.name", operation), ("db.collection.name", "kv"));
        return With(tags, error);
    }

    private static TagList With(TagList tags, Exception? error)
    {
        if (error is not null)
        {
            tags.Add("error.type", error.GetType().FullName);
        }

        return tags;
    }

    private TagList Tags(params ReadOnlySpan<(string Name, string Value)> of)
    {
        TagList tags = [];
        foreach (var (name, value) in of)
        {
            tags.Add(name, value);
        }

        if (store.Store.Length > 0)
        {
            tags.Add(KvDiagnostics.StoreTag, store.Store);
        }

        return tags;
    }

    private sealed class OpenWatch : IDisposable
    {
        private readonly StoreMetrics _metrics;

        public OpenWatch(StoreMetrics metrics) => Interlocked.Increment(ref (_metrics = metrics)._watches);

        public void Dispose() => Interlocked.Decrement(ref _metrics._watches);
    }
}
