namespace Kv.Sql;

// Groups, in arrays, for PostgreSQL. Versions are counted back from the version row, which the transaction holds: a group that reads
// nothing needs no round trip to learn them.
internal sealed partial class KvSql
{
    /// <summary>
    /// Has a statement planned at each run, for what the tables hold then: it joins one row, and the planner expects a million where it does
    /// not know how many, so a plan that could be kept seems dear to it.
    /// </summary>
    /// <remarks>
    /// A plan that was made while a table was empty, and is kept, reads all of the table for each row that is asked for (measured: 46 ms to
    /// complete 500 messages, where a plan of their own takes 2, half a millisecond of it for planning).
    /// </remarks>
    private const string PlannedAnew = "cross join generate_series(1, @one) as once cross join generate_series(1, @one) as twice";

    /// <inheritdoc cref="Bump" path="/remarks" />
    public static Func<bool, string> BumpAndMark { get; } = Once(static serverClock => $"""
        with bump as ({BumpBy(serverClock)}),
            mark as (
                insert into data_version (k, version, seq) select @writer, version, @sequence from bump
                {OnMark})
        select version{(serverClock ? ", now" : "")} from bump
        """);

    public const string ReadRows = "select k, version, v_encoding, expiration_ms, case when length(v) <= 64 then v end from kv where k = any(@keys)";

    /// <summary>The other form is for expiries that count from the commit, by the server's clock: a group that reads nothing has not heard what time it is.</summary>
    public static Func<bool, string> PutAll { get; } = Once(static fromCommit => $"""
        insert into kv (k, v, v_encoding, version, expiration_ms)
        select r.k, r.v, r.encoding, (select version from data_version where k = 0) - r.back, {(fromCommit ? $"case when r.expires < 0 then r.expires else {ServerNow} + r.expires end" : "r.expires")}
        from unnest(@keys, @values, @encodings, @backs, @expiries) as r (k, v, encoding, back, expires)
        on conflict (k) do update set v = excluded.v, v_encoding = excluded.v_encoding, version = excluded.version, seq = 0,
            expiration_ms = excluded.expiration_ms
        """);

    public const string TouchAll = $"""
        update kv set expiration_ms = r.expires, version = (select version from data_version where k = 0) - r.back
        from unnest(@keys, @backs, @expiries) as r (k, back, expires) {PlannedAnew} where kv.k = r.k
        """;

    public const string DeleteAll = "delete from kv where k = any(@keys)";

    public const string DeleteRanges = $"delete from kv using unnest(@starts, @ends) as r (s, e) {PlannedAnew} where kv.k >= r.s and kv.k < r.e";

    /// <summary>Those with a group find their place after what is there and what comes before them in the same statement, which it does not see.</summary>
    public static Func<bool, string> EnqueueAll { get; } = Once(static serverClock => $"""
        insert into queue (ts, {NewColumns})
        select {NewValues(serverClock)}
        from {NewRows("", "")}
        """);

    /// <summary>The same, but those that have a holder never wait if their topic is clear. Gives the places of these in the arrays.</summary>
    /// <remarks>
    /// The limit is the number of topics and limits nothing. But it has the planner expect one where it would expect ten, and so keep a plan
    /// that it would otherwise make anew for each run (measured: 0.6 ms, as long as the run itself).
    /// </remarks>
    public Func<bool, string> EnqueueHeldAll => field ??= Once(serverClock => $"""
        with r as materialized (select r.* from {NewRows(", @holders, @leases", ", holder, lease")}),
        clear as materialized (select t.topic from (select * from unnest(@claimed, @pauses) as c (topic, pause) limit @limit) t where {ClearOf("t.topic", "t.pause", Now(serverClock))}),
        put as (
            insert into queue (ts, {NewColumns})
            select {NewValues(serverClock)}
            from r where holder is null or topic not in (select topic from clear)),
        held as (
            insert into queue_running (deadline, ts, owner, {HeldColumns})
            select {Now(serverClock)} + lease, {Now(serverClock)}, holder, id, data, backoff, undelivered, topic, type, encoding, {Now(serverClock)}, trace, priority, rate,
                unique_key, unique_until, topic_retries, 1
            from r where holder is not null and topic in (select topic from clear)
            returning id, enqueued_at, unique_until)
        select r.place, held.enqueued_at, held.unique_until from held join r on r.id = held.id order by r.place
        """);

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

    // The other form is for so many that a plan of their own pays.
    public static Func<bool, string> FenceAll { get; } = Once(static many => $"""
        select q.id, q.claim from queue_running q
        join unnest(@ids, @owners, @claims) as r (id, owner, claim) on q.id = r.id and q.owner = r.owner and q.claim = r.claim
        {(many ? PlannedAnew : "")}
        for update of q
        """);

    /// <summary>Locked, so that no claim takes them before the group ends; one that has begun is waited for.</summary>
    public const string WaitingAll = "select id from queue where id = any(@ids) for update";

    /// <summary>Of messages that have no group: those with one are ended by <see cref="EndAll"/>.</summary>
    /// <remarks>
    /// Joined by the id, and not taken out by where they lie: a row that the heartbeat extends meanwhile is somewhere else then, where a
    /// statement that began before does not see it, and the message would be taken for lost.
    /// </remarks>
    public static Func<bool, string> CompleteAll { get; } = Once(static many => $"""
        delete from queue_running q using unnest(@ids, @owners, @claims) as r (id, owner, claim) {(many ? PlannedAnew : "")}
        where q.id = r.id and q.owner = r.owner and q.claim = r.claim returning q.id, q.claim
        """);

    /// <summary>Takes held messages out, and gives the places that they leave to the next of their groups. The version row is locked then.</summary>
    public static Func<bool, string> EndAll { get; } = Once(static many => $"""
        with gone as (
            delete from queue_running q using unnest(@ids, @owners, @claims) as r (id, owner, claim) {(many ? PlannedAnew : "")}
            where q.id = r.id and q.owner = r.owner and q.claim = r.claim returning q.id, q.claim, q.topic, q.group_key),
        {UnblockAll}
        select id, claim from gone
        """);

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

    public static Func<bool, string> RequeueAll { get; } = Once(static serverClock => $"""
        with gone as (
            delete from queue_running q using unnest(@ids, @owners, @claims, @delays, @backoffs, @attempts, @turns, @errors)
                as r (id, owner, claim, delay, backoff, attempt, turn, error) {PlannedAnew}
            where q.id = r.id and q.owner = r.owner and q.claim = r.claim
            returning q.*, r.delay as r_delay, r.backoff as r_backoff, r.attempt as r_attempt, r.turn as r_turn, r.error as r_error)
        insert into queue (ts, {Kept}, {Unkept})
        select case when r_delay is null then {Place(serverClock)} when cancelled <> 1 then {Now(serverClock)} + r_delay else {Now(serverClock)} end, {Kept}, r_backoff, r_attempt, crashes, claim, r_turn, coalesce(first_error, r_error), coalesce(r_error, last_error)
        from gone returning id, claim
        """);
}
