namespace Kv;

/// <summary>How much a store takes, and how it keeps it.</summary>
public sealed class KvStoreOptions
{
    /// <summary>The largest encoded value, in bytes.</summary>
    /// <value>Default: 65,536, as in Deno KV. Values beyond it cannot be read by Deno.</value>
    public int MaxValueSize { get; set; } = KvLimits.MaxValueSize;

    /// <summary>The largest message, in bytes.</summary>
    /// <value>Default: 65,536, as in Deno KV.</value>
    public int MaxMessageSize { get; set; } = KvLimits.MaxMessageSize;

    /// <summary>Checks in one atomic write.</summary>
    /// <value>Default: 100, as in Deno KV.</value>
    public int MaxChecks { get; set; } = KvLimits.MaxChecks;

    /// <summary>Mutations and messages in one atomic write.</summary>
    /// <value>Default: 1,000, as in Deno KV.</value>
    public int MaxMutations { get; set; } = KvLimits.MaxMutations;

    /// <summary>The total size of an atomic write, in bytes: keys, values and messages as Deno KV counts them.</summary>
    /// <value>Default: 819,200.</value>
    public int MaxTotalSize { get; set; } = KvLimits.MaxTotalSize;

    /// <summary>The total size of the keys that an atomic write gives values to, in bytes.</summary>
    /// <value>Default: 81,920.</value>
    public int MaxTotalKeySize { get; set; } = KvLimits.MaxTotalKeySize;

    /// <summary>Keys in one <see cref="IKvStore.GetManyAsync"/>.</summary>
    /// <value>Default: 10, as in Deno KV.</value>
    public int MaxReadRanges { get; set; } = KvLimits.MaxReadRanges;

    /// <summary>The largest batch of a listing.</summary>
    /// <value>Default: 1,000, as in Deno KV.</value>
    public int MaxReadEntries { get; set; } = KvLimits.MaxReadEntries;

    /// <summary>What a commit survives once it is answered.</summary>
    /// <value>Default: <see cref="KvDurability.Full"/>.</value>
    public KvDurability Durability { get; set; }

    /// <summary>
    /// How long a call waits: for the store to open, for other writes to end, for locks of others, for a connection, and while the
    /// database is away, full or restarting. It counts from the call, whatever others wait for. Past it, a call fails with
    /// <see cref="KvErrorKind.Unavailable"/>, or <see cref="KvErrorKind.CommitUnknown"/> if its commit was under way and could not be found out about
    /// in as long again. Watches go on without end.
    /// </summary>
    /// <value>Default: 30 seconds.</value>
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Where messages go that could not be delivered and name no keys themselves: under this key, their topic and their id.</summary>
    /// <value>Default: null, for <c>["dead_letters"]</c>. The same in all processes of a store.</value>
    /// <remarks>In configuration it is the key's text: <c>"DeadLetterPrefix": "[\"dead_letters\"]"</c>.</remarks>
    public KvKey? DeadLetterPrefix { get; set; }

    // Null until it is set: a binder of configuration passes over what it finds there and cannot fill, and refuses to make a key of an array.
    internal KvKey DeadLetters => DeadLetterPrefix ?? DefaultDeadLetters;

    private static KvKey DefaultDeadLetters { get; } = ["dead_letters"];

    /// <summary>
    /// How often commits of other processes are looked for, where they are not told of: on SQLite, where it is the longest wait between two
    /// looks at a counter of the file, and on PostgreSQL while <see cref="Notifications"/> are off or do not come through. Commits of this
    /// process wake watchers and worker at once.
    /// </summary>
    /// <value>Default: 100 milliseconds. Without a watcher or worker there are no looks.</value>
    public TimeSpan WatchInterval { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// Whether processes tell one another of their commits (LISTEN and NOTIFY of PostgreSQL, at most one notice per 10 milliseconds and
    /// process), so that watchers and workers of others need not look for them.
    /// </summary>
    /// <value>Default: true. Without a meaning on SQLite.</value>
    /// <remarks>
    /// Set it the same in all processes of a store. Where it is off, as behind a pooler of transactions (<see cref="TransactionPooling"/>),
    /// watchers look at <see cref="WatchInterval"/> and workers at their poll interval. A watcher or worker listens on a connection of its
    /// own.
    /// </remarks>
    public bool Notifications { get; set; } = true;

    /// <summary>
    /// Whether PostgreSQL is reached through a pooler that lends a connection to the server for one transaction, such as PgBouncer with
    /// <c>pool_mode = transaction</c>. Then nothing rests on a session: statements are not prepared, the writer's settings are made in each
    /// of its transactions, and no process listens, whatever <see cref="Notifications"/> says.
    /// </summary>
    /// <value>Default: false. Without a meaning on SQLite.</value>
    /// <remarks>
    /// The connection string then says <c>No Reset On Close=true</c>. Poolers that lend a connection for a whole session need none of this.
    /// Statements are planned at each run, which costs a read or write some tenths of a millisecond.
    /// </remarks>
    public bool TransactionPooling { get; set; }

    internal bool Notifies => Notifications && !TransactionPooling;

    /// <summary>
    /// How often the sweeper looks for expired entries even if it knows of none: what other processes wrote. Readers do not depend on it,
    /// since they see no expired entry.
    /// </summary>
    /// <value>Default: 60 seconds.</value>
    public TimeSpan SweepInterval { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Whose clock decides what is expired, due or lapsed, and when a schedule ticks. On PostgreSQL it is the server's, so that no machine's
    /// wrong clock deletes an entry, ends a lease or stops a schedule of all.
    /// </summary>
    /// <value>Default: <see cref="KvClockSource.Automatic"/>. The same in all processes of a store.</value>
    public KvClockSource Clock { get; set; }

    /// <summary>Writes that may wait at once; callers beyond them wait before they enter.</summary>
    /// <value>Default: 10,000.</value>
    public int MaxPendingWrites { get; set; } = 10_000;
}
