namespace Kv.Sql;

/// <summary>What the statements of a store have in common.</summary>
/// <param name="tables">The store's tables.</param>
/// <param name="now">Where a write judges times: the caller's parameter, or the clock of a server that decides.</param>
internal abstract class SqlParts(TableNames tables, string now)
{
    /// <summary>
    /// The number of the next claim. The column may hold any number, and the last one has no next: the count begins anew.
    /// </summary>
    protected const string NextClaim = "case when cast(claim as bigint) < 4611686018427387904 then cast(claim as bigint) + 1 else 1 end";

    /// <summary>One lease more that lapsed, up to a number that is enough for every limit.</summary>
    protected const string NextCrashes =
        "case when cast(crashes as bigint) < 0 then 1 when cast(crashes as bigint) < 1000000000 "
        + "then cast(crashes as bigint) + 1 else 1000000000 end";

    /// <summary>How many messages of a group may have a slot.</summary>
    protected const string Slots = "case when group_limit > 1 then group_limit else 1 end";

    /// <summary>What a message keeps while it moves between the tables, besides what each statement has something to say about.</summary>
    protected const string Kept =
        "id, data, keys_if_undelivered, topic, type, encoding, enqueued_at, trace, priority, group_key, group_limit, rate_key, unique_key, "
        + "unique_until, topic_retries, cancelled, checkpoint, checkpoint_encoding, scope";

    protected const string Unkept = "backoff_schedule, attempt, crashes, claim, rate_turn, first_error, last_error";

    /// <summary>What both tables of messages have, but for times, states and owners.</summary>
    internal static IEnumerable<string> ColumnsOfMessages => $"{Kept}, {Unkept}".Split(", ");

    /// <summary>
    /// In the order in which a message is read. Most have nothing in most columns, and the last one says so: to read one takes a tenth of
    /// a microsecond on SQLite.
    /// </summary>
    protected const string MessageColumns = $"{Kept}, {Unkept}, {IsPlain}";

    private const string IsPlain = """
        case when coalesce(group_key, rate_key, unique_key, first_error, last_error) is null and coalesce(checkpoint, scope) is null
            and group_limit = 0 and unique_until = 0 and cancelled = 0 and attempt = 0 and crashes = 0
                and rate_turn = 0 then 1 else 0 end as is_plain
        """;

    /// <summary>The columns of a message that is put in.</summary>
    protected const string NewColumns =
        "id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, enqueued_at, trace, priority, group_key, group_limit, "
        + "rate_key, unique_key, unique_until, topic_retries, scope, version, state";

    /// <summary>The columns of a message that runs from the first.</summary>
    protected const string HeldColumns =
        "id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, enqueued_at, trace, priority, rate_key, "
        + "unique_key, unique_until, topic_retries, scope, claim";

    // In ranges of the index. Between the numbers there is something on SQLite only.
    private static readonly string[] NoStates = ["state < 0", "state > 0 and state < 1", "state > 1 and state < 2", "state > 2"];

    /// <summary>Entries.</summary>
    protected TableName KvTable => tables.Kv;

    /// <summary>The version of the store, and the marks of its writers.</summary>
    protected TableName VersionTable => tables.DataVersion;

    /// <summary>Messages that wait.</summary>
    protected TableName QueueTable => tables.Queue;

    /// <summary>Messages that run.</summary>
    protected TableName RunningTable => tables.Running;

    /// <summary>All tables.</summary>
    protected IReadOnlyList<TableName> Tables => tables.Made;

    /// <summary>What the names of the tables begin with; empty for nothing.</summary>
    public string Prefix => tables.Prefix;

    /// <summary>Where a write judges times.</summary>
    protected string Now { get; } = now;

    /// <summary>Hidden here and deleted later: a reader must never depend on the sweeper having run.</summary>
    protected static string LiveAt(string now) => $"(expiration_ms < 0 or expiration_ms > {now})";

    /// <summary>
    /// The position of a message that comes back as it was: the one that it had, before all that came later. A clock that was set back
    /// does not hold it up.
    /// </summary>
    protected string Position => $"case when ts <= {Now} then ts else {Now} end";

    /// <summary>
    /// A number that is marked already, by the commit itself or by <see cref="KvSql.Bar"/>, gives null, which the column refuses.
    /// </summary>
    protected string OnMark => $"""
        on conflict (k) do update set version = case when {VersionTable.Name}.seq < excluded.seq
            then excluded.version end, seq = excluded.seq
        """;

    /// <summary>How many messages of a group have a slot: those that run, and those that may be claimed.</summary>
    protected string TakenOf(string topic, string group) => $"""
        (select count(*) from {QueueTable} u where u.topic = {topic} and u.group_key = {group} and u.state = 0)
            + (select count(*) from {RunningTable} h where h.topic = {topic} and h.group_key = {group})
        """;

    /// <summary>A time from which the present can be taken away: the column may hold the least number there is.</summary>
    protected static string NotBefore(string time) => $"case when {time} < 0 then 0 else {time} end";

    /// <summary>Some message, of whatever topic and state.</summary>
    protected string AnyRow => $"(select min(id) from {QueueTable} where id >= '')";

    /// <summary>Messages of a topic in a state that there is not, or set aside by a claim.</summary>
    protected string StraysOf(string topic) => string.Join(
        " union all ",
        NoStates.Select(range =>
            "select place, stray from "
            + $"(select ts as place, id as stray from {QueueTable} where topic = {topic} and {range} limit @limit) of_range"));

    /// <summary>The messages of a topic that have waited longest for a slot of their group.</summary>
    protected string BlockedOf(string topic) =>
        $"select ts, id, group_key from {QueueTable} where topic = {topic} and state = 1 order by priority, ts, id limit @limit";

    /// <summary>
    /// The groups of a topic that are blocked for nothing. Steps through the groups with a probe for each, and only if anything of the
    /// topic is blocked. Gives the last group that was looked at, too, so that the next look can go on from there.
    /// </summary>
    protected string StrandedOf(string topic, string after) => $"""
        with recursive s (n, group_key) as (
            select 1, (select min(group_key) from {QueueTable} where topic = {topic} and group_key > {after})
            where exists (select 1 from {QueueTable} where topic = {topic} and state = 1)
            union all
            select n + 1, (select min(group_key) from {QueueTable} where topic = {topic} and group_key > s.group_key) from s
            where s.group_key is not null and n < @limit)
        select g.group_key, g.stranded from (
            select n, group_key, case when exists (select 1 from {QueueTable}
                where topic = {topic} and group_key = s.group_key and state = 1)
                and not exists (select 1 from {QueueTable} where topic = {topic} and group_key = s.group_key and state = 0)
                and not exists (select 1 from {RunningTable} where topic = {topic}
                    and group_key = s.group_key) then 1 else 0 end as stranded
            from s where group_key is not null) g
        where g.stranded = 1 or g.n = @limit
        """;
}
