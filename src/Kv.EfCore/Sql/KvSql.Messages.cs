namespace Kv.Sql;

// What is asked of messages and done to them on both databases: groups, due times, wishes, leases.
internal sealed partial class KvSql
{
    /// <summary>
    /// Finds places for messages of limited groups whose time has come: each is looked at once, and those for whom there is none wait out of
    /// the way of claims. The version row is locked then.
    /// </summary>
    public static Func<bool, string> Admit { get; } = Once(static serverClock => $"""
        update queue set state = case when group_key is null or r.n <= {Places} - r.taken then 0 else 1 end
        from (
            select d.ts, d.id, row_number() over (partition by d.group_key order by d.ts, d.id) as n, {TakenOf("d.topic", "d.group_key")} as taken
            from (select ts, id, topic, group_key from queue where topic = @topic and state = 2 and ts <= {Now(serverClock)} order by ts, id limit @limit) d) r
        where queue.ts = r.ts and queue.id = r.id
        """);

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

    /// <summary>The topics that have messages which wait, found by stepping through the index: one probe for each, however many messages there are.</summary>
    public const string Topics = """
        with recursive t (topic) as (
            select min(topic) from queue where topic >= ''
            union all
            select (select min(topic) from queue where topic > t.topic) from t where t.topic is not null)
        select topic from t where topic is not null limit @limit
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
        $"coalesce({Earliest(topic, 0)}, {long.MaxValue}) > {now} and not exists (select 1 from kv where k = {pause} and {LiveAt(now)})";

    /// <summary>A time from which the present can be taken away: the column may hold the least number there is.</summary>
    private static string NotBefore(string time) => $"case when {time} < 0 then 0 else {time} end";

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
    public Func<bool, string> Extend => field ??= Once(serverClock => arrays
        ? $"""
            update queue_running q set deadline = {Now(serverClock)} + r.lease
            from unnest(@ids, @claims, @leases) as r (id, claim, lease) where q.id = r.id and q.claim = r.claim and q.owner = @owner
            returning q.id, q.claim, q.cancelled
            """
        : "update queue_running set deadline = @now + @lease where id = @id and claim = @claim and owner = @owner returning id, claim, cancelled");

    /// <summary>Extends the leases of messages that nobody has locked. PostgreSQL only.</summary>
    public static Func<bool, string> ExtendFree { get; } = Once(static serverClock => $"""
        with free as materialized (
            select q.id, q.claim, r.lease from queue_running q
            join unnest(@ids, @claims, @leases) as r (id, claim, lease) on q.id = r.id and q.claim = r.claim
            where q.owner = @owner for update of q skip locked)
        update queue_running q set deadline = {Now(serverClock)} + free.lease from free where q.id = free.id and q.claim = free.claim
        returning q.id, q.claim, q.cancelled
        """);

    private const string AnyRow = "(select min(id) from queue where id >= '')";

    /// <summary>How long until the next message of these topics is due, until one is due that looks for a place then, and until the next lease lapses; null where there is none.</summary>
    /// <remarks>The end of a pause counts as the time of a message: nobody tells of it, and what waited may be due then.</remarks>
    public Func<bool, string> NextDue => field ??= Once(serverClock => arrays
        ? $"""
            select least({NotBefore("min(q.ready)")} - {Now(serverClock)}, (select min(expiration_ms) - {Now(serverClock)} from kv where k = any(@pauses) and expiration_ms > {Now(serverClock)})),
                {NotBefore("min(q.deferred)")} - {Now(serverClock)}, (select {NotBefore("min(deadline)")} from queue_running) - {Now(serverClock)},
                {AnyRow}
            from unnest(@topics, @pauses) as t (topic, pause)
            cross join lateral (select {Earliest("t.topic", 0)} as ready, {Earliest("t.topic", 2)} as deferred) q
            where not exists (select 1 from kv where k = t.pause and {LiveAt(Now(serverClock))})
            """
        : $"""
            select case when paused then (select expiration_ms from kv where k = @pause and expiration_ms > @now) else {Earliest("@topic", 0)} end - @now,
                case when paused then null else {Earliest("@topic", 2)} end - @now,
                (select min(deadline) from queue_running) - @now,
                {AnyRow}
            from (select exists (select 1 from kv where k = @pause and {Live}) as paused)
            """);
}
