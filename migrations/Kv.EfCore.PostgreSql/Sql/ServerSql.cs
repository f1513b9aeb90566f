using System.Globalization;
using Kv.Messages;

namespace Kv.PostgreSql;

/// <summary>
/// What sessions are told and asked besides a store's own tables: their settings, their locks, what else the server runs.
/// </summary>
internal static class ServerSql
{
    /// <summary>Gives a session a name by which views of the server's sessions show it, unless the connection has one.</summary>
    private const string SetName =
        "set_config('application_name', coalesce(nullif(current_setting('application_name'), ''), 'EfKv'), false)";

    /// <summary>The same, alone.</summary>
    public const string NameSession = $"select {SetName}";

    /// <summary>The server's clock in Unix milliseconds, once a row.</summary>
    public const string Milliseconds = "(extract(epoch from clock_timestamp()) * 1000)::bigint";

    /// <summary>Where a write judges times by the server's clock.</summary>
    /// <remarks>
    /// <c>clock_timestamp()</c>, since <c>now()</c> is the start of the transaction, which may have waited for the version row. In a
    /// query of its own, which is run once: compared with a volatile function itself, the index is walked past every row that is not due
    /// yet (measured: 319 messages a second with a million waiting, where 10,000 waiting gave 7,100).
    /// </remarks>
    public const string Now = $"(select {Milliseconds})";

    /// <summary>When a new message is due, of its <see cref="NewMessage.Delay"/>.</summary>
    public static string DueAt(string now, string delay) =>
        $"case when {delay} > {NewMessage.LongestDelay} then greatest({now}, {delay}) else {now} + {delay} end";

    /// <summary>What time it is on the server.</summary>
    public const string Time = $"select {Milliseconds}";

    /// <summary>What a session that writes is told, for itself or for the transaction.</summary>
    /// <remarks>
    /// The planner guesses what a limit is that comes as a parameter: a tenth of the table. With 300,000 messages waiting it takes a claim
    /// for so dear that it compiles it each time, for 280 ms, and then reads 32 rows in half a millisecond. And it takes a table of few
    /// rows for a short one, though what came and went has left it long: every statement here has its index.
    /// </remarks>
    /// <param name="idle">How long a transaction may be left alone before the server ends it.</param>
    /// <param name="locks">How long to wait for a lock.</param>
    /// <param name="local">Whether for the transaction alone.</param>
    public static string WriterSettings(TimeSpan idle, TimeSpan locks, bool local) => string.Create(CultureInfo.InvariantCulture, $"""
        select set_config('jit', 'off', {local}), set_config('enable_seqscan', 'off', {local}),
            set_config('idle_in_transaction_session_timeout', '{idle.TotalMilliseconds:0}', {local}), set_config('lock_timeout',
                '{locks.TotalMilliseconds:0}', {local}){(local ? "" : $", {SetName}")}
        """);

    /// <summary>What a session that reads is told: to keep one plan for a statement, and to make it with an index.</summary>
    /// <remarks>
    /// For a listing it would compare a plan for the values at hand with one for any values, for which it takes the limit for a tenth of a
    /// part of the table: in a large one, or one whose rows lie in disorder, that looks so dear that it makes a plan for every call, which
    /// takes longer than reading a hundred rows.
    /// </remarks>
    public const string ReaderSettings =
        "select set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false), "
        + $"set_config('jit', 'off', false), {SetName}";

    /// <summary>
    /// Bounds the transaction's waits for locks, unless they are shorter already, and tells by which number the server knows it.
    /// </summary>
    public const string LimitLocks = """
        select pg_backend_pid(), set_config('efkv.lock_timeout', current_setting('lock_timeout'), true), set_config(
            'lock_timeout',
            case when current_setting('lock_timeout')::interval between interval '1 microsecond'
                and @wait::interval then current_setting('lock_timeout') else @wait end,
            true)
        """;

    /// <summary>Gives the rest of a user's transaction the time that it had for its locks.</summary>
    public const string UnlimitLocks = "select set_config('lock_timeout', current_setting('efkv.lock_timeout'), true)";

    /// <summary>The session that has the lock which another one waits for: not one that waits for it as well, in line before it.</summary>
    public const string LockHolder = """
        with recursive chain (pid) as (
            select unnest(pg_blocking_pids(@backend::integer))
            union
            select b.pid from chain c, unnest(pg_blocking_pids(c.pid)) as b (pid))
        select c.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), coalesce(a.state, 'in a state that this user may not see'),
            coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::bigint, coalesce(left(regexp_replace(a.query, '\s+', ' ',
                'g'), 200), '')
        from chain c left join pg_stat_activity a on a.pid = c.pid where cardinality(pg_blocking_pids(c.pid)) = 0 limit 1
        """;

    /// <summary>
    /// The oldest transaction that keeps what was deleted since from being cleaned up, if it has been open for so many seconds. Of other
    /// users' sessions it takes the role <c>pg_read_all_stats</c> to see it.
    /// </summary>
    public const string LongTransaction = """
        select pid, coalesce(nullif(application_name, ''), 'unnamed'), coalesce(state, ''), extract(epoch
            from clock_timestamp() - xact_start)::bigint from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend' and backend_xmin is not null and pid <> pg_backend_pid()
            and xact_start <= clock_timestamp() - make_interval(secs => @seconds)
        order by xact_start limit 1
        """;

    /// <summary>
    /// Has a statement planned at each run, for what the tables hold then: it joins one row, and the planner expects a million where it
    /// does not know how many, so a plan that could be kept seems dear to it.
    /// </summary>
    /// <remarks>
    /// A plan that was made while a table was empty, and is kept, reads all of the table for each row that is asked for (measured: 46 ms to
    /// complete 500 messages, where a plan of their own takes 2, half a millisecond of it for planning).
    /// </remarks>
    public const string PlannedAnew = "cross join generate_series(1, @one) as once cross join generate_series(1, @one) as twice";

    /// <summary>
    /// Has the transaction's commit answered before it is on the disk; the server writes it within three times <c>wal_writer_delay</c>, or
    /// with the next commit that waits for the disk.
    /// </summary>
    public const string Relax = "select set_config('synchronous_commit', 'off', true)";

    public static string Listen(string channel) => $"listen {channel}";
}
