namespace Kv;

/// <summary>The names of what a store and its worker measure, all of the meter <see cref="KvDiagnostics.MeterName"/>.</summary>
/// <remarks>
/// Where OpenTelemetry's semantic conventions have a name and attributes for it, they are those (messaging and database clients, 1.38);
/// the others begin with <c>efkv.</c> All have the tag <see cref="KvDiagnostics.StoreTag"/> where the store has a name. What is not
/// listened to costs a comparison.
/// </remarks>
public static class KvMetrics
{
    /// <summary>Counter, messages that were enqueued by commits of this process, by <c>messaging.destination.name</c>, the topic.</summary>
    public const string MessagesSent = "messaging.client.sent.messages";

    /// <summary>Counter, messages that this worker has claimed, by <c>messaging.destination.name</c>.</summary>
    public const string MessagesConsumed = "messaging.client.consumed.messages";

    /// <summary>
    /// Histogram, seconds that a handler took for an attempt, by <c>messaging.destination.name</c>, and <c>error.type</c> where it failed.
    /// </summary>
    public const string ProcessDuration = "messaging.process.duration";

    /// <summary>Counter, messages that this worker has seen through to the end, by <c>messaging.destination.name</c>.</summary>
    public const string MessagesCompleted = "efkv.messages.completed";

    /// <summary>Counter, attempts that failed, by <c>messaging.destination.name</c> and <c>error.type</c>.</summary>
    public const string AttemptsFailed = "efkv.attempts.failed";

    /// <summary>Counter, messages that were put back for another attempt, by <c>messaging.destination.name</c>.</summary>
    public const string MessagesRetried = "efkv.messages.retried";

    /// <summary>
    /// Counter, messages that became dead letters, or went to the keys that they name, by <c>messaging.destination.name</c>.
    /// </summary>
    public const string MessagesDeadLettered = "efkv.messages.dead_lettered";

    /// <summary>Counter, messages whose lease this worker lost while it handled them, by <c>messaging.destination.name</c>.</summary>
    public const string LeasesLost = "efkv.leases.lost";

    /// <summary>
    /// Gauge, messages that are in the queue, by <c>messaging.destination.name</c> and <see cref="QueueStateTag"/>. Looked at by each
    /// worker of the store every 15 seconds while the gauge is listened to: over processes take the maximum, not the sum.
    /// </summary>
    public const string QueueMessages = "efkv.queue.messages";

    /// <summary>
    /// Gauge, seconds since the oldest message that waits was due, by <c>messaging.destination.name</c>; looked at like
    /// <see cref="QueueMessages"/>.
    /// </summary>
    public const string QueueOldestAge = "efkv.queue.oldest.age";

    /// <summary>
    /// Histogram, seconds that a call of the store took with its waits and retries, by <c>db.operation.name</c>, and <c>error.type</c>
    /// where it failed. The operations are those of spans: <c>get</c>, <c>get_many</c>, <c>exists</c>, <c>list</c> (a batch), <c>count</c>,
    /// <c>commit</c>.
    /// </summary>
    public const string OperationDuration = "db.client.operation.duration";

    /// <summary>
    /// Histogram, seconds that a transaction of the store took which one or more writes, ends and claims of messages share.
    /// </summary>
    public const string TransactionDuration = "efkv.transaction.duration";

    /// <summary>Histogram, how many writes, ends and claims of messages shared a transaction.</summary>
    public const string TransactionSize = "efkv.transaction.size";

    /// <summary>Counter, writes that were refused by their checks.</summary>
    public const string Conflicts = "efkv.conflicts";

    /// <summary>
    /// Counter, reads and transactions that failed for reasons of the moment and were tried again, by <c>db.operation.name</c>.
    /// </summary>
    public const string Retries = "efkv.retries";

    /// <summary>Counter, expired entries that were deleted.</summary>
    public const string EntriesSwept = "efkv.entries.swept";

    /// <summary>UpDownCounter, watches that are open.</summary>
    public const string Watches = "efkv.watches";

    /// <summary>
    /// UpDownCounter, connections that the store has open for reads, by <c>db.client.connection.state</c> (<c>idle</c>, <c>used</c>) and
    /// <c>db.client.connection.pool.name</c>, the store's name or <c>kv</c>. What the driver's own pool has is the driver's to tell.
    /// </summary>
    public const string Connections = "db.client.connection.count";

    /// <summary>The tag of <see cref="QueueMessages"/>: <c>due</c>, <c>delayed</c>, <c>blocked</c> or <c>running</c>.</summary>
    public const string QueueStateTag = "efkv.queue.state";
}
