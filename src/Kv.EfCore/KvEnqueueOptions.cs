namespace Kv;

/// <summary>How a message is delivered.</summary>
public sealed record KvEnqueueOptions
{
    /// <summary>How long after the commit the message is due.</summary>
    /// <value>Default: zero. At most <see cref="KvLimits.MaxDelay"/>.</value>
    public TimeSpan Delay { get; init; }

    /// <summary>The waits before further attempts; there are as many as waits. An empty list means one attempt.</summary>
    /// <value>
    /// Default: null, for 100 ms, 1 s, 5 s, 30 s and 60 s. At most <see cref="KvLimits.MaxBackoffIntervals"/> waits, none longer than
    /// <see cref="KvLimits.MaxBackoffInterval"/>.
    /// </value>
    public IReadOnlyList<TimeSpan>? BackoffSchedule { get; init; }

    /// <summary>Where the message is written, in one commit with its removal from the queue, when every attempt failed.</summary>
    /// <value>Default: none. Then it goes under the worker's dead-letter prefix; a message is never dropped. At most 10 keys.</value>
    public IReadOnlyList<KvKey> KeysIfUndelivered { get; init; } = [];

    /// <summary>The topic that workers subscribe to.</summary>
    /// <value>Default: null, for the topic of the message's <see cref="KvMessageAttribute"/>, which is by default its name. Otherwise at most 200 characters without control characters; empty for programs that know no topics.</value>
    public string? Topic { get; init; }
}
