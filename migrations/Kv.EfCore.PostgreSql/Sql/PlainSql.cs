using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Kv.Commits;
using Kv.Sql;

namespace Kv.PostgreSql;

/// <summary>
/// Messages that nothing orders, in a transaction of the user's: none where the tables are others than the store's. Parameters by their
/// position, which the driver need not look for.
/// </summary>
/// <param name="tables">The store's tables.</param>
/// <param name="place">Which tables a session finds.</param>
/// <param name="serverClock">Whether the server's clock judges times, rather than the process's.</param>
internal sealed partial class PlainSql(TableNames tables, PlaceSql place, bool serverClock) : SqlParts(tables, ServerSql.Now)
{
    /// <summary>What stands before the number of a parameter in a command of the application's, where parameters have names.</summary>
    public const string ParameterPrefix = "@efkv";

    private readonly ConcurrentDictionary<string, string> _appended = new(StringComparer.Ordinal);

    private const string Columns =
        "ts, id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, enqueued_at, trace, priority, rate_key, topic_retries";

    /// <summary>Any number of messages, in arrays.</summary>
    public string Put => field ??= All("");

    /// <summary>The same for one message, whose columns need not be arrays.</summary>
    public string PutOne => field ??= One("");

    /// <summary>The same with a mark of the commit.</summary>
    public string PutMarked => field ??= Marked(All("returning 1"));

    /// <inheritdoc cref="PutMarked" />
    public string PutOneMarked => field ??= Marked(One("returning 1"));

    /// <summary>One of these statements as the end of a command of the application's.</summary>
    public string Appended(string text) => _appended.GetOrAdd(
        text, static text => Place().Replace(text, ParameterPrefix + "${number}"));

    [GeneratedRegex(@"\$(?<number>\d+)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex Place();

    private string One(string returning) => $"""
        insert into {QueueTable} ({Columns})
        select {ServerSql.DueAt("n.moment", "$8::bigint")}, $2::text, $3::bytea, $4::text, $5::text, $6::text, $7::text, $9::integer,
            n.moment, $10::text, $11::integer, $12::text, $13::integer
        from {Moment}
        where {place.IsSame("$1::text")} {returning}
        """;

    private string All(string returning) => $"""
        insert into {QueueTable} ({Columns})
        select {ServerSql.DueAt("n.moment", "r.delay")}, r.id, r.data, r.backoff, r.undelivered, r.topic, r.type, r.encoding,
            n.moment, r.trace, r.priority, r.rate, r.retries
        from {Moment},
            unnest($2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::integer[], $10::text[],
                $11::integer[], $12::text[], $13::integer[])
            as r (id, data, backoff, undelivered, topic, type, delay, encoding, trace, priority, rate, retries)
        where {place.IsSame("$1::text")} {returning}
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
