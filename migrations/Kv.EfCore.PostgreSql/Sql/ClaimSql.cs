using Kv.Sql;

namespace Kv.PostgreSql;

/// <summary>Claims, and the way back of what lapsed.</summary>
/// <param name="tables">The store's tables.</param>
/// <param name="now">Where times are judged.</param>
internal sealed class ClaimSql(TableNames tables, string now) : SqlParts(tables, now)
{
    /// <summary>
    /// A topic and a priority at a time, so that the index gives the oldest of each without reading what waits for others, for its time or
    /// for its group. Topics come in the order in which they were named: neither age nor urgency in one may starve another. MATERIALIZED,
    /// since the planner may otherwise run a limited subquery again and take more rows than asked. What is returned has no order.
    /// </summary>
    /// <remarks>
    /// A search that goes on where another one ended begins above its last message (<c>ClaimFloors</c>). What is locked is deleted by
    /// where it lies, which is read at once and cannot change under the lock. Joined by its key instead, the planner reads the whole table
    /// as soon as it thinks that cheaper (measured: 12.5 ms for 250 of 50,000, where this takes 3.6).
    /// </remarks>
    public string ClaimAll => field ??= $"""
        {DueAll},
        gone as (delete from {QueueTable} where ctid = any(array(select place from due)) returning *),
        held as (
            insert into {RunningTable} (deadline, ts, owner, {Kept}, {Unkept})
            select {Now} + lease, ts, @owner, {Kept}, backoff_schedule, attempt, crashes, {NextClaim}, rate_turn, first_error, last_error
            from gone join unnest(@topics, @leases) as t (name, lease) on t.name = gone.topic)
        select {MessageColumns}, ts from gone
        """;

    /// <summary>
    /// The same for a claim that failed: what runs already under the same id, and all but one of those that have an id in common, is set
    /// aside.
    /// </summary>
    public string ClaimEachAll => field ??= $"""
        {DueAll},
        taken as materialized (select {QueueTable.Name}.*, row_number() over (partition by id order by ts) as nth
            from {QueueTable} where ctid = any(array(select place from due))),
        held as (
            insert into {RunningTable} (deadline, ts, owner, {Kept}, {Unkept})
            select {Now} + lease, ts, @owner, {Kept}, backoff_schedule, attempt, crashes, {NextClaim}, rate_turn, first_error, last_error
            from taken join unnest(@topics, @leases) as t (name, lease) on t.name = taken.topic where nth = 1
            on conflict do nothing returning id, ts),
        twins as (
            update {QueueTable} set state = 3 from taken t
            where {QueueTable.Name}.ts = t.ts and {QueueTable.Name}.id = t.id and not exists (select 1
                from held h where h.id = t.id and h.ts = t.ts)),
        gone as (delete from {QueueTable} using held h where {QueueTable.Name}.ts = h.ts
            and {QueueTable.Name}.id = h.id returning {QueueTable.Name}.*)
        select {MessageColumns}, ts from gone
        """;

    private string DueAll => $"""
        with due as materialized (
            select q.place from unnest(@topics, @pauses, @rooms, @floorpriorities, @floortimes, @floorids) with ordinality
                as t (topic, pause, room, floor_priority, floor_ts, floor_id, turn)
            cross join lateral (
                with recursive p (priority) as (
                    (select priority from {QueueTable} where topic = t.topic and state = 0
                        and (priority, ts, id) > (t.floor_priority, t.floor_ts, t.floor_id) order by priority, ts, id limit 1)
                    union all
                    select (select min(priority) from {QueueTable} where topic = t.topic and state = 0 and priority > p.priority)
                        from p where p.priority is not null)
                select d.place, d.ts, d.id, p.priority from p cross join lateral (
                    select ctid as place, ts, id from {QueueTable}
                    where topic = t.topic and state = 0 and priority = p.priority and ts <= {Now}
                        and (ts, id) > (case when p.priority = t.floor_priority
                            then t.floor_ts else '{long.MinValue}'::bigint end, case
                            when p.priority = t.floor_priority then t.floor_id else '' end)
                    order by ts, id limit t.room for update skip locked) d
                where p.priority is not null order by p.priority, d.ts, d.id limit t.room) q
            {ServerSql.PlannedAnew}
            where not exists (select 1 from {KvTable} where k = t.pause and {LiveAt(Now)})
            order by t.turn, q.priority, q.ts, q.id limit @limit)
        """;

    /// <summary>
    /// Puts back what lapsed: all of it, or what is named. What waits where one belongs, under its id, is set aside, and it goes back
    /// later.
    /// </summary>
    public string RecoverAll => field ??= $"""
        with lapsed as materialized (
            select ctid as place from {RunningTable} where deadline <= {Now}
                and (@every = 1 or id = any(@ids)) order by deadline limit @limit for update skip locked),
        orphans as materialized (select *, {Position} as due_at from {RunningTable} where ctid = any(array(select place from lapsed))),
        put as (
            insert into {QueueTable} (ts, {Kept}, {Unkept})
            select due_at, {Kept}, backoff_schedule, attempt, {NextCrashes}, claim, rate_turn, first_error, last_error from orphans
            on conflict do nothing returning id),
        twins as (
            update {QueueTable} set state = 3 from orphans o
            where {QueueTable.Name}.ts = o.due_at and {QueueTable.Name}.id = o.id and not exists (select 1 from put where put.id = o.id))
        delete from {RunningTable} using put where {RunningTable.Name}.id = put.id returning {RunningTable.Name}.id
        """;
}
