namespace Kv;

/// <summary>How a worker treats the messages of one topic. What is left out is as for the worker as a whole.</summary>
public sealed class KvTopicOptions
{
    // The timers of .NET go up to 49 days.
    private static readonly TimeSpan LongestTimer = TimeSpan.FromDays(30);

    /// <summary>Messages of the topic that this worker handles at the same time.</summary>
    /// <value>
    /// Default: null, for <see cref="KvWorkerOptions.Concurrency"/>, which is also the limit of all topics together. From 1 to 1,000.
    /// </value>
    public int? Concurrency { get; set; }

    /// <summary>How long a message belongs to the worker without a sign of life.</summary>
    /// <value>Default: null, for <see cref="KvWorkerOptions.Lease"/>. From 1 second to 1 hour.</value>
    public TimeSpan? Lease { get; set; }

    /// <summary>When messages are tried again that were enqueued without a schedule of their own.</summary>
    /// <value>Default: null, for 100 ms, 1 s, 5 s, 30 s and 60 s.</value>
    public KvRetryPolicy? Retry { get; set; }

    /// <summary>
    /// When messages are tried again that cannot be handed to a handler: those with a name that has no handler here, and those whose
    /// payload cannot be read as the type of theirs (<see cref="KvUnreadableMessageException"/>). <see cref="KvRetryPolicy.Never"/> makes
    /// dead letters of them at once.
    /// </summary>
    /// <value>
    /// Default: null, for as other failures: by the message's own schedule, or <see cref="Retry"/>. While a new version is rolled out,
    /// processes of the old one claim messages that only the new one knows; give them time here.
    /// </value>
    public KvRetryPolicy? UnreadableRetry { get; set; }

    /// <summary>Whether messages that could not be delivered are kept as dead letters even if they name keys to be written under.</summary>
    /// <value>Default: false: only those that name none.</value>
    public bool KeepAllDeadLetters { get; set; }

    /// <summary>How long dead letters are kept.</summary>
    /// <value>Default: null, for ever.</value>
    public TimeSpan? DeadLetterExpiry { get; set; }

    /// <summary>How many messages of the topic may begin in a time, over all processes that say so.</summary>
    /// <value>Default: null, for no limit. All workers of the topic should have the same.</value>
    public KvRate? Rate { get; set; }

    /// <summary>
    /// How many messages with the same <see cref="KvEnqueueOptions.RateKey"/> may begin in a time, over all processes that say so.
    /// </summary>
    /// <value>Default: null, for no limit. All workers of the topic should have the same.</value>
    public KvRate? RatePerKey { get; set; }

    /// <summary>
    /// How long a handler may take. Past it, its token is cancelled, and if it ends with an exception then, the attempt has failed.
    /// </summary>
    /// <value>Default: null, for as long as it takes. At most 30 days.</value>
    public TimeSpan? HandlerTimeout { get; set; }

    /// <exception cref="ArgumentException">An option cannot work.</exception>
    internal void Validate(string topic)
    {
        Require(Concurrency is null or >= 1 and <= 1000, $"Concurrency is {Concurrency}; it must be 1 to 1,000");
        Require(
            Lease is null || (Lease >= TimeSpan.FromSeconds(1) && Lease <= TimeSpan.FromHours(1)),
            $"Lease is {Lease}; it must be 1 second to 1 hour");
        Require(
            DeadLetterExpiry is null || DeadLetterExpiry > TimeSpan.Zero,
            $"DeadLetterExpiry is {DeadLetterExpiry}; it must be positive");
        Require(
            HandlerTimeout is null || (HandlerTimeout > TimeSpan.Zero && HandlerTimeout <= LongestTimer),
            $"HandlerTimeout is {HandlerTimeout}; it must be positive, and 30 days at most");

        void Require(bool right, string what)
        {
            if (!right)
            {
                throw new ArgumentException($"KvTopicOptions of the topic '{topic}': {what}. Change it, or leave it out for the default.");
            }
        }
    }
}
