using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Kv.Commits;
using Kv.Sql;

namespace Kv.PostgreSql;

/// <summary>
/// Messages that nothing orders, as a part of what the user commits: none where the tables are others than the store's. Parameters by
/// their position, which the driver need not look for.
/// </summary>
/// <param name="tables">The store's tables.</param>
/// <param name="place">Which tables a session finds.</param>
/// <param name="serverClock">Whether the server's clock judges times, rather than the process's.</param>
internal sealed partial class PlainSql(TableNames tables, PlaceSql place, bool serverClock) : SqlParts(tables, ServerSql.Now)
{
    /// <summary>What stands before the number of a parameter in a command of the application's, where parameters have names.</summary>
    public const string ParameterPrefix = "@efkv";

    /// <summary>What an insert says that may not commit by itself, since the tables are others than the store's.</summary>
    public const string OtherTables = "efkv: this session finds other tables";

    /// <summary>The same, since the transactions of the session are isolated in another way.</summary>
    public const string OtherIsolation = "efkv: this session has another default isolation";

    /// <summary>The same, since a table may leave out a row.</summary>
    public const string LeavesOut = "efkv: a table may leave out rows";

    private readonly ConcurrentDictionary<string, string> _appended = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string Table, bool IsOne), string> _lone = new();

    private const string Columns =
        "ts, id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, enqueued_at, trace, priority, rate_key, topic_retries";

    /// <summary>Any number of messages, in arrays.</summary>
    public string Put => field ??= All("", Same);

    /// <summary>The same for one message, whose columns need not be arrays.</summary>
    public string PutOne => field ??= One("", Same);

    /// <summary>The same with a mark of the commit.</summary>
    public string PutMarked => field ??= Marked(All("returning 1", Same));

    /// <inheritdoc cref="PutMarked" />
    public string PutOneMarked => field ??= Marked(One("returning 1", Same));

    /// <summary>One of these statements as the end of a command of the application's.</summary>
    public string Appended(string text) => _appended.GetOrAdd(
        text, static text => Place().Replace(text, ParameterPrefix + "${number}"));

    /// <summary>
    /// The end of a command that puts one row into a table and commits by itself: it fails, and the row with it, where the tables are
    /// others than the store's or one of two may leave out a row, or where the transaction could not see that. The row's insert has a lock
    /// by then that keeps rules and triggers away.
    /// </summary>
    /// <param name="table">The table, as the command names it.</param>
    /// <param name="isOne">Whether it is for one message.</param>
    public string Lone(string table, bool isOne) => _lone.GetOrAdd((table, isOne), of =>
    {
        var takes = TakesAll($"{Literal(of.Table)}::regclass", $"{QueueTable.Literal}::regclass");
        var sure = $"""
            case when not {Same} then {Fail(OtherTables)} when not {SeesLatest} then {Fail(OtherIsolation)}
                when not ({takes}) then {Fail(LeavesOut)} else true end
            """;
        return Appended(of.IsOne ? One("", sure) : All("", sure));
    });

    /// <summary>Whether a command of EF Core's begins with an insert into a table, as it names it.</summary>
    public static bool Inserts(string command, string table)
    {
        const string Insert = "INSERT INTO ";
        return command.StartsWith(Insert, StringComparison.Ordinal)
            && command.AsSpan(Insert.Length).StartsWith(table, StringComparison.Ordinal)
            && command.AsSpan(Insert.Length + table.Length) is [' ' or '\r' or '\n', ..];
    }

    /// <summary>Whether inserts into a table may commit by themselves, with messages; no row where there is no such table.</summary>
    /// <param name="table">The table, as the insert names it.</param>
    public string IsLone(string table)
    {
        var number = $"to_regclass({Literal(table)})";
        return $"select {TakesAll(number, $"to_regclass({QueueTable.Literal})")} where {number} is not null";
    }

    /// <summary>Whether they may in a session, as far as its transactions are concerned.</summary>
    public const string IsLoneSession = "select " + SeesLatest;

    // A transaction that sees what was committed before it began, and no more, does not see what was made while its insert waited.
    private const string SeesLatest = "current_setting('transaction_isolation') = 'read committed'";

    /// <summary>
    /// Whether two tables store each row that is inserted, or fail: a trigger before a row may drop it, a rule may do something else, and
    /// what is no ordinary table has others behind it.
    /// </summary>
    private static string TakesAll(string one, string other) => $"""
        not exists (select 1 from pg_catalog.pg_class c where c.oid in ({one}, {other}) and (c.relkind <> 'r' or c.relhasrules))
            and not exists (select 1 from pg_catalog.pg_trigger t where t.tgrelid in ({one}, {other}) and t.tgtype & 7 = 7)
        """;

    // The number makes it nothing that is known before the statement runs.
    private static string Fail(string text) => $"('{text} ' || n.moment)::boolean";

    private static string Literal(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";

    [GeneratedRegex(@"\$(?<number>\d+)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex Place();

    private string Same => place.IsSame("$1::text");

    private string One(string returning, string sure) => $"""
        insert into {QueueTable} ({Columns})
        select {ServerSql.DueAt("n.moment", "$8::bigint")}, $2::text, $3::bytea, $4::text, $5::text, $6::text, $7::text, $9::integer,
            n.moment, $10::text, $11::integer, $12::text, $13::integer
        from {Moment}
        where {sure} {returning}
        """;

    private string All(string returning, string sure) => $"""
        insert into {QueueTable} ({Columns})
        select {ServerSql.DueAt("n.moment", "r.delay")}, r.id, r.data, r.backoff, r.undelivered, r.topic, r.type, r.encoding,
            n.moment, r.trace, r.priority, r.rate, r.retries
        from {Moment},
            unnest($2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::integer[], $10::text[],
                $11::integer[], $12::text[], $13::integer[])
            as r (id, data, backoff, undelivered, topic, type, delay, encoding, trace, priority, rate, retries)
        where {sure} {returning}
        """;

    private string Marked(string put) => $"""
        with put as ({put})
        insert into {VersionTable} (k, version, seq)
        select {(serverClock ? "$14" : "$15")}::bigint, {CommitMark.NoVersion}, {(serverClock ? "$15" : "$16")}::bigint
        from (select 1 from put limit 1) p
        {OnMark}
        """;

    /// <summary>The time, asked once: a message is not due before it was enqueued.</summary>
    private string Moment => $"(select {(serverClock ? Now : "$14::bigint")} as moment offset 0) n";
}
