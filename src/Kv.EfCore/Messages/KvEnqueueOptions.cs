namespace Kv;

/// <summary>How a message is delivered.</summary>
public sealed record KvEnqueueOptions
{
    /// <summary>How long after the commit the message is due.</summary>
    /// <value>Default: zero. At most <see cref="KvLimits.MaxDelay"/>; for later, use <see cref="DueAt"/>.</value>
    public TimeSpan Delay { get; init; }

    /// <summary>When the message is due, however far ahead, by the clock that decides for the store; at once if that is past.</summary>
    /// <value>Default: null, for the <see cref="Delay"/>, of which there is none beside it. In whole milliseconds, rounded up.</value>
    public DateTimeOffset? DueAt { get; init; }

    /// <summary>The waits before further attempts; there are as many as waits. An empty list means one attempt.</summary>
    /// <value>
    /// Default: null, for the retry policy of the topic where the worker has one, else 100 ms, 1 s, 5 s, 30 s and 60 s. At most <see cref="KvLimits.MaxBackoffIntervals"/> waits, none longer than
    /// <see cref="KvLimits.MaxBackoffInterval"/>.
    /// </value>
    public IReadOnlyList<TimeSpan>? BackoffSchedule { get; init; }

    /// <summary>Where the message is written, in one commit with its removal from the queue, when every attempt failed.</summary>
    /// <value>Default: none. Then it goes under <see cref="KvStoreOptions.DeadLetterPrefix"/>; a message is never dropped. At most 10 keys.</value>
    public IReadOnlyList<KvKey> KeysIfUndelivered { get; init; } = [];

    /// <summary>The topic that workers subscribe to.</summary>
    /// <value>Default: null, for the topic of the message's <see cref="KvMessageAttribute"/>, which is by default its name. Otherwise at most 200 characters without control characters; empty for programs that know no topics.</value>
    public string? Topic { get; init; }

    /// <summary>Of due messages of a topic, those with a lower number are taken first.</summary>
    /// <value>Default: 0. From -100 to 100. A steady stream of urgent messages makes the others wait for as long as it lasts.</value>
    public int Priority { get; init; }

    /// <summary>
    /// Messages of a topic with the same group key run one at a time, in the order of their commits, over all processes. A message that waits
    /// for its delay or its retry keeps the ones behind it waiting; one that ends as a dead letter lets them go on.
    /// </summary>
    /// <value>Default: null. Otherwise 1 to 200 characters without control characters.</value>
    public string? GroupKey { get; init; }

    /// <summary>
    /// Of the messages of a topic with the same concurrency key, at most <see cref="ConcurrencyLimit"/> run at the same time, over all processes.
    /// A message that waits for its retry keeps its slot.
    /// </summary>
    /// <value>Default: null. Otherwise 1 to 200 characters without control characters, and no <see cref="GroupKey"/> beside it.</value>
    public string? ConcurrencyKey { get; init; }

    /// <summary>How many messages with the same <see cref="ConcurrencyKey"/> may run at the same time.</summary>
    /// <value>Default: 1. From 1 to 1,000; the same for all messages of a key.</value>
    public int ConcurrencyLimit { get; init; } = 1;

    /// <summary>What the topic's rate per key (<c>KvTopicOptions.RatePerKey</c> of the worker) counts by.</summary>
    /// <value>Default: null, for no rate of its own. Otherwise 1 to 200 characters without control characters.</value>
    public string? RateKey { get; init; }

    /// <summary>A key that no two messages of a topic have while they wait or run, and for <see cref="UniqueFor"/> from the first one's commit.</summary>
    /// <value>Default: null. Otherwise 1 to 200 characters without control characters.</value>
    public string? UniqueKey { get; init; }

    /// <summary>How long the <see cref="UniqueKey"/> stays taken at least, counted from the commit, even if the message is done.</summary>
    /// <value>Default: zero, for no longer than the message waits or runs. At most <see cref="KvLimits.MaxDelay"/>.</value>
    public TimeSpan UniqueFor { get; init; }

    /// <summary>What happens if the <see cref="UniqueKey"/> is taken.</summary>
    /// <value>Default: <see cref="KvDuplicatePolicy.Keep"/>.</value>
    public KvDuplicatePolicy IfDuplicate { get; init; }
}
