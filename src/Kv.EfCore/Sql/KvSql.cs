using System.Globalization;

namespace Kv.Sql;

/// <summary>
/// Every statement of the engine. What is plain here runs on both databases; where they must differ, the difference is a property, and the
/// comment says why. SQLite runs in the process, so it gets a statement a row (<c>KvSql.Rows.cs</c>); PostgreSQL is a round trip away, so it
/// gets arrays (<c>KvSql.Arrays.cs</c>).
/// </summary>
/// <remarks>SQLite's part keeps to what version 3.35 knows.</remarks>
internal sealed partial class KvSql(bool arrays)
{
    /// <summary>Hidden here and deleted later: a reader must never depend on the sweeper having run.</summary>
    private const string Live = "(expiration_ms < 0 or expiration_ms > @now)";

    private static string LiveAt(string now) => Live.Replace("@now", now, StringComparison.Ordinal);

    private static string LiveToRead(bool serverClock) => LiveAt(NowToRead(serverClock));

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

    /// <summary>The number of the next claim. The column may hold any number, and the last one has no next: the count begins anew.</summary>
    private const string NextClaim = "case when cast(claim as bigint) < 4611686018427387904 then cast(claim as bigint) + 1 else 1 end";

    /// <summary>One lease more that lapsed, up to a number that is enough for every limit.</summary>
    private const string NextCrashes = "case when cast(crashes as bigint) < 0 then 1 when cast(crashes as bigint) < 1000000000 then cast(crashes as bigint) + 1 else 1000000000 end";

    /// <summary>How many messages of a group may have a place.</summary>
    private const string Places = "case when group_limit > 1 then group_limit else 1 end";

    /// <summary>How many of the group <c>g</c> have a place: held ones, and waiting ones that may be claimed.</summary>
    private const string Taken = """
        (select count(*) from queue u where u.topic = g.topic and u.group_key = g.group_key and u.state = 0)
            + (select count(*) from queue_running h where h.topic = g.topic and h.group_key = g.group_key)
        """;

    /// <summary>The server's clock, once a row.</summary>
    private const string ServerMilliseconds = "(extract(epoch from clock_timestamp()) * 1000)::bigint";

    /// <summary>Where a write judges times: by the server's own clock, or the clock of the process (<see cref="Now"/>).</summary>
    /// <remarks>
    /// <c>clock_timestamp()</c>, since <c>now()</c> is the start of the transaction, which may have waited for the version row. In a query of
    /// its own, which is run once: compared with a volatile function itself, the index is walked past every row that is not due yet
    /// (measured: 319 messages a second with a million waiting, where 10,000 waiting gave 7,100).
    /// </remarks>
    private const string ServerNow = $"(select {ServerMilliseconds})";

    /// <summary>Where a read does: at the start of its transaction, so that all that is read of a snapshot is of one time. Run once as well, and not at all for rows that never expire.</summary>
    private const string ServerNowToRead = "(select (extract(epoch from now()) * 1000)::bigint)";

    /// <summary>Where a message goes that comes back as it was: to the place it had, before all that came later. A clock that was set back does not hold it up.</summary>
    private static string Place(bool serverClock) => $"case when ts <= {Now(serverClock)} then ts else {Now(serverClock)} end";

    /// <summary>A statement in two forms, each of which is put together when it is first asked for: groups of a busy queue ask thousands of times a second.</summary>
    private static Func<bool, string> Once(Func<bool, string> text)
    {
        string? one = null, other = null;
        return form => form ? one ??= text(true) : other ??= text(false);
    }

    private static string Now(bool serverClock) => serverClock ? ServerNow : "@now";

    private static string NowToRead(bool serverClock) => serverClock ? ServerNowToRead : "@now";

    // Reads.

    public const string Version = "select version from data_version where k = 0";

    public static Func<bool, string> Get { get; } = Once(static serverClock => $"select v, v_encoding, version from kv where k = @k and {LiveToRead(serverClock)}");

    public static Func<bool, string> Exists { get; } = Once(static serverClock => $"select 1 from kv where k = @k and {LiveToRead(serverClock)}");

    public static Func<bool, string> Count { get; } = Once(static serverClock => $"select count(*) from kv where k >= @start and k < @end and {LiveToRead(serverClock)}");

    public static Func<bool, string> ListForward { get; } = Once(static serverClock => $"select k, v, v_encoding, version from kv where k >= @start and k < @end and {LiveToRead(serverClock)} order by k limit @limit");

    public static Func<bool, string> ListReverse { get; } = Once(static serverClock => $"select k, v, v_encoding, version from kv where k >= @start and k < @end and {LiveToRead(serverClock)} order by k desc limit @limit");

    public static Func<bool, string> KeysForward { get; } = Once(static serverClock => $"select k from kv where k >= @start and k < @end and {LiveToRead(serverClock)} order by k limit @limit");

    public static Func<bool, string> KeysReverse { get; } = Once(static serverClock => $"select k from kv where k >= @start and k < @end and {LiveToRead(serverClock)} order by k desc limit @limit");

    /// <summary>Many keys in one statement, which is one snapshot. Joined with the numbered keys instead, ten of them take 1.3 times as long.</summary>
    public static Func<bool, string> GetManyArray { get; } = Once(static serverClock => $"select k, v, v_encoding, version from kv where k = any(@keys) and {LiveToRead(serverClock)}");

    /// <summary>The same with a parameter for each key, by their position from 1. Cross, since SQLite does such a join in the order in which it is written: the keys are looked up.</summary>
    public static string GetMany(int count) => $"""
        select column1, v, v_encoding, version from (values {string.Join(", ", Enumerable.Range(0, count).Select(static i => $"({i + 1}, {KeyParameter(i)})"))})
        cross join kv on k = column2 where {Live}
        """;

    /// <summary>The parameter of a key by its position from 0, in letters.</summary>
    public static string KeyParameter(int position) => position < 26 ? $"@k{(char)('a' + position)}" : $"{KeyParameter((position / 26) - 1)}{(char)('a' + (position % 26))}";

    /// <summary>What time it is, and when the first entry expires: null where none does.</summary>
    public static Func<bool, string> NextExpiry { get; } = Once(static serverClock => $"""
        select {NowToRead(serverClock)}, (select expiration_ms from kv where expiration_ms >= 0 order by expiration_ms limit 1)
        """);

    public static Func<bool, string> Expired { get; } = Once(static serverClock => $"""
        select k from kv where expiration_ms >= 0 and expiration_ms <= {NowToRead(serverClock)} order by expiration_ms limit @limit
        """);

    /// <summary>What time it is on the server.</summary>
    public const string ServerTime = $"select {ServerMilliseconds}";

    /// <summary>Statements that fail unless the tables have every column.</summary>
    public static IReadOnlyList<string> Probes { get; } =
    [
        "select k, v, v_encoding, version, seq, expiration_ms from kv where 1 = 0",
        "select k, version, seq from data_version where 1 = 0",
        $"select ts, state, version, {Kept}, {Unkept} from queue where 1 = 0",
        $"select deadline, ts, owner, progress, note, {Kept}, {Unkept} from queue_running where 1 = 0",
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

    /// <summary>How many bits of a writer's number tell apart those that were drawn in the same millisecond; the time stands above them.</summary>
    public const int WriterRandomBits = 20;

    /// <summary>Deletes the marks of writers whose numbers were drawn too long ago.</summary>
    public static Func<bool, string> DeleteOldMarks { get; } = Once(static serverClock => $"""
        delete from data_version where k > 0 and k < (({Now(serverClock)} - @lifetime) << {WriterRandomBits})
        """);

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
    /// <param name="locks">How long to wait for a lock.</param>
    /// <param name="local">Whether for the transaction alone.</param>
    public static string WriterSettings(TimeSpan idle, TimeSpan locks, bool local) => string.Create(CultureInfo.InvariantCulture, $"""
        select set_config('jit', 'off', {local}), set_config('enable_seqscan', 'off', {local}),
            set_config('idle_in_transaction_session_timeout', '{idle.TotalMilliseconds:0}', {local}), set_config('lock_timeout', '{locks.TotalMilliseconds:0}', {local}){(local ? "" : $", {SetName}")}
        """);

    /// <summary>Bounds the transaction's waits for locks, unless they are shorter already, and tells by which number the server knows it.</summary>
    public const string LimitLocks = """
        select pg_backend_pid(), set_config('efkv.lock_timeout', current_setting('lock_timeout'), true), set_config(
            'lock_timeout',
            case when current_setting('lock_timeout')::interval between interval '1 microsecond' and @wait::interval then current_setting('lock_timeout') else @wait end,
            true)
        """;

    /// <summary>Gives the rest of a user's transaction the time that it had for its locks.</summary>
    public const string UnlimitLocks = "select set_config('lock_timeout', current_setting('efkv.lock_timeout'), true)";

    /// <summary>Whoever has the lock that a session waits for: not one that waits for it as well, in line before it.</summary>
    public const string LockHolder = """
        with recursive chain (pid) as (
            select unnest(pg_blocking_pids(@backend::integer))
            union
            select b.pid from chain c, unnest(pg_blocking_pids(c.pid)) as b (pid))
        select c.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), coalesce(a.state, 'in a state that this user may not see'),
            coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::bigint, coalesce(left(regexp_replace(a.query, '\s+', ' ', 'g'), 200), '')
        from chain c left join pg_stat_activity a on a.pid = c.pid where cardinality(pg_blocking_pids(c.pid)) = 0 limit 1
        """;

    /// <summary>Looks for damage in a file of SQLite, up to the first.</summary>
    public const string QuickCheck = "pragma quick_check(1)";

    /// <summary>What PostgreSQL is told for those who read, for the session: to keep one plan for a statement, and to make it with an index.</summary>
    /// <remarks>
    /// For a listing it would compare a plan for the values at hand with one for any values, for which it takes the limit for a tenth of a part of
    /// the table: in a large one, or one whose rows lie in disorder, that looks so dear that it makes a plan for every call, which takes longer
    /// than reading a hundred rows.
    /// </remarks>
    public const string ReaderSettings = "select set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false), " + SetName;

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
}
