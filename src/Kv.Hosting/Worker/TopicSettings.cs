using Kv.Engine;

namespace Kv.Worker;

/// <summary>What a topic's options and the worker's come to.</summary>
internal sealed class TopicSettings(string topic, KvTopicOptions options, KvWorkerOptions worker)
{
    public string Topic { get; } = topic;

    public int Concurrency { get; } = Math.Min(options.Concurrency ?? worker.Concurrency, worker.Concurrency);

    public TimeSpan Lease { get; } = options.Lease ?? worker.Lease;

    public KvRetryPolicy? Retry { get; } = options.Retry;

    public bool KeepAllDeadLetters { get; } = options.KeepAllDeadLetters;

    public TimeSpan? DeadLetterExpiry { get; } = options.DeadLetterExpiry;

    public TimeSpan? HandlerTimeout { get; } = options.HandlerTimeout;

    /// <summary>The turns that a message has to ask for before it begins.</summary>
    public IEnumerable<RateRequest> Rates(ClaimedMessage message)
    {
        if (message.RateKey is { } key && options.RatePerKey is { } perKey)
        {
            yield return new RateRequest(QueueKeys.Rate(Topic, key), perKey.Rule, message.RateTurn > 0);
        }

        if (options.Rate is { } rate)
        {
            yield return new RateRequest(QueueKeys.Rate(Topic, null), rate.Rule, message.RateTurn > 0);
        }
    }

    /// <summary>What is claimed of the topic when there is room.</summary>
    public TopicClaim Claim(int room) => new(Topic, room, Lease);
}
