namespace Kv.Sql;

// Groups, a row at a time, for SQLite.
internal sealed partial class KvSql
{
    /// <summary>Lock and clock in one: whoever holds this row sees all that was committed before, and its versions are the next.</summary>
    /// <remarks>Where the server's clock decides it says what time it is then: not before the row was free.</remarks>
    public static Func<bool, string> Bump { get; } = Once(BumpBy);

    private static string BumpBy(bool serverClock) =>
        $"update data_version set version = version + @count where k = 0 returning version{(serverClock ? $", {ServerMilliseconds} as now" : "")}";

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
        insert into queue_running (deadline, ts, owner, {HeldColumns})
        values (@now + @lease, @now, @owner, @id, @data, @backoff, @undelivered, @topic, @type, @encoding, @now, @trace, @priority, @rate, @unique,
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
    public static string CopyToQueue { get; } = $"""
        insert into queue (ts, {Kept}, {Unkept})
        select case when @delay is null then {Place(serverClock: false)} when cancelled <> 1 then @now + @delay else @now end, {Kept}, @backoff, @attempt, crashes, claim, @turn, coalesce(first_error, @error), coalesce(@error, last_error)
        from queue_running where id = @id and owner = @owner and claim = @claim
        """;

    /// <summary>The columns of a message that is put in.</summary>
    private const string NewColumns =
        "id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, enqueued_at, trace, priority, group_key, group_limit, rate_key, unique_key, unique_until, topic_retries, version, state";

    /// <summary>The columns of a message that is held from the first.</summary>
    private const string HeldColumns =
        "id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, enqueued_at, trace, priority, rate_key, unique_key, unique_until, topic_retries, claim";
}
