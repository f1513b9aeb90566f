using Kv.Sql;

namespace Kv.PostgreSql;

/// <summary>The statements of a store on PostgreSQL: arrays of rows, since the server is a round trip away.</summary>
/// <remarks>
/// Versions are counted back from the version row, which the transaction holds: a commit that reads nothing needs no round trip to learn
/// them.
/// </remarks>
/// <param name="tables">The store's tables.</param>
/// <param name="serverClock">Whether the server's clock judges times, rather than the process's.</param>
internal sealed class PostgreSqlSql(TableNames tables, bool serverClock) : KvSql(tables, serverClock ? ServerSql.Now : "@now")
{
    /// <summary>Which tables a session finds.</summary>
    public PlaceSql Place { get; } = new(tables);

    /// <summary>Messages that nothing orders.</summary>
    public PlainSql Plain { get; } = new(tables, new PlaceSql(tables), serverClock);

    /// <summary>Claims, and the way back of what lapsed.</summary>
    public ClaimSql Claims { get; } = new(tables, serverClock ? ServerSql.Now : "@now");

    public override FeedSql Feed { get; } =
        new PostgreSqlFeedSql(tables, serverClock ? ServerSql.Now : "@now", serverClock ? ReadTime : "@now");

    /// <summary>
    /// At the start of the read's transaction, so that all that is read of a snapshot is of one time. Run once as well, and not at all
    /// for rows that never expire.
    /// </summary>
    protected override string NowToRead { get; } = serverClock ? ReadTime : "@now";

    private const string ReadTime = "(select (extract(epoch from now()) * 1000)::bigint)";

    public override string BeginWrite => "begin isolation level read committed";

    public override string BeginSnapshot => "begin isolation level repeatable read read only";

    // Of a message for readers of the log, none of which knows it. It locks nothing, and asks for no rights.
    public override string Flush => field ??=
        $"select version, pg_logical_emit_message(true, 'efkv', '') from {VersionTable} where k = 0";

    /// <summary>
    /// The number is the advisory lock's name: "efkv" in ASCII. Migrations name no schema, so they make their tables in the one that is
    /// searched.
    /// </summary>
    public override string BeginMigration { get; } = tables.Schema is null
        ? "begin; select pg_advisory_xact_lock(1701210998)"
        : $"""
            begin; select pg_advisory_xact_lock(1701210998, hashtext('{tables.Schema}'));
            do $$ begin if to_regnamespace('"{tables.Schema}"') is null then create schema "{tables.Schema}"; end if; end $$;
            set local search_path to "{tables.Schema}"
            """;

    public override string HasTable(string name) => $"select to_regclass('{name}') is not null";

    public override string InTheWay => Place.InTheWay;

    // Reads.

    /// <summary>
    /// Many keys in one statement, which is one snapshot. Joined with the numbered keys instead, ten of them take 1.3 times as long.
    /// </summary>
    public string GetMany => field ??= $"select k, v, v_encoding, version from {KvTable} where k = any(@keys) and {LiveAt(NowToRead)}";

    // Notices between processes.

    /// <summary>
    /// The table is the store, so its number names the channel: stores in other schemas of the database have others, and any search path
    /// that finds the table finds the channel.
    /// </summary>
    public string Channel => field ??= $"select {ChannelName}";

    /// <summary>Sends a notice. The version comes along, so that this is a look, too.</summary>
    /// <param name="more">What is selected besides.</param>
    public string Notify(string more) => $"select version, pg_notify({ChannelName}, @payload){more} from {VersionTable} where k = 0";

    private string ChannelName => $"'efkv_' || {VersionTable.Literal}::regclass::oid::text";

    // Commits.

    /// <summary>
    /// Lock and clock in one: a writer that holds this row sees all that was committed before, and its versions are the next.
    /// </summary>
    /// <remarks>Where the server's clock decides it says what time it is then: not before the row was free.</remarks>
    public string Bump => field ??=
        $"update {VersionTable} set version = version + @count where k = 0 returning version"
        + (serverClock ? $", {ServerSql.Milliseconds} as now" : "");

    /// <inheritdoc cref="Bump" path="/remarks" />
    public string BumpAndMark => field ??= $"""
        with bump as ({Bump}),
            mark as (
                insert into {VersionTable} (k, version, seq) select @writer, version, @sequence from bump
                {OnMark})
        select version{(serverClock ? ", now" : "")} from bump
        """;

    public string ReadRows => field ??=
        $"select k, version, v_encoding, expiration_ms, case when length(v) <= 64 then v end from {KvTable} where k = any(@keys)";

    /// <summary>Rows whose values merges fold into the next ones.</summary>
    public string ReadWholeRows => field ??= $"select k, version, v_encoding, expiration_ms, v from {KvTable} where k = any(@keys)";

    public string PutAll => field ??= Put("r.expires");

    /// <summary>
    /// For expiries that count from the commit, by the server's clock: a commit that reads nothing has not heard what time it is.
    /// </summary>
    public string PutAllFromCommit => field ??= Put($"case when r.expires < 0 then r.expires else {ServerSql.Now} + r.expires end");

    private string Put(string expires) => $"""
        insert into {KvTable} (k, v, v_encoding, version, expiration_ms)
        select r.k, r.v, r.encoding, (select version from {VersionTable} where k = 0) - r.version_offset, {expires}
        from unnest(@keys, @values, @encodings, @versionoffsets, @expiries) as r (k, v, encoding, version_offset, expires)
        on conflict (k) do update set v = excluded.v, v_encoding = excluded.v_encoding, version = excluded.version, seq = 0,
            expiration_ms = excluded.expiration_ms
        """;

    public string TouchAll => field ??= $"""
        update {KvTable} set expiration_ms = r.expires, version = (select version from {VersionTable} where k = 0) - r.version_offset
        from unnest(@keys, @versionoffsets, @expiries) as r (k, version_offset, expires) {ServerSql.PlannedAnew}
        where {KvTable.Name}.k = r.k
        """;

    public string DeleteAll => field ??= $"delete from {KvTable} where k = any(@keys)";

    public string DeleteRanges => field ??=
        $"delete from {KvTable} using unnest(@starts, @ends) as r (s, e) {ServerSql.PlannedAnew} "
        + $"where {KvTable.Name}.k >= r.s and {KvTable.Name}.k < r.e";

    /// <summary>
    /// Messages with a group find their slot after what is there and what comes before them in the same statement, which it does not see.
    /// </summary>
    public string EnqueueAll => field ??= $"""
        insert into {QueueTable} (ts, {NewColumns})
        select {NewValues}
        from {NewRows("", "")}
        """;

    /// <summary>
    /// The same, but messages that have a holder never wait if their topic is clear. Gives the positions of these in the arrays.
    /// </summary>
    /// <remarks>
    /// The limit is the number of topics and limits nothing. But it has the planner expect one where it would expect ten, and so keep a
    /// plan that it would otherwise make anew for each run (measured: 0.6 ms, as long as the run itself).
    /// </remarks>
    public string EnqueueHeldAll => field ??= $"""
        with r as materialized (select r.* from {NewRows(", @holders, @leases", ", holder, lease")}),
        clear as materialized (select t.topic from (select * from unnest(@claimed, @pauses) as c (topic, pause) limit @limit) t
            where {ClearOf("t.topic", "t.pause")}),
        put as (
            insert into {QueueTable} (ts, {NewColumns})
            select {NewValues}
            from r where holder is null or topic not in (select topic from clear)),
        held as (
            insert into {RunningTable} (deadline, ts, owner, {HeldColumns})
            select {Now} + lease, {Now}, holder, id, data, backoff, undelivered, topic, type, encoding, {Now}, trace, priority, rate,
                unique_key, unique_until, topic_retries, scope, 1
            from r where holder is not null and topic in (select topic from clear)
            returning id, enqueued_at, unique_until)
        select r.place, held.enqueued_at, held.unique_until from held join r on r.id = held.id order by r.place
        """;

    private string NewValues => $"""
        {ServerSql.DueAt(Now, "r.delay")}, r.id, r.data, r.backoff, r.undelivered, r.topic, r.type, r.encoding, {Now}, r.trace,
            r.priority, r.group_key, r.group_limit, r.rate, r.unique_key, r.unique_until, r.topic_retries, r.scope,
            (select version from {VersionTable} where k = 0) - r.version_offset,
            case when r.group_key is null then 0 when r.group_limit > 0 and r.delay > 0 then 2
                when {TakenOf("r.topic", "r.group_key")} + r.ahead < case
                    when r.group_limit > 1 then r.group_limit else 1 end then 0 else 1 end
        """;

    private static string NewRows(string moreArrays, string moreNames) => $"""
        unnest(@ids, @datas, @backoffs, @undelivereds, @topics, @types, @encodings, @delays, @traces, @priorities, @groups, @grouplimits,
            @rates,
                @uniques, @uniqueuntils, @retries, @scopes, @versionoffsets, @aheads{moreArrays}) with ordinality
            as r (id, data, backoff, undelivered, topic, type, encoding, delay, trace, priority, group_key, group_limit, rate,
                unique_key, unique_until, topic_retries, scope, version_offset, ahead{moreNames}, place)
        """;

    public string FenceAll => field ??= OfFences("");

    /// <summary>For so many that a plan of their own pays.</summary>
    public string FenceMany => field ??= OfFences(ServerSql.PlannedAnew);

    private string OfFences(string plan) => $"""
        select q.id, q.claim from {RunningTable} q
        join unnest(@ids, @owners, @claims) as r (id, owner, claim) on q.id = r.id and q.owner = r.owner and q.claim = r.claim
        {plan}
        for update of q
        """;

    /// <summary>Locked, so that no claim takes them before the commit ends; one that has begun is waited for.</summary>
    public string WaitingAll => field ??= $"select id from {QueueTable} where id = any(@ids) for update";

    /// <summary>Of messages that have no group: those with one are ended by <see cref="EndAll"/>.</summary>
    /// <remarks>
    /// Joined by the id, and not taken out by where they lie: a row that the heartbeat extends meanwhile is somewhere else then, where a
    /// statement that began before does not see it, and the message would be taken for lost.
    /// </remarks>
    public string CompleteAll => field ??= $"{Gone("")} returning q.id, q.claim";

    /// <inheritdoc cref="FenceMany" />
    public string CompleteMany => field ??= $"{Gone(ServerSql.PlannedAnew)} returning q.id, q.claim";

    private string Gone(string plan, string indent = "") => $"""
        delete from {RunningTable} q using unnest(@ids, @owners, @claims) as r (id, owner, claim) {plan}
        {indent}where q.id = r.id and q.owner = r.owner and q.claim = r.claim
        """;

    /// <summary>
    /// Takes running messages out, and gives the slots that they leave to the next of their groups. The version row is locked then.
    /// </summary>
    public string EndAll => field ??= End("");

    /// <inheritdoc cref="FenceMany" />
    public string EndMany => field ??= End(ServerSql.PlannedAnew);

    private string End(string plan) => $"""
        with gone as (
            {Gone(plan, "    ")} returning q.id, q.claim, q.topic, q.group_key),
        {UnblockAll}
        select id, claim from gone
        """;

    /// <summary>Takes waiting messages out, and gives the slots that they leave to the next of their groups.</summary>
    public string RemoveAll => field ??= $"""
        with gone as (delete from {QueueTable} where id = any(@ids) returning topic, case when state = 0 then group_key end as group_key),
        {UnblockAll}
        select 1 from gone
        """;

    /// <remarks>What is taken is counted as the statement found it: with those that leave.</remarks>
    private string UnblockAll => $"""
        g as (select topic, group_key, count(*) as left_places from gone where group_key is not null group by topic, group_key),
        next as (
            update {QueueTable} set state = 0 from g cross join lateral (
                select b.ts, b.id from (
                    select ts, id, {Slots} as places, row_number() over (order by version, id) as n from {QueueTable}
                    where topic = g.topic and group_key = g.group_key and state = 1 order by version, id limit g.left_places) b
                where {TakenOf("g.topic", "g.group_key")} - g.left_places + b.n <= b.places) n
            where {QueueTable.Name}.ts = n.ts and {QueueTable.Name}.id = n.id)
        """;

    public string RequeueAll => field ??= $"""
        with gone as (
            delete from {RunningTable} q using unnest(@ids, @owners, @claims, @delays, @backoffs, @attempts, @turns, @errors)
                as r (id, owner, claim, delay, backoff, attempt, turn, error) {ServerSql.PlannedAnew}
            where q.id = r.id and q.owner = r.owner and q.claim = r.claim
            returning q.*, r.delay as r_delay, r.backoff as r_backoff, r.attempt as r_attempt, r.turn as r_turn, r.error as r_error)
        insert into {QueueTable} (ts, {Kept}, {Unkept})
        select case when r_delay is null then {Position} when cancelled <> 1
            then {Now} + r_delay else {Now} end, {Kept}, r_backoff, r_attempt, crashes, claim, r_turn, coalesce(first_error, r_error),
            coalesce(r_error, last_error)
        from gone returning id, claim
        """;

    // Leases, outside the pipeline.

    /// <summary>
    /// Extends the leases of messages that are not locked, and names those that are, without a flag. It waits for no lock, and not for the
    /// disk: an extension that is lost with the server is a lease that lapses earlier.
    /// </summary>
    public override string Extend => field ??= $"""
        with held as materialized (
            select q.id, q.claim, r.lease from {RunningTable} q
            join unnest(@ids, @claims, @leases) as r (id, claim, lease) on q.id = r.id and q.claim = r.claim where q.owner = @owner),
        free as materialized (
            select q.id, q.claim, held.lease from {RunningTable} q join held on q.id = held.id and q.claim = held.claim
            where q.owner = @owner for update of q skip locked),
        extended as (
            update {RunningTable} q set deadline = {Now} + free.lease from free where q.id = free.id and q.claim = free.claim
            returning q.id, q.claim, q.cancelled)
        select held.id, held.claim, extended.cancelled, set_config('synchronous_commit', 'off', true)
        from held left join extended on extended.id = held.id and extended.claim = held.claim
        """;

    // Looks.

    public override string StrayAt => field ??= $"{base.StrayAt} for update";

    public override string Strays => field ??= $"""
        select {MessageColumns}, ts, state from unnest(@topics) as t (name) cross join lateral ({StraysOf("t.name")}) s
        join {QueueTable} on ts = s.place and id = s.stray
        """;

    public override string Blocked => field ??=
        $"select s.ts, s.id, s.group_key, t.name from unnest(@topics) as t (name) cross join lateral ({BlockedOf("t.name")}) s";

    /// <summary>Lets the next of groups go on, if they have a slot for it. The version row is locked then.</summary>
    public string UnblockStranded => field ??= $"""
        with g as (select topic, group_key from unnest(@topics, @groups) as r (topic, group_key))
        update {QueueTable} set state = 0 from g cross join lateral (
            select ts, id, {Slots} as places from {QueueTable} where topic = g.topic and group_key = g.group_key
                and state = 1 order by version, id limit 1) b
        where {TakenOf("g.topic", "g.group_key")} < b.places and {QueueTable.Name}.ts = b.ts and {QueueTable.Name}.id = b.id
        """;

    public override string NextDue => field ??= $"""
        select least({NotBefore("min(q.ready)")} - {Now}, (select min(expiration_ms) - {Now}
            from {KvTable} where k = any(@pauses) and expiration_ms > {Now})),
            {NotBefore("min(q.deferred)")} - {Now}, (select {NotBefore("min(deadline)")} from {RunningTable}) - {Now},
            {AnyRow}
        from unnest(@topics, @pauses) as t (topic, pause)
        cross join lateral (select {Earliest("t.topic", 0)} as ready, {Earliest("t.topic", 2)} as deferred) q
        where not exists (select 1 from {KvTable} where k = t.pause and {LiveAt(Now)})
        """;

    /// <remarks>
    /// The probes are ordered by priority, then time, as only the topic's index is. Asked for the least time of one priority, the planner
    /// may walk the primary key past all that is blocked or in another topic (measured: 0.8 s with 600,000 waiting).
    /// </remarks>
    protected override string Earliest(string topic, int state) => $"""
        (with recursive p (priority, ts) as (
            (select priority, ts from {QueueTable} where topic = {topic} and state = {state} order by priority, ts limit 1)
            union all
            select n.priority, n.ts from p cross join lateral (
                select priority, ts from {QueueTable} where topic = {topic} and state = {state}
                    and priority > p.priority order by priority, ts limit 1) n)
        select min(ts) from p)
        """;
}
