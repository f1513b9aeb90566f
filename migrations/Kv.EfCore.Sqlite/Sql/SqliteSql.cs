using Kv.Messages;
using Kv.Sql;

namespace Kv.Sqlite;

/// <summary>The statements of a store on SQLite: a row each, and in the process, so that each costs next to nothing.</summary>
/// <param name="tables">The store's tables.</param>
internal sealed class SqliteSql(TableNames tables) : KvSql(tables)
{
    public override FeedSql Feed { get; } = new SqliteFeedSql(tables);

    public override string BeginWrite => "begin immediate";

    public override string BeginSnapshot => "begin deferred";

    public override string Flush => field ??= $"{LockVersion} returning version";

    public override string BeginMigration => "begin immediate";

    public override string HasTable(string name) =>
        $"select count(*) from sqlite_master where type = 'table' and name = '{name.Trim('"')}'";

    public override string InTheWay => field ??=
        $"select type || ' ' || name from sqlite_master where lower(name) in ({Names}) order by name";

    /// <summary>A temporary table by the name of one of the store's, which hides it.</summary>
    public string TemporaryTable => field ??=
        $"select name from temp.sqlite_master where lower(name) in ({Names}) limit 1";

    private string Names => string.Join(", ", Tables.Select(static t => t.NameLiteral.ToLowerInvariant()));

    /// <summary>Changes when another connection has committed. It waits for no lock and holds none.</summary>
    public const string FileVersion = "pragma data_version";

    /// <summary>Looks for damage in a file, up to the first.</summary>
    public const string QuickCheck = "pragma quick_check(1)";

    // Reads.

    /// <summary>
    /// Many keys in one statement, which is one snapshot, by their position from 1. Cross, since such a join is done in the order in
    /// which it is written: the keys are looked up.
    /// </summary>
    public string GetMany(int count) => $"""
        select column1, v, v_encoding, version from (values {Numbered(count)})
        cross join {KvTable} on k = column2 where {LiveAt(Now)}
        """;

    private static string Numbered(int count) =>
        string.Join(", ", Enumerable.Range(0, count).Select(static i => $"({i + 1}, {KeyParameter(i)})"));

    /// <summary>The parameter of a key by its position from 0, in letters.</summary>
    public static string KeyParameter(int position) =>
        position < 26 ? $"@k{(char)('a' + position)}" : $"{KeyParameter((position / 26) - 1)}{(char)('a' + (position % 26))}";

    // Commits.

    /// <summary>
    /// Lock and clock in one: a writer that holds this row sees all that was committed before, and its versions are the next.
    /// </summary>
    public string Bump => field ??= $"update {VersionTable} set version = version + @count where k = 0 returning version";

    /// <summary>Values themselves are read only where they are short: counters, and what the queue notes under its own keys.</summary>
    public string ReadRow => field ??=
        $"select version, v_encoding, expiration_ms, case when length(v) <= 64 then v end from {KvTable} where k = @k";

    /// <summary>A row whose value a merge folds into the next one.</summary>
    public string ReadWholeRow => field ??= $"select version, v_encoding, expiration_ms, v from {KvTable} where k = @k";

    public string Put => field ??= $"""
        insert into {KvTable} (k, v, v_encoding, version, expiration_ms) values (@k, @v, @encoding, @version, @expires)
        on conflict (k) do update set v = excluded.v, v_encoding = excluded.v_encoding, version = excluded.version, seq = 0,
            expiration_ms = excluded.expiration_ms
        """;

    public string Touch => field ??= $"update {KvTable} set expiration_ms = @expires, version = @version where k = @k";

    public string Delete => field ??= $"delete from {KvTable} where k = @k";

    public string DeleteRange => field ??= $"delete from {KvTable} where k >= @start and k < @end";

    public string Enqueue => field ??= $"""
        insert into {QueueTable} (ts, {NewColumns})
        values ({DueAt}, @id, @data, @backoff, @undelivered, @topic, @type, @encoding, @now, @trace, @priority, @group, @grouplimit,
            @rate, @unique,
            @uniqueuntil, @topicretries, @scope, @version,
            case when @group is null then 0 when @grouplimit > 0 and @delay > 0 then 2
                when (select count(*) from {QueueTable} where topic = @topic and group_key = @group and state = 0)
                    + (select count(*) from {RunningTable} where topic = @topic
                        and group_key = @group) < case when @grouplimit > 1 then @grouplimit else 1 end
                then 0 else 1 end)
        """;

    /// <summary>A message that nothing orders, whatever tables the connection has beside the file's.</summary>
    public string PutPlain => field ??= $"""
        insert into main.{QueueTable} (ts, id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, enqueued_at, trace,
            priority, rate_key, topic_retries)
        values ({DueAt}, @id, @data, @backoff, @undelivered, @topic, @type, @encoding, @now, @trace, @priority, @rate, @topicretries)
        """;

    /// <summary>What the names of parameters begin with that are beside the application's.</summary>
    public const string AppendedPrefix = "@efkv_";

    /// <summary>The same as the end of a command of the application's.</summary>
    public string AppendPlain => field ??= PutPlain.Replace("@", AppendedPrefix, StringComparison.Ordinal);

    private static string DueAt => $"case when @delay > {NewMessage.LongestDelay} then max(@now, @delay) else @now + @delay end";

    /// <summary>A message that runs from the first.</summary>
    public string EnqueueHeld => field ??= $"""
        insert into {RunningTable} (deadline, ts, owner, {HeldColumns})
        values (@now + @lease, @now, @owner, @id, @data, @backoff, @undelivered, @topic, @type, @encoding, @now, @trace, @priority,
            @rate, @unique,
            @uniqueuntil, @topicretries, @scope, 1)
        """;

    /// <inheritdoc cref="KvSql.ClearOf" />
    public string IsClear => field ??= $"select 1 where {ClearOf("@topic", "@pause")}";

    public string Fence => field ??= $"select 1 from {RunningTable} where id = @id and owner = @owner and claim = @claim";

    public string Waiting => field ??= $"select 1 from {QueueTable} where id = @id";

    public string Complete => field ??= $"delete from {RunningTable} where id = @id and owner = @owner and claim = @claim";

    /// <summary>Takes a message out of the queue, and says what slot it leaves, if it had one.</summary>
    public string Remove => field ??= $"delete from {QueueTable} where id = @id returning topic, case when state = 0 then group_key end";

    /// <summary>
    /// Gives a slot that was left to the next of the group, if there is one by its own limit: messages that came before a limit was changed
    /// keep theirs. The last one that leaves a group always lets another in.
    /// </summary>
    /// <remarks>
    /// Found again by the group's index: SQLite reads all that is due in the same millisecond for <c>(ts, id) in (…)</c>, and after
    /// ANALYZE the whole table.
    /// </remarks>
    public string Unblock => field ??= $"""
        update {QueueTable} as g set state = 0
        where topic = @topic and group_key = @group and state = 1 and (version, id) = (
                select version, id from {QueueTable} where topic = @topic and group_key = @group and state = 1 order by version, id limit 1)
            and {TakenOf("g.topic", "g.group_key")} < {Slots}
        """;

    /// <summary>A message that was cancelled meanwhile is due at once: the worker that claims it drops it.</summary>
    public string CopyToQueue => field ??= $"""
        insert into {QueueTable} (ts, {Kept}, {Unkept})
        select case when @delay is null then {Position} when cancelled <> 1
            then @now + @delay else @now end, {Kept}, @backoff, @attempt, crashes, claim, @turn, coalesce(first_error, @error),
            coalesce(@error, last_error)
        from {RunningTable} where id = @id and owner = @owner and claim = @claim
        """;

    // A claim: what is due is read in its order, copied with its lease, and deleted; in one transaction the three see the same rows.
    // Priorities are compared as they are stored: a column of SQLite holds fractions and texts as well.

    public string NextPriority => field ??= $"""
        select min(priority) from {QueueTable} where topic = @topic and state = 0 and priority > @above
            and not exists (select 1 from {KvTable} where k = @pause and {LiveAt(Now)})
        """;

    public string Due => field ??= $"select {MessageColumns} from {QueueTable} where {IsDue}";

    public string HoldDue => field ??= $"""
        insert into {RunningTable} (deadline, ts, owner, {Kept}, {Unkept})
        {Held} where {IsDue}
        """;

    /// <summary>The first of a topic and a priority, up to the last that is claimed: a range of the index.</summary>
    public string DeleteDue => field ??= $"""
        delete from {QueueTable} where topic = @topic and state = 0 and priority = @priority
            and (ts, id) <= (select ts, id from (select ts, id from {QueueTable} where {IsDue}) order by ts desc, id desc limit 1)
        """;

    // The same row by row, for a claim that failed.

    public string DuePlaces => field ??= $"select ts, id from {QueueTable} where {IsDue}";

    public string HoldAt => field ??= $"""
        insert into {RunningTable} (deadline, ts, owner, {Kept}, {Unkept})
        {Held} where ts = @place and id = @id
        """;

    /// <summary>Takes a message out of the way of claims: it becomes a dead letter.</summary>
    public string SetAsideAt => field ??= $"update {QueueTable} set state = 3 where ts = @place and id = @id";

    public string LapsedPlaces => field ??=
        $"select deadline, id from {RunningTable} where deadline <= @now order by deadline, id limit @limit";

    public string PutLapsedBack => field ??= $"""
        insert into {QueueTable} (ts, {Kept}, {Unkept})
        select {Position}, {Kept}, backoff_schedule, attempt, {NextCrashes}, claim, rate_turn, first_error, last_error
            from {RunningTable} where deadline = @place and id = @id
        """;

    /// <summary>What waits where a message belongs whose lease lapsed, under its id.</summary>
    public string SetTwinAside => field ??= $"""
        update {QueueTable} set state = 3 where id = @id and ts = (select {Position}
            from {RunningTable} where deadline = @place and id = @id)
        """;

    public string DeleteLapsed => field ??= $"delete from {RunningTable} where deadline = @place and id = @id";

    private string Held =>
        $"select @now + @lease, ts, @owner, {Kept}, backoff_schedule, attempt, crashes, {NextClaim}, rate_turn, first_error, last_error "
        + $"from {QueueTable}";

    private const string IsDue = "topic = @topic and state = 0 and priority = @priority and ts <= @now order by ts, id limit @limit";

    // Looks.

    public override string Strays => field ??=
        $"select {MessageColumns}, ts, state from ({StraysOf("@topic")}) s join {QueueTable} on ts = s.place and id = s.stray";

    public override string Blocked => field ??= $"select s.ts, s.id, s.group_key, @topic from ({BlockedOf("@topic")}) s";

    // A column of SQLite holds what is put in, with a type that is but a wish. Texts sort above all numbers, and blobs above all texts, so
    // the indexes find them. A due time that is no number is past, and each has one of its own, since it is half of the key.
    public override IReadOnlyList<(string Find, string Mend)> Mends => field ??=
    [
        ($"select 1 from {QueueTable} where ts >= '' limit 1",
            $"update or ignore {QueueTable} set ts = -rowid where ts >= '' returning id"),
        ($"select 1 from {QueueTable} where id >= x'' limit 1",
            $"update or ignore {QueueTable} set id = lower(hex(id)) where id >= x'' returning id"),
        ($"select 1 from {QueueTable} where topic >= x'' limit 1",
            $"update {QueueTable} set topic = cast(topic as text) where topic >= x'' returning id"),
        ($"select 1 from {QueueTable} where topic = @topic and group_key >= x'' limit 1",
            $"update {QueueTable} set group_key = cast(group_key as text) where topic = @topic and group_key >= x'' returning id"),
        ($"select 1 from {RunningTable} where deadline >= '' limit 1",
            $"update or ignore {RunningTable} set deadline = @now where deadline >= '' returning id"),
        ($"select 1 from {RunningTable} where id >= x'' limit 1",
            $"update or ignore {RunningTable} set id = lower(hex(id)) where id >= x'' returning id"),
    ];

    public override string Extend => field ??=
        $"update {RunningTable} set deadline = @now + @lease where id = @id and claim = @claim and owner = @owner "
        + "returning id, claim, cancelled";

    public override string NextDue => field ??= $"""
        select case when paused then (select expiration_ms from {KvTable}
            where k = @pause and expiration_ms > @now) else {Earliest("@topic", 0)} end - @now,
            case when paused then null else {Earliest("@topic", 2)} end - @now,
            (select min(deadline) from {RunningTable}) - @now,
            {AnyRow}
        from (select exists (select 1 from {KvTable} where k = @pause and {LiveAt(Now)}) as paused)
        """;

    protected override string Earliest(string topic, int state) => $"""
        (with recursive p (priority) as (
            select min(priority) from {QueueTable} where topic = {topic} and state = {state}
            union all
            select (select min(priority) from {QueueTable} where topic = {topic} and state = {state} and priority > p.priority)
                from p where p.priority is not null)
        select min((select min(ts) from {QueueTable} where topic = {topic} and state = {state} and priority = p.priority))
            from p where p.priority is not null)
        """;
}
