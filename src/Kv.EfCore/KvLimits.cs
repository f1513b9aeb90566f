using Kv.Keys;

namespace Kv;

/// <summary>
/// The sizes and counts that every store accepts, all inclusive, and <see cref="Deno"/>, the set of those that Deno KV accepts: by default
/// a store takes more (<see cref="KvStoreOptions"/>).
/// </summary>
public static class KvLimits
{
    /// <summary>Bytes of the encoded key of a write, a delete or a check. Deno: "Key too large for write (max 2048 bytes)".</summary>
    public const int MaxKeySize = 2048;

    /// <summary>
    /// Bytes of a bound of a read: the largest key and the byte that a selector adds. Deno: "Key too large for read (max 2049 bytes)".
    /// </summary>
    public const int MaxReadKeySize = MaxKeySize + 1;

    /// <summary>
    /// Bytes of the prefix of a scope (<see cref="IKvStore.Scope"/>) as text in UTF-8, with those of the scopes that it is in.
    /// </summary>
    public const int MaxScopeSize = KeyScope.MaxSize;

    /// <summary>Entries of one batch of a listing. Deno: "Too many entries (max 1000)".</summary>
    public const int MaxReadEntries = 1000;

    /// <summary>Keys of one watch. Deno: "Too many keys (max 10)".</summary>
    public const int MaxWatchedKeys = 10;

    /// <summary>Keys of a range that is watched while the change feed is off; while it is on there is no limit.</summary>
    public const int MaxWatchedRange = 1000;

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

    /// <summary>
    /// Gives a store the limits of Deno KV, for those who share data with it: <c>services.AddKvStore(db => ..., KvLimits.Deno)</c>. What is
    /// written under them, Deno can read and write, too.
    /// </summary>
    /// <remarks>
    /// Values and messages of 65,536 bytes, 100 checks (its self-hosted server takes 10), 1,000 mutations and messages in a write of
    /// 819,200 bytes, of which keys that get values 81,920, and 10 keys in one
    /// <see cref="IKvStore.GetManyAsync(IReadOnlyList{KvKey}, CancellationToken)"/>.
    /// </remarks>
    /// <param name="options">The options to change.</param>
    public static void Deno(KvStoreOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.MaxValueSize = 65_536;
        options.MaxMessageSize = 65_536;
        options.MaxChecks = 100;
        options.MaxMutations = 1000;
        options.MaxTotalSize = 819_200;
        options.MaxTotalKeySize = 81_920;
        options.MaxReadRanges = 10;
        options.MaxReadEntries = MaxReadEntries;
    }

    /// <summary>Limits of which none is above that of Deno.</summary>
    internal static KvStoreOptions WithinDeno(KvStoreOptions options)
    {
        var within = new KvStoreOptions();
        Deno(within);
        within.MaxValueSize = Math.Min(within.MaxValueSize, options.MaxValueSize);
        within.MaxMessageSize = Math.Min(within.MaxMessageSize, options.MaxMessageSize);
        within.MaxChecks = Math.Min(within.MaxChecks, options.MaxChecks);
        within.MaxMutations = Math.Min(within.MaxMutations, options.MaxMutations);
        within.MaxTotalSize = Math.Min(within.MaxTotalSize, options.MaxTotalSize);
        within.MaxTotalKeySize = Math.Min(within.MaxTotalKeySize, options.MaxTotalKeySize);
        return within;
    }
}
