namespace Kv.Sql;

/// <summary>
/// The statements of a store. What is plain here runs on both databases; where they must differ a member is abstract, and each provider
/// package has its own class: SQLite runs in the process, so it gets a statement a row; PostgreSQL is a round trip away, so it gets
/// arrays.
/// </summary>
/// <param name="tables">The store's tables.</param>
/// <param name="now">Where a write judges times: the caller's parameter, or the clock of a server that decides.</param>
/// <remarks>
/// A statement is put together when it is first asked for: commits of a busy queue ask thousands of times a second. SQLite's part keeps to
/// what version 3.35 knows.
/// </remarks>
internal abstract class KvSql(TableNames tables, string now = "@now") : SqlParts(tables, now)
{
    /// <summary>
    /// How many bits of a writer's number tell apart those that were drawn in the same millisecond; the time stands above them.
    /// </summary>
    public const int WriterRandomBits = 20;

    /// <summary>The change feed.</summary>
    public abstract FeedSql Feed { get; }

    // Reads.

    public string Version => field ??= $"select version from {VersionTable} where k = 0";

    public string Get => field ??= $"select v, v_encoding, version from {KvTable} where k = @k and {LiveAt(NowToRead)}";

    public string Exists => field ??= $"select 1 from {KvTable} where k = @k and {LiveAt(NowToRead)}";

    public string Count => field ??= $"select count(*) from {KvTable} where k >= @start and k < @end and {LiveAt(NowToRead)}";

    /// <summary>Of the first keys of a range, that which was written last. It reads them without the values.</summary>
    public string LatestKey => field ??= $"""
        select k from (select k, version from {KvTable} where k >= @start and k < @end and {LiveAt(NowToRead)} order by k limit @limit) r
        order by version desc limit 1
        """;

    public string ListForward => field ??= List("k, v, v_encoding, version", "k");

    public string ListReverse => field ??= List("k, v, v_encoding, version", "k desc");

    public string KeysForward => field ??= List("k", "k");

    public string KeysReverse => field ??= List("k", "k desc");

    private string List(string columns, string order) =>
        $"select {columns} from {KvTable} where k >= @start and k < @end and {LiveAt(NowToRead)} order by {order} limit @limit";

    /// <summary>What time it is, when the first entry expires (null where none does), and 1 if the change feed is on.</summary>
    public string NextExpiry => field ??= $"""
        select {NowToRead}, (select expiration_ms from {KvTable} where expiration_ms >= 0 order by expiration_ms limit 1), {Feed.IsOn}
        """;

    public string Expired => field ??= $"""
        select k from {KvTable} where expiration_ms >= 0 and expiration_ms <= {NowToRead} order by expiration_ms limit @limit
        """;

    // The schema.

    /// <summary>Statements that fail unless the tables have every column.</summary>
    internal IReadOnlyList<string> Probes => field ??=
    [
        $"select k, v, v_encoding, version, seq, expiration_ms from {KvTable} where 1 = 0",
        $"select k, version, seq from {VersionTable} where 1 = 0",
        Feed.Probe,
        $"select ts, state, version, {Kept}, {Unkept} from {QueueTable} where 1 = 0",
        $"select deadline, ts, owner, progress, note, {Kept}, {Unkept} from {RunningTable} where 1 = 0",
    ];

    /// <summary>Locks that end with their holder.</summary>
    public abstract string BeginMigration { get; }

    /// <summary>Whether a table is there.</summary>
    /// <param name="name">Its name in quotes. It is the program's, not input.</param>
    public abstract string HasTable(string name);

    /// <summary>What has the name of one of the store's tables where migrations would make them: its kind and its name.</summary>
    public abstract string InTheWay { get; }

    /// <summary>
    /// The migrations that were applied, in the first column, whatever a naming convention made of its name. The table's name, in quotes,
    /// is the program's, not input.
    /// </summary>
    public static string History(string table) => $"select * from {table}";

    // Transactions.

    /// <summary>
    /// On SQLite the write lock is taken at the start: a transaction that began by reading can fail with SQLITE_BUSY_SNAPSHOT whatever the
    /// timeout. On PostgreSQL READ COMMITTED, so that what follows the version row sees all that was committed before its lock was
    /// granted.
    /// </summary>
    public abstract string BeginWrite { get; }

    public abstract string BeginSnapshot { get; }

    /// <summary>
    /// Writes to the log, and changes nothing: once that is on the disk, so is all that was committed before. It gives the store's
    /// version.
    /// </summary>
    public abstract string Flush { get; }

    public const string Commit = "commit";

    public const string Rollback = "rollback";

    public const string Savepoint = "savepoint efkv";

    public const string ReleaseSavepoint = "release savepoint efkv";

    public const string RollbackToSavepoint = "rollback to savepoint efkv";

    // Resolving a commit. The version row is locked first: a transaction that holds it ends before the marker is read. A transaction that
    // is still on its way, whole, cannot be waited for: where no marker is found, one is set that makes it fail when it arrives.

    public string LockVersion => field ??= $"update {VersionTable} set seq = 1 - seq where k = 0";

    /// <summary>Takes the version to a number that lies above it, so that those between are given to no commit.</summary>
    public string RaiseVersion => field ??= $"update {VersionTable} set version = @version where k = 0 and version < @version";

    public string Marker => field ??= $"select version, seq from {VersionTable} where k = @writer";

    /// <summary>Marks a commit: one that is marked already fails.</summary>
    public string Mark => field ??= $"""
        insert into {VersionTable} (k, version, seq) values (@writer, @version, @sequence)
        {OnMark}
        """;

    /// <summary>
    /// Version 0: this commit did not happen, and will not. It waits for a transaction that has set the mark, and changes nothing if that
    /// commits.
    /// </summary>
    public string Bar => field ??= $"""
        insert into {VersionTable} as m (k, version, seq) values (@writer, 0, @sequence)
        on conflict (k) do update set version = 0, seq = excluded.seq where m.seq < excluded.seq
        """;

    /// <summary>Deletes the marks of writers whose numbers were drawn too long ago.</summary>
    public string DeleteOldMarks => field ??= $"""
        delete from {VersionTable} where k > 0 and k < (({Now} - @lifetime) << {WriterRandomBits})
        """;

    // Due times, and messages that a claim does not take.

    /// <summary>
    /// Finds slots for messages of limited groups whose time has come: each is looked at once, and those for which there is none wait out
    /// of the way of claims. The version row is locked then.
    /// </summary>
    public string Admit => field ??= $"""
        update {QueueTable} set state = case when group_key is null or r.n <= {Slots} - r.taken then 0 else 1 end
        from (
            select d.ts, d.id, row_number() over (partition by d.group_key
                order by d.ts, d.id) as n, {TakenOf("d.topic", "d.group_key")} as taken
            from (select ts, id, topic, group_key from {QueueTable}
                where topic = @topic and state = 2 and ts <= {Now} order by ts, id limit @limit) d) r
        where {QueueTable.Name}.ts = r.ts and {QueueTable.Name}.id = r.id
        """;

    /// <summary>
    /// How long until the next message of these topics is due, until one is due that looks for a slot then, and until the next lease
    /// lapses; null where there is none.
    /// </summary>
    /// <remarks>The end of a pause counts as the time of a message: nothing else tells of it, and what waited may be due then.</remarks>
    public abstract string NextDue { get; }

    /// <summary>
    /// The topics that have messages which wait, found by stepping through the index: one probe for each, however many messages there
    /// are.
    /// </summary>
    public string Topics => field ??= $"""
        with recursive t (topic) as (
            select min(topic) from {QueueTable} where topic >= ''
            union all
            select (select min(topic) from {QueueTable} where topic > t.topic) from t where t.topic is not null)
        select topic from t where topic is not null limit @limit
        """;

    /// <inheritdoc cref="SqlParts.StrandedOf" />
    public string Stranded => field ??= StrandedOf("@topic", "@after");

    /// <summary>Messages of a topic in a state that there is not, or set aside by a claim.</summary>
    public abstract string Strays { get; }

    /// <summary>Of each topic the messages that have waited longest for a slot of their group, which may have none.</summary>
    public abstract string Blocked { get; }

    public string LetUngroupedGo => field ??=
        $"update {QueueTable} set state = 0 where ts = @place and id = @id and state = 1 and group_key is null returning id";

    /// <summary>Whether a message that is to be set aside is still there; locked, so that it stays so.</summary>
    public virtual string StrayAt => field ??= $"select 1 from {QueueTable} where ts = @place and id = @id";

    public string DeleteAt => field ??= $"delete from {QueueTable} where ts = @place and id = @id";

    /// <summary>
    /// Statements that tell whether a column of the queue has a value of a class that is not the column's, and others that make it one
    /// that is. Where the database lets none in, there are none. The parameters are the topic, and the present.
    /// </summary>
    public virtual IReadOnlyList<(string Find, string Mend)> Mends => [];

    // What handlers and operators say about a message.

    public string Report => field ??= $"""
        update {RunningTable} set progress = coalesce(cast(@progress as double precision), progress),
            note = coalesce(cast(@note as text), note)
        where id = @id and owner = @owner and claim = @claim returning id
        """;

    public string SaveCheckpoint => field ??= $"""
        update {RunningTable} set checkpoint = @data, checkpoint_encoding = @encoding
            where id = @id and owner = @owner and claim = @claim returning id
        """;

    public string IsCancelled => field ??=
        $"select id from {RunningTable} where id = @id and owner = @owner and claim = @claim and cancelled = 1";

    public string CancelRunning => field ??= $"update {RunningTable} set cancelled = 1 where id = @id returning id";

    public string Lapse => field ??= $"update {RunningTable} set deadline = @now where topic = @topic and deadline > @latest returning id";

    // Leases, outside the pipeline.

    /// <returns>Of each message that still runs, whether it is to be cancelled; null where its row is locked.</returns>
    public abstract string Extend { get; }

    /// <summary>What lapsed, or is to lapse within a time, with what tells whether its worker lives.</summary>
    public string Lapsed => field ??=
        $"select id, owner, claim, deadline, topic from {RunningTable} where deadline <= {Now} + @ahead order by deadline, id limit @limit";

    /// <summary>A lease that no worker has asked for: nothing would ever end it.</summary>
    public string HasEndless => field ??= $"select 1 from {RunningTable} where deadline > {Now} + @longest order by deadline desc limit 1";

    /// <summary>Ends such leases.</summary>
    public string EndEndless => field ??= $"""
        update {RunningTable} set deadline = {Now}
        where id in (select id from {RunningTable} where deadline > {Now} + @longest order by deadline desc limit @limit) returning id
        """;

    // What is looked at, without taking anything. What is internal reads a whole table, and the specification of plans passes it over.

    public string WaitingOf => field ??= $"select {MessageColumns}, ts, state from {QueueTable} where id = @id limit 1";

    public string RunningOf => field ??=
        $"select {MessageColumns}, deadline, owner, progress, note from {RunningTable} where id = @id limit 1";

    public string Peek => field ??=
        $"select {MessageColumns}, ts, state from {QueueTable} where topic = @topic and state = 0 order by priority, ts, id limit @limit";

    /// <summary>
    /// To count is to read all there is: by the index's own columns, so that it is read in its order and nothing is sorted, which takes a
    /// quarter of the time on SQLite.
    /// </summary>
    internal string CountWaiting => field ??= $"""
        select topic, state, count(*), coalesce(sum(case when ts <= @now then 1 else 0 end), 0), min(ts)
            from {QueueTable} group by topic, state, priority
        """;

    /// <summary>From the beginning of the index on.</summary>
    internal string Running => field ??=
        $"select {MessageColumns}, deadline, owner, progress, note from {RunningTable} order by deadline, id limit @limit";

    internal string CountRunning => field ??= $"select topic, count(*) from {RunningTable} group by topic";

    /// <summary>Whether a topic has messages. What runs is found by its id, and is little.</summary>
    internal string IsUsed => field ??=
        $"select 1 where exists (select 1 from {QueueTable} where topic = @topic) "
        + $"or exists (select 1 from {RunningTable} where topic = @topic)";

    // What both build on.

    /// <summary>Where a read judges times.</summary>
    protected virtual string NowToRead => Now;

    /// <summary>
    /// Whether nothing of a topic is due, and it is not paused: a message that comes to it may run at once, since it is the first.
    /// </summary>
    protected string ClearOf(string topic, string pause) =>
        $"coalesce({Earliest(topic, 0)}, {long.MaxValue}) > {Now} "
        + $"and not exists (select 1 from {KvTable} where k = {pause} and {LiveAt(Now)})";

    /// <summary>When the first message of a topic is due, whatever its priority: one probe of the index for each.</summary>
    protected abstract string Earliest(string topic, int state);
}
