namespace Kv.Engine;

/// <summary>
/// Every statement of the engine. What is plain here runs on both databases; where they must differ, the difference is a property, and the
/// comment says why. SQLite runs in the process, so it gets a statement a row; PostgreSQL is a round trip away, so it gets arrays.
/// </summary>
/// <remarks>SQLite's part keeps to what version 3.35 knows.</remarks>
internal sealed class KvSql(bool arrays)
{
    /// <summary>Hidden here and deleted later: a reader must never depend on the sweeper having run.</summary>
    private const string Live = "(expiration_ms < 0 or expiration_ms > @now)";

    private const string MessageColumns =
        "id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, attempt, crashes, claim, enqueued_at, trace";

    /// <summary>Where due times and deadlines are judged: a server's own clock, or the clock of the process.</summary>
    /// <remarks><c>clock_timestamp()</c>, since <c>now()</c> is the start of the transaction, which may have waited for the version row.</remarks>
    private const string ServerNow = "(extract(epoch from clock_timestamp()) * 1000)::bigint";

    /// <summary>Whether statements take arrays, many rows at once.</summary>
    public bool Arrays => arrays;

    // Reads.

    public const string Version = "select version from data_version where k = 0";

    public const string Get = $"select v, v_encoding, version from kv where k = @k and {Live}";

    public const string Exists = $"select 1 from kv where k = @k and {Live}";

    public const string Count = $"select count(*) from kv where k >= @start and k < @end and {Live}";

    public const string ListForward = $"select k, v, v_encoding, version from kv where k >= @start and k < @end and {Live} order by k limit @limit";

    public const string ListReverse = $"select k, v, v_encoding, version from kv where k >= @start and k < @end and {Live} order by k desc limit @limit";

    public const string KeysForward = $"select k from kv where k >= @start and k < @end and {Live} order by k limit @limit";

    public const string KeysReverse = $"select k from kv where k >= @start and k < @end and {Live} order by k desc limit @limit";

    /// <summary>Many keys in one statement, which is one snapshot.</summary>
    public const string GetManyArray = $"select k, v, v_encoding, version from kv where k = any(@keys) and {Live}";

    public const string NextExpiry = "select expiration_ms from kv where expiration_ms >= 0 order by expiration_ms limit 1";

    public const string Expired = "select k from kv where expiration_ms >= 0 and expiration_ms <= @now order by expiration_ms limit @limit";

    /// <summary>Statements that fail unless the tables have every column.</summary>
    public static IReadOnlyList<string> Probes { get; } =
    [
        "select k, v, v_encoding, version, seq, expiration_ms from kv where 1 = 0",
        "select k, version, seq from data_version where 1 = 0",
        $"select ts, {MessageColumns} from queue where 1 = 0",
        $"select deadline, owner, {MessageColumns} from queue_running where 1 = 0",
    ];

    // Resolving a commit. The version row is locked first: a transaction that holds it ends before the marker is read. A transaction that is
    // still on its way, whole, cannot be waited for: where no marker is found, one is set that makes it fail when it arrives.

    public const string LockVersion = "update data_version set version = version where k = 0";

    public const string Marker = "select version, seq from data_version where k = @writer";

    /// <summary>Version 0: this commit did not happen, and will not.</summary>
    public const string Bar = $"""
        insert into data_version (k, version, seq) values (@writer, 0, @sequence)
        {OnMark}
        """;

    /// <summary>A number that is marked already, by the commit itself or by <see cref="Bar"/>, gives null, which the column refuses.</summary>
    private const string OnMark = """
        on conflict (k) do update set version = case when data_version.seq < excluded.seq then excluded.version end, seq = excluded.seq
        """;

    public const string DeleteOldMarks = "delete from data_version where k > 0 and k < @before";

    // Notices between processes.

    /// <summary>
    /// The table is the store, so its number names the channel: stores in other schemas of the database have others, and any search path that
    /// finds the table finds the channel.
    /// </summary>
    public const string Channel = "select 'efkv_' || 'data_version'::regclass::oid::text";

    public static string Listen(string channel) => $"listen {channel}";

    /// <summary>The version comes along, so that this is a look, too.</summary>
    public const string Notify = "select version, pg_notify('efkv_' || 'data_version'::regclass::oid::text, @payload) from data_version where k = 0";

    /// <summary>Changes when another connection has committed. It waits for no lock and holds none.</summary>
    public const string FileVersion = "pragma data_version";

    // Transactions.

    /// <summary>
    /// On SQLite the write lock is taken at the start: a transaction that began by reading can fail with SQLITE_BUSY_SNAPSHOT whatever the timeout.
    /// On PostgreSQL READ COMMITTED, so that what follows the version row sees all that was committed before its lock was granted.
    /// </summary>
    public string BeginWrite { get; } = arrays ? "begin isolation level read committed" : "begin immediate";

    public string BeginSnapshot { get; } = arrays ? "begin isolation level repeatable read read only" : "begin deferred";

    /// <summary>Locks that end with their holder. The number is the advisory lock's name: "efkv" in ASCII.</summary>
    public string BeginMigration { get; } = arrays ? "begin; select pg_advisory_xact_lock(1701210998)" : "begin immediate";

    /// <summary>Whether a table is there. The name is a constant of the program, not input.</summary>
    public string HasTable(string name) => arrays
        ? $"""select to_regclass('"{name}"') is not null"""
        : $"select count(*) from sqlite_master where type = 'table' and name = '{name}'";

    public const string Commit = "commit";

    public const string Rollback = "rollback";

    public const string Savepoint = "savepoint efkv";

    public const string ReleaseSavepoint = "release savepoint efkv";

    public const string RollbackToSavepoint = "rollback to savepoint efkv";

    // Groups, a row at a time (SQLite).

    /// <summary>Lock and clock in one: whoever holds this row sees all that was committed before, and its versions are the next.</summary>
    public const string Bump = "update data_version set version = version + @count where k = 0 returning version";

    public const string Mark = $"""
        insert into data_version (k, version, seq) values (@writer, @version, @sequence)
        {OnMark}
        """;

    /// <summary>The value itself is read only where a counter may need it.</summary>
    public const string ReadRow = "select version, v_encoding, expiration_ms, case when v_encoding = 2 then v end from kv where k = @k";

    public const string Put = """
        insert into kv (k, v, v_encoding, version, expiration_ms) values (@k, @v, @encoding, @version, @expires)
        on conflict (k) do update set v = excluded.v, v_encoding = excluded.v_encoding, version = excluded.version, seq = 0,
            expiration_ms = excluded.expiration_ms
        """;

    public const string Touch = "update kv set expiration_ms = @expires, version = @version where k = @k";

    public const string Delete = "delete from kv where k = @k";

    public const string DeleteRange = "delete from kv where k >= @start and k < @end";

    public const string Enqueue = $"""
        insert into queue (ts, {MessageColumns})
        values (@now + @delay, @id, @data, @backoff, @undelivered, @topic, @type, @encoding, 0, 0, 0, @now, @trace)
        """;

    public const string Fence = "select 1 from queue_running where id = @id and owner = @owner and claim = @claim";

    public const string Complete = "delete from queue_running where id = @id and owner = @owner and claim = @claim";

    public const string CopyToQueue = $"""
        insert into queue (ts, {MessageColumns})
        select @now + @delay, id, data, @backoff, keys_if_undelivered, topic, type, encoding, @attempt, crashes, claim, enqueued_at, trace
        from queue_running where id = @id and owner = @owner and claim = @claim
        """;

    /// <summary>Rows leave the queue in the statement that selects them, so two workers never see the same one.</summary>
    public const string TakeDue = $"""
        delete from queue where (ts, id) in (select ts, id from queue where topic = @topic and ts <= @now order by ts, id limit @limit)
        returning ts, {MessageColumns}
        """;

    public const string Hold = $"""
        insert into queue_running (deadline, owner, {MessageColumns})
        values (@now + @lease, @owner, @id, @data, @backoff, @undelivered, @topic, @type, @encoding, @attempt, @crashes, @claim, @enqueued, @trace)
        """;

    public const string TakeLapsed = $"""
        delete from queue_running where (deadline, id) in (select deadline, id from queue_running where deadline <= @now order by deadline limit @limit)
        returning deadline, {MessageColumns}
        """;

    public const string PutBack = $"""
        insert into queue (ts, {MessageColumns})
        values (@now, @id, @data, @backoff, @undelivered, @topic, @type, @encoding, @attempt, @crashes, @claim, @enqueued, @trace)
        """;

    // Groups, arrays (PostgreSQL). Versions are counted back from the version row, which the transaction holds: a group that reads nothing
    // needs no round trip to learn them.

    public const string BumpAndMark = $"""
        with bump as (update data_version set version = version + @count where k = 0 returning version),
            mark as (
                insert into data_version (k, version, seq) select @writer, version, @sequence from bump
                {OnMark})
        select version from bump
        """;

    public const string ReadRows = "select k, version, v_encoding, expiration_ms, case when v_encoding = 2 then v end from kv where k = any(@keys)";

    public const string PutAll = """
        insert into kv (k, v, v_encoding, version, expiration_ms)
        select r.k, r.v, r.encoding, (select version from data_version where k = 0) - r.back, r.expires
        from unnest(@keys, @values, @encodings, @backs, @expiries) as r (k, v, encoding, back, expires)
        on conflict (k) do update set v = excluded.v, v_encoding = excluded.v_encoding, version = excluded.version, seq = 0,
            expiration_ms = excluded.expiration_ms
        """;

    public const string TouchAll = """
        update kv set expiration_ms = r.expires, version = (select version from data_version where k = 0) - r.back
        from unnest(@keys, @backs, @expiries) as r (k, back, expires) where kv.k = r.k
        """;

    public const string DeleteAll = "delete from kv where k = any(@keys)";

    public const string DeleteRanges = "delete from kv using unnest(@starts, @ends) as r (s, e) where kv.k >= r.s and kv.k < r.e";

    public static string EnqueueAll(bool serverClock) => $"""
        insert into queue (ts, {MessageColumns})
        select {Now(serverClock)} + r.delay, r.id, r.data, r.backoff, r.undelivered, r.topic, r.type, r.encoding, 0, 0, 0, {Now(serverClock)}, r.trace
        from unnest(@ids, @datas, @backoffs, @undelivereds, @topics, @types, @encodings, @delays, @traces)
            as r (id, data, backoff, undelivered, topic, type, encoding, delay, trace)
        """;

    public const string FenceAll = """
        select q.id, q.claim from queue_running q
        join unnest(@ids, @owners, @claims) as r (id, owner, claim) on q.id = r.id and q.owner = r.owner and q.claim = r.claim
        for update of q
        """;

    public const string CompleteAll = """
        delete from queue_running q using unnest(@ids, @owners, @claims) as r (id, owner, claim)
        where q.id = r.id and q.owner = r.owner and q.claim = r.claim returning q.id, q.claim
        """;

    public static string RequeueAll(bool serverClock) => $"""
        with gone as (
            delete from queue_running q using unnest(@ids, @owners, @claims, @delays, @backoffs, @attempts) as r (id, owner, claim, delay, backoff, attempt)
            where q.id = r.id and q.owner = r.owner and q.claim = r.claim
            returning q.*, r.delay as r_delay, r.backoff as r_backoff, r.attempt as r_attempt)
        insert into queue (ts, {MessageColumns})
        select {Now(serverClock)} + r_delay, id, data, r_backoff, keys_if_undelivered, topic, type, encoding, r_attempt, crashes, claim, enqueued_at, trace
        from gone returning id, claim
        """;

    /// <summary>
    /// A topic at a time, so that the index on (topic, ts, id) gives the oldest of each without reading what waits for others. MATERIALIZED,
    /// since the planner may otherwise run a limited subquery again and take more rows than asked. Sorted at the end, since RETURNING has no order.
    /// </summary>
    public static string ClaimAll(bool serverClock) => $"""
        with due as materialized (
            select q.ts, q.id from unnest(@topics) as t (topic)
            cross join lateral (
                select ts, id from queue where topic = t.topic and ts <= {Now(serverClock)} order by ts, id limit @limit for update skip locked) q
            order by q.ts, q.id limit @limit),
        gone as (delete from queue using due where queue.ts = due.ts and queue.id = due.id returning queue.*),
        held as (
            insert into queue_running (deadline, owner, {MessageColumns})
            select {Now(serverClock)} + @lease, @owner, id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, attempt, crashes, claim + 1, enqueued_at, trace
            from gone)
        select id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, attempt, crashes, claim + 1, enqueued_at, trace
        from gone order by ts, id
        """;

    public static string RecoverAll(bool serverClock) => $"""
        with lapsed as materialized (
            select deadline, id from queue_running where deadline <= {Now(serverClock)} order by deadline limit @limit for update skip locked),
        gone as (delete from queue_running q using lapsed where q.deadline = lapsed.deadline and q.id = lapsed.id returning q.*)
        insert into queue (ts, {MessageColumns})
        select {Now(serverClock)}, id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, attempt, crashes + 1, claim, enqueued_at, trace
        from gone returning id
        """;

    // Leases, outside the pipeline.

    public string Extend(bool serverClock) => arrays
        ? $"""
            update queue_running q set deadline = {Now(serverClock)} + @lease
            from unnest(@ids, @claims) as r (id, claim) where q.id = r.id and q.claim = r.claim and q.owner = @owner returning q.id, q.claim
            """
        : "update queue_running set deadline = @now + @lease where id = @id and claim = @claim and owner = @owner returning id, claim";

    /// <summary>How long until the next message of these topics is due, and how long until the next lease lapses; null where there is none.</summary>
    public string NextDue(bool serverClock) => arrays
        ? $"""
            select (select min(q.ts) from unnest(@topics) as t (topic)
                cross join lateral (select ts from queue where topic = t.topic order by ts limit 1) q) - {Now(serverClock)},
                (select min(deadline) from queue_running) - {Now(serverClock)}
            """
        : "select (select ts from queue where topic = @topic order by ts limit 1) - @now, (select min(deadline) from queue_running) - @now";

    private static string Now(bool serverClock) => serverClock ? ServerNow : "@now";
}
