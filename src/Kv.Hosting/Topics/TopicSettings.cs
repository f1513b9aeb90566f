using Kv.Messages;

namespace Kv.Topics;

/// <summary>What a topic's options and the worker's come to.</summary>
internal sealed class TopicSettings(string topic, KvTopicOptions options, KvWorkerOptions worker)
{
    private const double Held = 0.95;

    public string Topic { get; } = topic;

    public int Concurrency { get; } = Math.Min(options.Concurrency ?? worker.Concurrency, worker.Concurrency);

    /// <summary>Within what time others are to have a message that its worker took down with it.</summary>
    public TimeSpan Lease { get; } = options.Lease ?? worker.Lease;

    /// <summary>How long a message is asked for: a lease, less what others need to look, to recover it and to claim it.</summary>
    public TimeSpan ClaimDuration => Lease * Held;

    public KvRetryPolicy? Retry { get; } = options.Retry;

    public KvRetryPolicy? UnreadableRetry { get; } = options.UnreadableRetry;

    public bool KeepAllDeadLetters { get; } = options.KeepAllDeadLetters;

    public TimeSpan? DeadLetterExpiry { get; } = options.DeadLetterExpiry;

    public TimeSpan? HandlerTimeout { get; } = options.HandlerTimeout;

    /// <summary>The tokens that a message has to ask for before it begins.</summary>
    public IReadOnlyList<RateRequest> Rates(ClaimedMessage message) =>
        (message.RateKey is null ? null : options.RatePerKey, options.Rate) switch
        {
            (null, null) => [],
            ({ } perKey, null) => [Token(message, message.RateKey, perKey)],
            (null, { } rate) => [Token(message, null, rate)],
            ({ } perKey, { } rate) => [Token(message, message.RateKey, perKey), Token(message, null, rate)],
        };

    /// <summary>What is claimed of the topic when there is capacity.</summary>
    public TopicClaim Claim(int capacity) => new(Topic, capacity, ClaimDuration);

    private RateRequest Token(ClaimedMessage message, string? key, KvRate rate) =>
        new(QueueKeys.Rate(Topic, key), rate.Rule, message.RateToken > 0);
}
