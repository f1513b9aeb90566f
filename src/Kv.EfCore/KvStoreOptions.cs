using Kv.Sql;

namespace Kv;

/// <summary>How much a store takes, and how it keeps it.</summary>
public sealed class KvStoreOptions
{
    private const int Mebibyte = 1 << 20;
    private int? _maxTotalSize;
    private int? _maxTotalKeySize;

    /// <summary>The largest encoded value, in bytes.</summary>
    /// <value>Default: 1,048,576 (1 MiB). Deno reads values of up to 65,536 bytes; see <see cref="KvLimits.Deno"/>.</value>
    public int MaxValueSize { get; set; } = Mebibyte;

    /// <summary>The largest message, in bytes.</summary>
    /// <value>Default: 1,048,576 (1 MiB). Deno reads messages of up to 65,536 bytes.</value>
    public int MaxMessageSize { get; set; } = Mebibyte;

    /// <summary>Checks in one atomic write.</summary>
    /// <value>Default: 1,000.</value>
    public int MaxChecks { get; set; } = 1000;

    /// <summary>Mutations and messages in one atomic write.</summary>
    /// <value>Default: 10,000.</value>
    public int MaxMutations { get; set; } = 10_000;

    /// <summary>
    /// The total size of an atomic write, in bytes, as Deno KV counts it: the keys of checks and mutations, values with their keys once
    /// more, payloads, and 4 for each interval of a backoff.
    /// </summary>
    /// <value>
    /// Default: 10,485,760 (10 MiB), or as much as one value of <see cref="MaxValueSize"/> or message of <see cref="MaxMessageSize"/>
    /// takes, if that is more.
    /// </value>
    public int MaxTotalSize
    {
        get => _maxTotalSize ?? (int)Math.Min(
            int.MaxValue, Math.Max(10L * Mebibyte, Math.Max(MaxValueSize, MaxMessageSize) + (4L * KvLimits.MaxKeySize)));
        set => _maxTotalSize = value;
    }

    /// <summary>The total size of the keys that an atomic write gives values to, in bytes.</summary>
    /// <value>Default: 1,048,576 (1 MiB), or 100 for each of <see cref="MaxMutations"/>, if that is more.</value>
    public int MaxTotalKeySize
    {
        get => _maxTotalKeySize ?? (int)Math.Min(int.MaxValue, Math.Max(Mebibyte, 100L * MaxMutations));
        set => _maxTotalKeySize = value;
    }

    /// <summary>Keys in one <see cref="IKvStore.GetManyAsync(IReadOnlyList{KvKey}, CancellationToken)"/>.</summary>
    /// <value>Default: 1,000.</value>
    public int MaxReadRanges { get; set; } = 1000;

    /// <summary>The largest batch of a listing.</summary>
    /// <value>Default: 1,000, as in Deno KV.</value>
    public int MaxReadEntries { get; set; } = KvLimits.MaxReadEntries;

    /// <summary>
    /// Whether Deno programs share the SQLite file, which this program made: values, messages and dead letters are written so that Deno
    /// reads them (<see cref="KvEncoding.V8"/> where it would be JSON), within the limits of <see cref="KvLimits.Deno"/>. A file that Deno
    /// made is known by itself, and needs no option.
    /// </summary>
    /// <value>Default: false. Refused on PostgreSQL and with a <see cref="TablePrefix"/>.</value>
    public bool SharedWithDeno { get; set; }

    /// <summary>
    /// What a commit survives once it is answered, where the call does not say
    /// (<see cref="KvAtomic.CommitAsync(KvDurability, CancellationToken)"/>). A transaction of yours decides for what joins it.
    /// </summary>
    /// <value>Default: <see cref="KvDurability.Full"/>.</value>
    public KvDurability Durability { get; set; }

    /// <summary>
    /// How long a call waits: for the store to open, for other writes to end, for locks of others, for a connection, and while the
    /// database is away, full or restarting. It counts from the call, whatever others wait for. Past it, a call fails with
    /// <see cref="KvErrorKind.Unavailable"/>, or <see cref="KvErrorKind.CommitUnknown"/> if its commit was under way and could not be found
    /// out about in as long again. Watches go on without end.
    /// </summary>
    /// <value>Default: 30 seconds.</value>
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long an <see cref="IKvSnapshot"/> may be open.</summary>
    /// <value>Default: 60 seconds. From 1 second to 1 day. The database keeps for so long what was overwritten meanwhile.</value>
    public TimeSpan SnapshotTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Where messages go that could not be delivered and name no keys themselves: under this key, their topic and their id.
    /// </summary>
    /// <value>Default: null, for <c>["dead_letters"]</c>. The same in all processes of a store.</value>
    /// <remarks>In configuration it is the key's text: <c>"DeadLetterPrefix": "[\"dead_letters\"]"</c>.</remarks>
    public KvKey? DeadLetterPrefix { get; set; }

    // Null until it is set: a binder of configuration passes over what it finds there and cannot fill, and refuses to make a key of an
    // array.
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

    /// <summary>The merge operators that the application has added, by their names.</summary>
    internal Dictionary<string, NamedMerge> Merges { get; } = new(StringComparer.Ordinal);

    internal bool Notifies => Notifications && !TransactionPooling;

    /// <summary>
    /// How often the sweeper looks for expired entries even if it knows of none: what other processes wrote. Readers do not depend on it,
    /// since they see no expired entry. It is also how often a follower of the change feed is told how far it is when nothing of its range
    /// changes.
    /// </summary>
    /// <value>Default: 60 seconds.</value>
    public TimeSpan SweepInterval { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>When the store maintains itself, as <see cref="IKvMaintenance.RunAsync"/> does on demand. It is set in code.</summary>
    /// <value>Default: null, for on demand alone. Every process asks its own policy.</value>
    public KvMaintenancePolicy? Maintenance { get; set; }

    /// <summary>How often <see cref="Maintenance"/> is asked; first, when so much time has passed since the store was opened.</summary>
    /// <value>Default: 1 hour. From 1 second to 40 days.</value>
    public TimeSpan MaintenanceInterval { get; set; } = TimeSpan.FromHours(1);

    /// <summary>
    /// Whose clock decides what is expired, due or lapsed, and when a schedule ticks. On PostgreSQL it is the server's, so that no
    /// machine's wrong clock deletes an entry, ends a lease or stops a schedule of all.
    /// </summary>
    /// <value>Default: <see cref="KvClockSource.Automatic"/>. The same in all processes of a store.</value>
    public KvClockSource Clock { get; set; }

    /// <summary>
    /// The schema of PostgreSQL that has the store's tables, so that a database can have several stores, or tables of the same names.
    /// </summary>
    /// <value>
    /// Default: null, for where the connection's search path leads. Otherwise 1 to 50 letters, digits and underscores of ASCII, of which
    /// the first is no digit; <c>MigrateKvStoreAsync</c> creates the schema if it is missing. The same in all processes of a store.
    /// </value>
    /// <remarks>On SQLite there are no schemas: see <see cref="TablePrefix"/>.</remarks>
    public string? Schema { get; set; }

    /// <summary>
    /// What the names of the store's tables and indexes begin with on SQLite, so that a file can have other tables of these names.
    /// </summary>
    /// <value>
    /// Default: null, for nothing: the tables are <c>kv</c>, <c>data_version</c>, <c>queue</c> and <c>queue_running</c>, and Deno can open
    /// the file. Otherwise 1 to 50 letters, digits and underscores of ASCII, of which the first is no digit. The same in all processes of a
    /// store.
    /// </value>
    /// <remarks>On PostgreSQL the tables are kept apart by a schema: see <see cref="Schema"/>.</remarks>
    public string? TablePrefix { get; set; }

    internal TableNames Tables => Schema is null && TablePrefix is null ? TableNames.Default : new TableNames(TablePrefix ?? "", Schema);

    /// <summary>
    /// Where a streaming replica of the store's database is, on PostgreSQL: it serves the reads that ask for
    /// <see cref="KvConsistency.Eventual"/>.
    /// </summary>
    /// <value>
    /// Default: null; such reads are served by the store's own database. Otherwise a connection string, also of several hosts, of which
    /// <c>Target Session Attributes=prefer-standby</c> takes a standby first. All else that is configured for the store's connections
    /// (callbacks of the driver, interceptors, <see cref="Schema"/>) applies to it.
    /// </value>
    /// <remarks>
    /// It holds up to eight connections more. While the replica is away, or is none of the store's database, a warning is logged once, the
    /// store's own database serves, and the replica is tried again until it is back. A statement has half of <see cref="CommandTimeout"/>
    /// on it, so that the other half is left. On SQLite it is refused.
    /// </remarks>
    public string? ReplicaConnectionString { get; set; }

    /// <summary>Writes that may wait at once; callers beyond them wait before they enter.</summary>
    /// <value>Default: 10,000.</value>
    public int MaxPendingWrites { get; set; } = 10_000;
}
