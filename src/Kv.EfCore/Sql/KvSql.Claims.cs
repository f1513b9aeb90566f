namespace Kv.Sql;

// Claims, and the way back of what lapsed.
internal sealed partial class KvSql
{
    /// <summary>
    /// A topic and a priority at a time, so that the index gives the oldest of each without reading what waits for others, for its time or for
    /// its group. Topics come in the order in which they were named: neither age nor urgency in one may starve another. MATERIALIZED, since
    /// the planner may otherwise run a limited subquery again and take more rows than asked. What is returned has no order.
    /// </summary>
    /// <remarks>
    /// A search that goes on where another one ended begins above its last message (<c>ClaimFloors</c>).
    /// What is locked is deleted by where it lies, which is read at once and cannot change under the lock. Joined by its key instead, the planner
    /// reads the whole table as soon as it thinks that cheaper (measured: 12.5 ms for 250 of 50,000, where this takes 3.6).
    /// </remarks>
    public static Func<bool, string> ClaimAll { get; } = Once(static serverClock => $"""
        {DueAll(serverClock)},
        gone as (delete from queue where ctid = any(array(select place from due)) returning *),
        held as (
            insert into queue_running (deadline, ts, owner, {Kept}, {Unkept})
            select {Now(serverClock)} + lease, ts, @owner, {Kept}, backoff_schedule, attempt, crashes, {NextClaim}, rate_turn, first_error, last_error
            from gone join unnest(@topics, @leases) as t (name, lease) on t.name = gone.topic)
        select {MessageColumns}, ts from gone
        """);

    /// <summary>The same for a claim that failed: what is held already under the same id, and all but one of those that have an id in common, is set aside.</summary>
    public static Func<bool, string> ClaimEachAll { get; } = Once(static serverClock => $"""
        {DueAll(serverClock)},
        taken as materialized (select queue.*, row_number() over (partition by id order by ts) as nth from queue where ctid = any(array(select place from due))),
        held as (
            insert into queue_running (deadline, ts, owner, {Kept}, {Unkept})
            select {Now(serverClock)} + lease, ts, @owner, {Kept}, backoff_schedule, attempt, crashes, {NextClaim}, rate_turn, first_error, last_error
            from taken join unnest(@topics, @leases) as t (name, lease) on t.name = taken.topic where nth = 1
            on conflict do nothing returning id, ts),
        twins as (
            update queue set state = 3 from taken t
            where queue.ts = t.ts and queue.id = t.id and not exists (select 1 from held h where h.id = t.id and h.ts = t.ts)),
        gone as (delete from queue using held h where queue.ts = h.ts and queue.id = h.id returning queue.*)
        select {MessageColumns}, ts from gone
        """);

    private static string DueAll(bool serverClock) => $"""
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
            where not exists (select 1 from kv where k = t.pause and {LiveAt(Now(serverClock))})
            order by t.turn, q.priority, q.ts, q.id limit @limit)
        """;

    /// <summary>Puts back what lapsed: all of it, or what is named. What waits where one belongs, under its id, is set aside, and it goes back later.</summary>
    public static Func<bool, string> RecoverAll { get; } = Once(static serverClock => $"""
        with lapsed as materialized (
            select ctid as place from queue_running where deadline <= {Now(serverClock)} and (@every = 1 or id = any(@ids)) order by deadline limit @limit for update skip locked),
        orphans as materialized (select *, {Place(serverClock)} as due_at from queue_running where ctid = any(array(select place from lapsed))),
        put as (
            insert into queue (ts, {Kept}, {Unkept})
            select due_at, {Kept}, backoff_schedule, attempt, {NextCrashes}, claim, rate_turn, first_error, last_error from orphans
            on conflict do nothing returning id),
        twins as (
            update queue set state = 3 from orphans o
            where queue.ts = o.due_at and queue.id = o.id and not exists (select 1 from put where put.id = o.id))
        delete from queue_running using put where queue_running.id = put.id returning queue_running.id
        """);

    // A claim on SQLite: what is due is read in its order, copied with its lease, and deleted; in one transaction the three see the same rows.
    // Priorities are compared as they are stored: a column of SQLite holds fractions and texts as well.

    public const string NextPriority = $"""
        select min(priority) from queue where topic = @topic and state = 0 and priority > @above
            and not exists (select 1 from kv where k = @pause and {Live})
        """;

    public const string Due = $"select {MessageColumns} from queue where {IsDue}";

    public const string HoldDue = $"""
        insert into queue_running (deadline, ts, owner, {Kept}, {Unkept})
        {Held} where {IsDue}
        """;

    /// <summary>The first of a topic and a priority, up to the last that is claimed: a range of the index.</summary>
    public const string DeleteDue = $"""
        delete from queue where topic = @topic and state = 0 and priority = @priority
            and (ts, id) <= (select ts, id from (select ts, id from queue where {IsDue}) order by ts desc, id desc limit 1)
        """;

    // The same row by row, for a claim that failed.

    public const string DuePlaces = $"select ts, id from queue where {IsDue}";

    public const string HoldAt = $"""
        insert into queue_running (deadline, ts, owner, {Kept}, {Unkept})
        {Held} where ts = @place and id = @id
        """;

    public const string DeleteAt = "delete from queue where ts = @place and id = @id";

    /// <summary>Takes a message out of the way of claims: it becomes a dead letter.</summary>
    public const string SetAsideAt = "update queue set state = 3 where ts = @place and id = @id";

    public const string LapsedPlaces = "select deadline, id from queue_running where deadline <= @now order by deadline, id limit @limit";

    public static string PutLapsedBack { get; } = $"""
        insert into queue (ts, {Kept}, {Unkept})
        select {Place(serverClock: false)}, {Kept}, backoff_schedule, attempt, {NextCrashes}, claim, rate_turn, first_error, last_error from queue_running where deadline = @place and id = @id
        """;

    /// <summary>What waits where a message belongs whose lease lapsed, under its id.</summary>
    public static string SetTwinAside { get; } = $"""
        update queue set state = 3 where id = @id and ts = (select {Place(serverClock: false)} from queue_running where deadline = @place and id = @id)
        """;

    public const string DeleteLapsed = "delete from queue_running where deadline = @place and id = @id";

    private const string Held =
        $"select @now + @lease, ts, @owner, {Kept}, backoff_schedule, attempt, crashes, {NextClaim}, rate_turn, first_error, last_error from queue";

    private const string IsDue = "topic = @topic and state = 0 and priority = @priority and ts <= @now order by ts, id limit @limit";

    // Looking before leases are taken over.

    /// <summary>What lapsed, or is to lapse within a time, with what tells whether its worker lives.</summary>
    public static Func<bool, string> Lapsed { get; } = Once(static serverClock =>
        $"select id, owner, claim, deadline, topic from queue_running where deadline <= {Now(serverClock)} + @ahead order by deadline, id limit @limit");

    /// <summary>A lease that no worker has asked for: nothing would ever end it.</summary>
    public static Func<bool, string> HasEndless { get; } = Once(static serverClock =>
        $"select 1 from queue_running where deadline > {Now(serverClock)} + @longest order by deadline desc limit 1");

    /// <summary>Ends such leases.</summary>
    public static Func<bool, string> EndEndless { get; } = Once(static serverClock =>
        $"""
        update queue_running set deadline = {Now(serverClock)}
        where id in (select id from queue_running where deadline > {Now(serverClock)} + @longest order by deadline desc limit @limit) returning id
        """);

    // Rows that no claim takes.

    /// <summary>Messages of a topic in a state that there is not, or set aside by a claim.</summary>
    public string Strays => arrays
        ? $"""
            select {MessageColumns}, ts, state from unnest(@topics) as t (name) cross join lateral ({StraysOf("t.name")}) s
            join queue on ts = s.place and id = s.stray
            """
        : $"select {MessageColumns}, ts, state from ({StraysOf("@topic")}) s join queue on ts = s.place and id = s.stray";

    /// <summary>Messages that wait for a place in a group and have none, among those that have waited longest.</summary>
    public string Ungrouped => arrays
        ? $"select s.ts, s.id from unnest(@topics) as t (name) cross join lateral ({BlockedOf("t.name")}) s where s.group_key is null"
        : $"select s.ts, s.id from ({BlockedOf("@topic")}) s where s.group_key is null";

    public const string LetUngroupedGo = "update queue set state = 0 where ts = @place and id = @id and state = 1 and group_key is null returning id";

    /// <summary>Whether a message that is to be set aside is still there; locked, so that it stays so.</summary>
    public string StrayAt => "select 1 from queue where ts = @place and id = @id" + (arrays ? " for update" : "");

    // In ranges of the index. Between the numbers there is something on SQLite only.
    private static readonly string[] NoStates = ["state < 0", "state > 0 and state < 1", "state > 1 and state < 2", "state > 2"];

    private static string StraysOf(string topic) => string.Join(
        " union all ",
        NoStates.Select(range =>
            $"select place, stray from (select ts as place, id as stray from queue where topic = {topic} and {range} limit @limit) of_range"));

    private static string BlockedOf(string topic) =>
        $"select ts, id, group_key from queue where topic = {topic} and state = 1 order by priority, ts, id limit @limit";
}
