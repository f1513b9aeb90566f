namespace Kv;

/// <summary>
/// The sizes and counts that a store accepts, all inclusive. They are those of Deno KV, so that what one store holds fits the other.
/// </summary>
public static class KvLimits
{
    /// <summary>Bytes of the encoded key of a write, a delete or a check. Deno: "Key too large for write (max 2048 bytes)".</summary>
    public const int MaxKeySize = 2048;

    /// <summary>
    /// Bytes of a bound of a read: the largest key and the byte that a selector adds. Deno: "Key too large for read (max 2049 bytes)".
    /// </summary>
    public const int MaxReadKeySize = MaxKeySize + 1;

    /// <summary>Bytes of an encoded value. Deno: "Value too large (max 65536 bytes)".</summary>
    public const int MaxValueSize = 65_536;

    /// <summary>Bytes of the payload of a message. Deno: "enqueue payload too large (max 65536 bytes)".</summary>
    public const int MaxMessageSize = 65_536;

    /// <summary>Checks of one atomic write. Deno: "Too many checks (max 100)"; its self-hosted server takes 10.</summary>
    public const int MaxChecks = 100;

    /// <summary>Mutations and enqueues of one atomic write, together. Deno: "Too many mutations (max 1000)".</summary>
    public const int MaxMutations = 1000;

    /// <summary>
    /// Bytes of one atomic write: the keys of checks and mutations, values with their keys once more, payloads, and 4 for each backoff
    /// interval. Deno: "Total mutation size too large (max 819200 bytes)".
    /// </summary>
    public const int MaxTotalSize = 819_200;

    /// <summary>
    /// Bytes of the keys of those mutations that carry a value, in one atomic write. Deno: "Total key size too large (max 81920 bytes)".
    /// </summary>
    public const int MaxTotalKeySize = 81_920;

    /// <summary>Keys of one <c>GetManyAsync</c>. Deno: "Too many ranges (max 10)".</summary>
    public const int MaxReadRanges = 10;

    /// <summary>Entries of one batch of a listing. Deno: "Too many entries (max 1000)".</summary>
    public const int MaxReadEntries = 1000;

    /// <summary>Keys of one watch. Deno: "Too many keys (max 10)".</summary>
    public const int MaxWatchedKeys = 10;

    /// <summary>
    /// Intervals of a backoff schedule: one for each retry of a message. Deno: "Invalid backoffSchedule, max 5 intervals allowed".
    /// </summary>
    public const int MaxBackoffIntervals = 5;

    /// <summary>The distance of a message's priority from 0, both ways.</summary>
    public const int MaxPriority = 100;

    /// <summary>Messages of one concurrency key that run at the same time.</summary>
    public const int MaxConcurrencyLimit = 1000;

    /// <summary>Entries that a listing reads at once when neither limit nor batch size is given; the default of Deno.</summary>
    public const int DefaultBatchSize = 100;

    /// <summary>
    /// Entries that a listing with a larger limit reads at once when no batch size is given; the default of Deno. A batch size that is
    /// given may go up to <see cref="MaxReadEntries"/>.
    /// </summary>
    public const int MaxDefaultBatchSize = 500;

    /// <summary>How far ahead a message can be delayed: 30 days. Deno: "Delay cannot be greater than 30 days".</summary>
    public static readonly TimeSpan MaxDelay = TimeSpan.FromDays(30);

    /// <summary>
    /// The longest interval of a backoff schedule: one hour. Deno: "Invalid backoffSchedule, interval at index 0 is invalid".
    /// </summary>
    public static readonly TimeSpan MaxBackoffInterval = TimeSpan.FromHours(1);
}
