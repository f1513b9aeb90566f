using System.Globalization;

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

    /// <summary>What a message keeps while it moves between the tables, besides what each statement has something to say about.</summary>
    private const string Kept =
        "id, data, keys_if_undelivered, topic, type, encoding, enqueued_at, trace, priority, group_key, group_limit, rate_key, unique_key, unique_until, topic_retries, cancelled, checkpoint, checkpoint_encoding";

    /// <summary>In the order in which a message is read. Most have nothing in most columns, and the last one says so: to read one takes a tenth of a microsecond on SQLite.</summary>
    private const string MessageColumns = $"{Kept}, {Unkept}, {IsPlain}";

    private const string IsPlain = """
        case when coalesce(group_key, rate_key, unique_key, first_error, last_error) is null and checkpoint is null
            and group_limit = 0 and unique_until = 0 and cancelled = 0 and attempt = 0 and crashes = 0 and rate_turn = 0 then 1 else 0 end as is_plain
        """;

    private const string Unkept = "backoff_schedule, attempt, crashes, claim, rate_turn, first_error, last_error";

    /// <summary>How many messages of a group may have a place.</summary>
    private const string Places = "case when group_limit > 1 then group_limit else 1 end";

    /// <summary>How many of the group <c>g</c> have a place: held ones, and waiting ones that may be claimed.</summary>
    private const string Taken = """
        (select count(*) from queue u where u.topic = g.topic and u.group_key = g.group_key and u.state = 0)
            + (select count(*) from queue_running h where h.topic = g.topic and h.group_key = g.group_key)
        """;

    /// <summary>Where due times and deadlines are judged: a server's own clock, or the clock of the process.</summary>
    /// <remarks>
    /// <c>clock_timestamp()</c>, since <c>now()</c> is the start of the transaction, which may have waited for the version row. In a query of
    /// its own, which is run once: compared with a volatile function itself, the index is walked past every row that is not due yet
    /// (measured: 319 messages a second with a million waiting, where 10,000 waiting gave 7,100).
    /// </remarks>
    private const string ServerNow = "(select (extract(epoch from clock_timestamp()) * 1000)::bigint)";

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

    /// <summary>Many keys in one statement, which is one snapshot. Joined with the numbered keys instead, ten of them take 1.3 times as long.</summary>
    public const string GetManyArray = $"select k, v, v_encoding, version from kv where k = any(@keys) and {Live}";

    /// <summary>The same with a parameter for each key, by their position from 1. Cross, since SQLite does such a join in the order in which it is written: the keys are looked up.</summary>
    public static string GetMany(int count) => $"""
        select column1, v, v_encoding, version from (values {string.Join(", ", Enumerable.Range(0, count).Select(static i => $"({i + 1}, {KeyParameter(i)})"))})
        cross join kv on k = column2 where {Live}
        """;

    /// <summary>The parameter of a key by its position from 0, in letters.</summary>
    public static string KeyParameter(int position) => position < 26 ? $"@k{(char)('a' + position)}" : $"{KeyParameter((position / 26) - 1)}{(char)('a' + (position % 26))}";

    public const string NextExpiry = "select expiration_ms from kv where expiration_ms >= 0 order by expiration_ms limit 1";

    public const string Expired = "select k from kv where expiration_ms >= 0 and expiration_ms <= @now order by expiration_ms limit @limit";

    /// <summary>Statements that fail unless the tables have every column.</summary>
    public static IReadOnlyList<string> Probes { get; } =
    [
        "select k, v, v_encoding, version, seq, expiration_ms from kv where 1 = 0",
        "select k, version, seq from data_version where 1 = 0",
        $"select ts, state, version, {Kept}, {Unkept} from queue where 1 = 0",
        $"select deadline, owner, progress, note, {Kept}, {Unkept} from queue_running where 1 = 0",
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

    /// <summary>
    /// The oldest transaction that keeps what was deleted since from being cleaned up, if it has been open for so many seconds. Of other users'
    /// sessions it takes the role <c>pg_read_all_stats</c> to see it. PostgreSQL only.
    /// </summary>
    public const string LongTransaction = """
        select pid, coalesce(nullif(application_name, ''), 'unnamed'), coalesce(state, ''), extract(epoch from clock_timestamp() - xact_start)::bigint from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend' and backend_xmin is not null and pid <> pg_backend_pid()
            and xact_start <= clock_timestamp() - make_interval(secs => @seconds)
        order by xact_start limit 1
        """;

    // Transactions.

    /// <summary>
    /// On SQLite the write lock is taken at the start: a transaction that began by reading can fail with SQLITE_BUSY_SNAPSHOT whatever the timeout.
    /// On PostgreSQL READ COMMITTED, so that what follows the version row sees all that was committed before its lock was granted.
    /// </summary>
    public string BeginWrite { get; } = arrays ? "begin isolation level read committed" : "begin immediate";

    public string BeginSnapshot { get; } = arrays ? "begin isolation level repeatable read read only" : "begin deferred";

    /// <summary>What PostgreSQL is told for those who write, for the session or for the transaction.</summary>
    /// <remarks>
    /// The planner guesses what a limit is that comes as a parameter: a tenth of the table. With 300,000 messages waiting it takes a claim for
    /// so dear that it compiles it each time, for 280 ms, and then reads 32 rows in half a millisecond. And it takes a table of few rows for a
    /// short one, though what came and went has left it long: every statement here has its index.
    /// </remarks>
    /// <param name="idle">How long a transaction may be left alone before the server ends it.</param>
    /// <param name="local">Whether for the transaction alone.</param>
    public static string WriterSettings(TimeSpan idle, bool local) => string.Create(CultureInfo.InvariantCulture, $"""
        select set_config('jit', 'off', {local}), set_config('enable_seqscan', 'off', {local}), set_config('idle_in_transaction_session_timeout', '{idle.TotalMilliseconds:0}', {local})
        """);

    /// <summary>Locks that end with their holder. The number is the advisory lock's name: "efkv" in ASCII.</summary>
    public string BeginMigration { get; } = arrays ? "begin; select pg_advisory_xact_lock(1701210998)" : "begin immediate";

    /// <summary>Whether a table is there. The name is a constant of the program, not input.</summary>
    public string HasTable(string name) => arrays
        ? $"""select to_regclass('"{name}"') is not null"""
        : $"select count(*) from sqlite_master where type = 'table' and name = '{name}'";

    /// <summary>The migrations that were applied, in the first column, whatever a naming convention made of its name. The table's name is the program's, not input.</summary>
    public static string History(string table) => $"""select * from "{table}" """;

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

    /// <summary>Values themselves are read only where they are short: counters, and what the queue notes under its own keys.</summary>
    public const string ReadRow = "select version, v_encoding, expiration_ms, case when length(v) <= 64 then v end from kv where k = @k";

    public const string Put = """
        insert into kv (k, v, v_encoding, version, expiration_ms) values (@k, @v, @encoding, @version, @expires)
        on conflict (k) do update set v = excluded.v, v_encoding = excluded.v_encoding, version = excluded.version, seq = 0,
            expiration_ms = excluded.expiration_ms
        """;

    public const string Touch = "update kv set expiration_ms = @expires, version = @version where k = @k";

    public const string Delete = "delete from kv where k = @k";

    public const string DeleteRange = "delete from kv where k >= @start and k < @end";

    public const string Enqueue = $"""
        insert into queue (ts, {NewColumns})
        values (@now + @delay, @id, @data, @backoff, @undelivered, @topic, @type, @encoding, @now, @trace, @priority, @group, @grouplimit, @rate,
            @unique, @uniqueuntil, @topicretries, @version,
            case when @group is null then 0 when @grouplimit > 0 and @delay > 0 then 2
                when (select count(*) from queue where topic = @topic and group_key = @group and state = 0)
                    + (select count(*) from queue_running where topic = @topic and group_key = @group) < case when @grouplimit > 1 then @grouplimit else 1 end
                then 0 else 1 end)
        """;

    /// <summary>A message that is held from the first.</summary>
    public const string EnqueueHeld = $"""
        insert into queue_running (deadline, owner, {HeldColumns})
        values (@now + @lease, @owner, @id, @data, @backoff, @undelivered, @topic, @type, @encoding, @now, @trace, @priority, @rate, @unique,
            @uniqueuntil, @topicretries, 1)
        """;

    /// <summary>Nothing of a topic is due, and it is not paused: what comes to it may be held at once, since it is the first.</summary>
    public string IsClear => $"select 1 where {ClearOf("@topic", "@pause", "@now")}";

    public const string Fence = "select 1 from queue_running where id = @id and owner = @owner and claim = @claim";

    public const string Waiting = "select 1 from queue where id = @id";

    public const string Complete = "delete from queue_running where id = @id and owner = @owner and claim = @claim";

    /// <summary>Takes a message out of the queue, and says what place it leaves, if it had one.</summary>
    public const string Remove = "delete from queue where id = @id returning topic, case when state = 0 then group_key end";

    /// <summary>
    /// Gives a place that was left to the next of the group, if there is one by its own limit: messages that came before a limit was changed
    /// keep theirs. The last one that leaves a group always lets another in.
    /// </summary>
    /// <remarks>Found again by the group's index: SQLite reads all that is due in the same millisecond for <c>(ts, id) in (…)</c>, and after ANALYZE the whole table.</remarks>
    public const string Unblock = $"""
        update queue as g set state = 0
        where topic = @topic and group_key = @group and state = 1 and (version, id) = (
                select version, id from queue where topic = @topic and group_key = @group and state = 1 order by version, id limit 1)
            and {Taken} < {Places}
        """;

    /// <summary>A message that somebody cancelled meanwhile is due at once: whoever claims it drops it.</summary>
    public const string CopyToQueue = $"""
        insert into queue (ts, {Kept}, {Unkept})
        select @now + case when cancelled = 0 then @delay else 0 end, {Kept}, @backoff, @attempt, crashes, claim, @turn, coalesce(first_error, @error), coalesce(@error, last_error)
        from queue_running where id = @id and owner = @owner and claim = @claim
        """;

    // A claim: what is due is read in its order, copied with its lease, and deleted; in one transaction the three see the same rows.

    public const string NextPriority = $"""
        select min(priority) from queue where topic = @topic and state = 0 and priority > @above
            and not exists (select 1 from kv where k = @pause and {Live})
        """;

    public const string Due = $"select {MessageColumns} from queue where {IsDue}";

    public const string HoldDue = $"""
        insert into queue_running (deadline, owner, {Kept}, {Unkept})
        select @now + @lease, @owner, {Kept}, backoff_schedule, attempt, crashes, claim + 1, rate_turn, first_error, last_error from queue where {IsDue}
        """;

    /// <summary>The first of a topic and a priority, up to the last that is claimed: a range of the index.</summary>
    public const string DeleteDue = $"""
        delete from queue where topic = @topic and state = 0 and priority = @priority
            and (ts, id) <= (select ts, id from (select ts, id from queue where {IsDue}) order by ts desc, id desc limit 1)
        """;

    public const string PutLapsedBack = $"""
        insert into queue (ts, {Kept}, {Unkept})
        select @now, {Kept}, backoff_schedule, attempt, crashes + 1, claim, rate_turn, first_error, last_error from queue_running where {IsLapsed}
        """;

    public const string DeleteLapsed = $"delete from queue_running where (deadline, id) in (select deadline, id from queue_running where {IsLapsed})";

    private const string IsDue = "topic = @topic and state = 0 and priority = @priority and ts <= @now order by ts, id limit @limit";

    private const string IsLapsed = "deadline <= @now order by deadline, id limit @limit";

    /// <summary>The columns of a message that is put in.</summary>
    private const string NewColumns =
        "id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, enqueued_at, trace, priority, group_key, group_limit, rate_key, unique_key, unique_until, topic_retries, version, state";

    /// <summary>The columns of a message that is held from the first.</summary>
    private const string HeldColumns =
        "id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, enqueued_at, trace, priority, rate_key, unique_key, unique_until, topic_retries, claim";

    // Groups, arrays (PostgreSQL). Versions are counted back from the version row, which the transaction holds: a group that reads nothing
    // needs no round trip to learn them.

    /// <summary>
    /// Has a statement planned at each run, for what the tables hold then: it joins one row, and the planner expects a million where it does
    /// not know how many, so a plan that could be kept seems dear to it.
    /// </summary>
    /// <remarks>
    /// A plan that was made while a table was empty, and is kept, reads all of the table for each row that is asked for (measured: 46 ms to
    /// complete 500 messages, where a plan of their own takes 2, half a millisecond of it for planning).
    /// </remarks>
    private const string PlannedAnew = "cross join generate_series(1, @one) as once cross join generate_series(1, @one) as twice";

    public const string BumpAndMark = $"""
        with bump as (update data_version set version = version + @count where k = 0 returning version),
            mark as (
                insert into data_version (k, version, seq) select @writer, version, @sequence from bump
                {OnMark})
        select version from bump
        """;

    public const string ReadRows = "select k, version, v_encoding, expiration_ms, case when length(v) <= 64 then v end from kv where k = any(@keys)";

    public const string PutAll = """
        insert into kv (k, v, v_encoding, version, expiration_ms)
        select r.k, r.v, r.encoding, (select version from data_version where k = 0) - r.back, r.expires
        from unnest(@keys, @values, @encodings, @backs, @expiries) as r (k, v, encoding, back, expires)
        on conflict (k) do update set v = excluded.v, v_encoding = excluded.v_encoding, version = excluded.version, seq = 0,
            expiration_ms = excluded.expiration_ms
        """;

    public const string TouchAll = $"""
        update kv set expiration_ms = r.expires, version = (select version from data_version where k = 0) - r.back
        from unnest(@keys, @backs, @expiries) as r (k, back, expires) {PlannedAnew} where kv.k = r.k
        """;

    public const string DeleteAll = "delete from kv where k = any(@keys)";

    public const string DeleteRanges = $"delete from kv using unnest(@starts, @ends) as r (s, e) {PlannedAnew} where kv.k >= r.s and kv.k < r.e";

    /// <summary>Those with a group find their place after what is there and what comes before them in the same statement, which it does not see.</summary>
    public static string EnqueueAll(bool serverClock) => $"""
        insert into queue (ts, {NewColumns})
        select {NewValues(serverClock)}
        from {NewRows("", "")}
        """;

    /// <summary>The same, but those that have a holder never wait if their topic is clear. Gives the places of these in the arrays.</summary>
    /// <remarks>
    /// The limit is the number of topics and limits nothing. But it has the planner expect one where it would expect ten, and so keep a plan
    /// that it would otherwise make anew for each run (measured: 0.6 ms, as long as the run itself).
    /// </remarks>
    public string EnqueueHeldAll(bool serverClock) => $"""
        with r as materialized (select r.* from {NewRows(", @holders, @leases", ", holder, lease")}),
        clear as materialized (select t.topic from (select * from unnest(@claimed, @pauses) as c (topic, pause) limit @limit) t where {ClearOf("t.topic", "t.pause", Now(serverClock))}),
        put as (
            insert into queue (ts, {NewColumns})
            select {NewValues(serverClock)}
            from r where holder is null or topic not in (select topic from clear)),
        held as (
            insert into queue_running (deadline, owner, {HeldColumns})
            select {Now(serverClock)} + lease, holder, id, data, backoff, undelivered, topic, type, encoding, {Now(serverClock)}, trace, priority, rate,
                unique_key, unique_until, topic_retries, 1
            from r where holder is not null and topic in (select topic from clear)
            returning id, enqueued_at, unique_until)
        select r.place, held.enqueued_at, held.unique_until from held join r on r.id = held.id order by r.place
        """;

    private static string NewValues(bool serverClock) => $"""
        {Now(serverClock)} + r.delay, r.id, r.data, r.backoff, r.undelivered, r.topic, r.type, r.encoding, {Now(serverClock)}, r.trace,
            r.priority, r.group_key, r.group_limit, r.rate, r.unique_key, r.unique_until, r.topic_retries,
            (select version from data_version where k = 0) - r.back,
            case when r.group_key is null then 0 when r.group_limit > 0 and r.delay > 0 then 2
                when {TakenOf("r.topic", "r.group_key")} + r.ahead < case when r.group_limit > 1 then r.group_limit else 1 end then 0 else 1 end
        """;

    private static string NewRows(string moreArrays, string moreNames) => $"""
        unnest(@ids, @datas, @backoffs, @undelivereds, @topics, @types, @encodings, @delays, @traces, @priorities, @groups, @grouplimits, @rates,
                @uniques, @uniqueuntils, @retries, @backs, @aheads{moreArrays}) with ordinality
            as r (id, data, backoff, undelivered, topic, type, encoding, delay, trace, priority, group_key, group_limit, rate,
                unique_key, unique_until, topic_retries, back, ahead{moreNames}, place)
        """;

    /// <param name="many">Whether there are so many that a plan of their own pays.</param>
    public static string FenceAll(bool many) => $"""
        select q.id, q.claim from queue_running q
        join unnest(@ids, @owners, @claims) as r (id, owner, claim) on q.id = r.id and q.owner = r.owner and q.claim = r.claim
        {(many ? PlannedAnew : "")}
        for update of q
        """;

    /// <summary>Locked, so that no claim takes them before the group ends; one that has begun is waited for.</summary>
    public const string WaitingAll = "select id from queue where id = any(@ids) for update";

    /// <summary>Of messages that have no group: those with one are ended by <see cref="EndAll"/>.</summary>
    /// <inheritdoc cref="FenceAll" path="/param" />
    /// <remarks>
    /// Joined by the id, and not taken out by where they lie: a row that the heartbeat extends meanwhile is somewhere else then, where a
    /// statement that began before does not see it, and the message would be taken for lost.
    /// </remarks>
    public static string CompleteAll(bool many) => $"""
        delete from queue_running q using unnest(@ids, @owners, @claims) as r (id, owner, claim) {(many ? PlannedAnew : "")}
        where q.id = r.id and q.owner = r.owner and q.claim = r.claim returning q.id, q.claim
        """;

    /// <summary>Takes held messages out, and gives the places that they leave to the next of their groups. The version row is locked then.</summary>
    /// <inheritdoc cref="FenceAll" path="/param" />
    public static string EndAll(bool many) => $"""
        with gone as (
            delete from queue_running q using unnest(@ids, @owners, @claims) as r (id, owner, claim) {(many ? PlannedAnew : "")}
            where q.id = r.id and q.owner = r.owner and q.claim = r.claim returning q.id, q.claim, q.topic, q.group_key),
        {UnblockAll}
        select id, claim from gone
        """;

    /// <summary>Takes waiting messages out, and gives the places that they leave to the next of their groups.</summary>
    public const string RemoveAll = $"""
        with gone as (delete from queue where id = any(@ids) returning topic, case when state = 0 then group_key end as group_key),
        {UnblockAll}
        select 1 from gone
        """;

    /// <remarks>What is taken is counted as the statement found it: with those that leave.</remarks>
    private const string UnblockAll = $"""
        g as (select topic, group_key, count(*) as left_places from gone where group_key is not null group by topic, group_key),
        next as (
            update queue set state = 0 from g cross join lateral (
                select b.ts, b.id from (
                    select ts, id, {Places} as places, row_number() over (order by version, id) as n from queue
                    where topic = g.topic and group_key = g.group_key and state = 1 order by version, id limit g.left_places) b
                where {Taken} - g.left_places + b.n <= b.places) n
            where queue.ts = n.ts and queue.id = n.id)
        """;

    public static string RequeueAll(bool serverClock) => $"""
        with gone as (
            delete from queue_running q using unnest(@ids, @owners, @claims, @delays, @backoffs, @attempts, @turns, @errors)
                as r (id, owner, claim, delay, backoff, attempt, turn, error) {PlannedAnew}
            where q.id = r.id and q.owner = r.owner and q.claim = r.claim
            returning q.*, r.delay as r_delay, r.backoff as r_backoff, r.attempt as r_attempt, r.turn as r_turn, r.error as r_error)
        insert into queue (ts, {Kept}, {Unkept})
        select {Now(serverClock)} + case when cancelled = 0 then r_delay else 0 end, {Kept}, r_backoff, r_attempt, crashes, claim, r_turn, coalesce(first_error, r_error), coalesce(r_error, last_error)
        from gone returning id, claim
        """;

    /// <summary>
    /// A topic and a priority at a time, so that the index gives the oldest of each without reading what waits for others, for its time or for
    /// its group. Topics come in the order in which they were named: neither age nor urgency in one may starve another. MATERIALIZED, since
    /// the planner may otherwise run a limited subquery again and take more rows than asked. Sorted at the end, since RETURNING has no order.
    /// </summary>
    /// <remarks>
    /// A search that goes on where another one ended begins above its last message (<see cref="ClaimFloors"/>).
    /// What is locked is deleted by where it lies, which is read at once and cannot change under the lock. Joined by its key instead, the planner
    /// reads the whole table as soon as it thinks that cheaper (measured: 12.5 ms for 250 of 50,000, where this takes 3.6).
    /// </remarks>
    public static string ClaimAll(bool serverClock) => $"""
        with due as materialized (
            select q.place from unnest(@topics, @pauses, @rooms, @floorpriorities, @floortimes, @floorids) with ordinality
                as t (topic, pause, room, floor_priority, floor_ts, floor_id, turn)
            cross join lateral (
                with recursive p (priority) as (
                    (select priority from queue where topic = t.topic and state = 0 and (priority, ts, id) > (t.floor_priority, t.floor_ts, t.floor_id) order by priority, ts, id limit 1)
                    union all
                    select (select min(priority) from queue where topic = t.topic and state = 0 and priority > p.priority) from p where p.priority is not null)
                select d.place, d.ts, d.id, p.priority from p cross join lateral (
                    select ctid as place, ts, id from queue
                    where topic = t.topic and state = 0 and priority = p.priority and ts <= {Now(serverClock)}
                        and (ts, id) > (case when p.priority = t.floor_priority then t.floor_ts else '{long.MinValue}'::bigint end, case when p.priority = t.floor_priority then t.floor_id else '' end)
                    order by ts, id limit t.room for update skip locked) d
                where p.priority is not null order by p.priority, d.ts, d.id limit t.room) q
            {PlannedAnew}
            where not exists (select 1 from kv where k = t.pause and {Live})
            order by t.turn, q.priority, q.ts, q.id limit @limit),
        gone as (delete from queue where ctid = any(array(select place from due)) returning *),
        held as (
            insert into queue_running (deadline, owner, {Kept}, {Unkept})
            select {Now(serverClock)} + lease, @owner, {Kept}, backoff_schedule, attempt, crashes, claim + 1, rate_turn, first_error, last_error
            from gone join unnest(@topics, @leases) as t (name, lease) on t.name = gone.topic)
        select {MessageColumns}, ts from gone order by priority, ts, id
        """;

    public static string RecoverAll(bool serverClock) => $"""
        with lapsed as materialized (
            select ctid as place from queue_running where deadline <= {Now(serverClock)} order by deadline limit @limit for update skip locked),
        gone as (delete from queue_running where ctid = any(array(select place from lapsed)) returning *)
        insert into queue (ts, {Kept}, {Unkept})
        select {Now(serverClock)}, {Kept}, backoff_schedule, attempt, crashes + 1, claim, rate_turn, first_error, last_error
        from gone returning id
        """;

    // Groups of messages, on both databases.

    /// <summary>
    /// Finds places for messages of limited groups whose time has come: each is looked at once, and those for whom there is none wait out of
    /// the way of claims. The version row is locked then.
    /// </summary>
    public static string Admit(bool serverClock) => $"""
        update queue set state = case when r.n <= {Places} - r.taken then 0 else 1 end
        from (
            select d.ts, d.id, row_number() over (partition by d.group_key order by d.ts, d.id) as n, {TakenOf("d.topic", "d.group_key")} as taken
            from (select ts, id, topic, group_key from queue where topic = @topic and state = 2 and ts <= {Now(serverClock)} order by ts, id limit @limit) d) r
        where queue.ts = r.ts and queue.id = r.id
        """;

    private static string TakenOf(string topic, string group) =>
        Taken.Replace("g.topic", topic, StringComparison.Ordinal).Replace("g.group_key", group, StringComparison.Ordinal);

    /// <summary>
    /// Groups that wait for nobody: some of theirs are blocked, and none has a place, since somebody deleted it by hand. Steps through the
    /// groups of a topic with a probe for each, and only if anything of it is blocked. Gives the last one it looked at, too, so that the next
    /// look can go on from there.
    /// </summary>
    public string Stranded => arrays
        ? $"""
            select t.topic, s.group_key, s.stranded from unnest(@topics, @afters) as t (topic, after_group)
            cross join lateral ({StrandedOf("t.topic", "t.after_group")}) s
            """
        : StrandedOf("@topic", "@after");

    /// <summary>Lets the next of groups go on, if they have a place for it. The version row is locked then.</summary>
    public const string UnblockStranded = $"""
        with g as (select topic, group_key from unnest(@topics, @groups) as r (topic, group_key))
        update queue set state = 0 from g cross join lateral (
            select ts, id, {Places} as places from queue where topic = g.topic and group_key = g.group_key and state = 1 order by version, id limit 1) b
        where {Taken} < b.places and queue.ts = b.ts and queue.id = b.id
        """;

    private static string StrandedOf(string topic, string after) => $"""
        with recursive s (n, group_key) as (
            select 1, (select min(group_key) from queue where topic = {topic} and group_key > {after})
            where exists (select 1 from queue where topic = {topic} and state = 1)
            union all
            select n + 1, (select min(group_key) from queue where topic = {topic} and group_key > s.group_key) from s where s.group_key is not null and n < @limit)
        select g.group_key, g.stranded from (
            select n, group_key, case when exists (select 1 from queue where topic = {topic} and group_key = s.group_key and state = 1)
                and not exists (select 1 from queue where topic = {topic} and group_key = s.group_key and state = 0)
                and not exists (select 1 from queue_running where topic = {topic} and group_key = s.group_key) then 1 else 0 end as stranded
            from s where group_key is not null) g
        where g.stranded = 1 or g.n = @limit
        """;

    /// <summary>
    /// The priorities that a topic has messages of, found by stepping through the index: one probe for each, however many messages there are.
    /// </summary>
    private static string Priorities(string topic, int state) => $"""
        with recursive p (priority) as (
            select min(priority) from queue where topic = {topic} and state = {state}
            union all
            select (select min(priority) from queue where topic = {topic} and state = {state} and priority > p.priority) from p where p.priority is not null)
        """;

    /// <summary>When the first message of a topic is due, whatever its priority: one probe of the index for each.</summary>
    /// <remarks>
    /// On PostgreSQL the probes are ordered by priority, then time, as only the topic's index is. Asked for the least time of one priority,
    /// the planner may walk the primary key past all that is blocked or in another topic (measured: 0.8 s with 600,000 waiting).
    /// </remarks>
    private string Earliest(string topic, int state) => arrays
        ? $"""
            (with recursive p (priority, ts) as (
                (select priority, ts from queue where topic = {topic} and state = {state} order by priority, ts limit 1)
                union all
                select n.priority, n.ts from p cross join lateral (
                    select priority, ts from queue where topic = {topic} and state = {state} and priority > p.priority order by priority, ts limit 1) n)
            select min(ts) from p)
            """
        : $"""
            ({Priorities(topic, state)}
            select min((select min(ts) from queue where topic = {topic} and state = {state} and priority = p.priority)) from p where p.priority is not null)
            """;

    private string ClearOf(string topic, string pause, string now) =>
        $"coalesce({Earliest(topic, 0)}, {long.MaxValue}) > {now} and not exists (select 1 from kv where k = {pause} and {Live})";

    // What handlers and operators say about a message.

    public const string Report = """
        update queue_running set progress = coalesce(cast(@progress as double precision), progress), note = coalesce(cast(@note as text), note)
        where id = @id and owner = @owner and claim = @claim returning id
        """;

    public const string SaveCheckpoint = """
        update queue_running set checkpoint = @data, checkpoint_encoding = @encoding where id = @id and owner = @owner and claim = @claim returning id
        """;

    public const string IsCancelled = "select id from queue_running where id = @id and owner = @owner and claim = @claim and cancelled = 1";

    public const string CancelRunning = "update queue_running set cancelled = 1 where id = @id returning id";

    public const string Lapse = "update queue_running set deadline = @now where topic = @topic and deadline > @latest returning id";

    // Leases, outside the pipeline.

    /// <returns>Of each message that is still held, whether it is to be cancelled.</returns>
    public string Extend(bool serverClock) => arrays
        ? $"""
            update queue_running q set deadline = {Now(serverClock)} + r.lease
            from unnest(@ids, @claims, @leases) as r (id, claim, lease) where q.id = r.id and q.claim = r.claim and q.owner = @owner
            returning q.id, q.claim, q.cancelled
            """
        : "update queue_running set deadline = @now + @lease where id = @id and claim = @claim and owner = @owner returning id, claim, cancelled";

    /// <summary>Extends the leases of messages that nobody has locked. PostgreSQL only.</summary>
    public static string ExtendFree(bool serverClock) => $"""
        with free as materialized (
            select q.id, q.claim, r.lease from queue_running q
            join unnest(@ids, @claims, @leases) as r (id, claim, lease) on q.id = r.id and q.claim = r.claim
            where q.owner = @owner for update of q skip locked)
        update queue_running q set deadline = {Now(serverClock)} + free.lease from free where q.id = free.id and q.claim = free.claim
        returning q.id, q.claim, q.cancelled
        """;

    /// <summary>How long until the next message of these topics is due, until one is due that looks for a place then, and until the next lease lapses; null where there is none.</summary>
    /// <remarks>The end of a pause counts as the time of a message: nobody tells of it, and what waited may be due then.</remarks>
    public string NextDue(bool serverClock) => arrays
        ? $"""
            select least(min(q.ready) - {Now(serverClock)}, (select min(expiration_ms) - @now from kv where k = any(@pauses) and expiration_ms > @now)),
                min(q.deferred) - {Now(serverClock)}, (select min(deadline) from queue_running) - {Now(serverClock)}
            from unnest(@topics, @pauses) as t (topic, pause)
            cross join lateral (select {Earliest("t.topic", 0)} as ready, {Earliest("t.topic", 2)} as deferred) q
            where not exists (select 1 from kv where k = t.pause and {Live})
            """
        : $"""
            select case when paused then (select expiration_ms from kv where k = @pause and expiration_ms > @now) else {Earliest("@topic", 0)} end - @now,
                case when paused then null else {Earliest("@topic", 2)} end - @now,
                (select min(deadline) from queue_running) - @now
            from (select exists (select 1 from kv where k = @pause and {Live}) as paused)
            """;

    private static string Now(bool serverClock) => serverClock ? ServerNow : "@now";
}
