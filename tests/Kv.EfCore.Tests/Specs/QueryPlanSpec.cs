using System.Reflection;
using System.Text.RegularExpressions;
using Kv.Connections;
using Kv.PostgreSql;
using Kv.Schema;
using Kv.Sql;
using Kv.Sqlite;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kv.Tests.Specs;

/// <summary>Every statement of the engine finds its rows by an index, so that its cost does not grow with the table.</summary>
public abstract partial class QueryPlanSpec(KvDatabase database)
{
    private const int Entries = 20_000;
    private const int Messages = 10_000;

    [Fact]
    public async Task No_statement_reads_a_whole_table()
    {
        await using var test = await database.CreateStoreAsync();
        await using var context = test.CreateContext();
        await context.Database.OpenConnectionAsync();
        await ExecuteAsync(context, Fill(Entries, Messages));
        await ExecuteAsync(context, "analyze");

        var statements = Statements(test.Engine.Driver.Sql).Where(static statement => Table().IsMatch(statement.Text)).ToList();
        List<string> scans = [];
        foreach (var (name, text) in statements)
        {
            scans.AddRange((await ExplainAsync(context, text)).Where(IsScan).Select(line => $"{name}: {line.Trim()}"));
        }

        Assert.True(statements.Count > 20, $"Only {statements.Count} statements were found.");
        Assert.Empty(scans);
    }

    [Fact]
    public async Task A_scan_is_seen()
    {
        await using var test = await database.CreateStoreAsync();
        await using var context = test.CreateContext();
        await context.Database.OpenConnectionAsync();
        await ExecuteAsync(context, Fill(Entries, Messages));

        Assert.Contains(await ExplainAsync(context, "select id from queue where trace = @id"), IsScan);
    }

    [Fact]
    public void Every_statement_is_built_from_the_names_of_the_tables() => Assert.Empty(
        Statements(OfTables(new TableNames("app_"))).Where(static statement => Unprefixed().IsMatch(statement.Text)).Select(
            static s => s.Name));

    /// <summary>The statements for tables of these names.</summary>
    private protected abstract KvSql OfTables(TableNames tables);

    [GeneratedRegex(@"\$\d+(?=::)")]
    private static partial Regex Numbered();

    [GeneratedRegex(@"(?<!app_|\w|_|@|\.)(kv|data_version|queue|queue_running|kv_changes|kv_feed)(?!\w)", RegexOptions.ExplicitCapture)]
    private static partial Regex Unprefixed();

    /// <summary>SQL that fills the tables with so many rows.</summary>
    protected abstract string Fill(int entries, int messages);

    protected abstract string Explain { get; }

    protected abstract bool IsScan(string line);

    private protected static IEnumerable<(string Name, string Text)> Statements(object sql)
    {
        foreach (var property in sql.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            switch (property.GetValue(sql))
            {
                case string text:
                    yield return (property.Name, text);
                    break;
                case IReadOnlyList<(string Find, string Mend)> mends:
                    foreach (var (find, mend) in mends)
                    {
                        yield return (property.Name, find);
                        yield return (property.Name, mend);
                    }

                    break;
                case { } part when part.GetType().Namespace == sql.GetType().Namespace:
                    foreach (var statement in Statements(part))
                    {
                        yield return statement;
                    }

                    break;
            }
        }

        if (sql is SqliteSql sqlite)
        {
            yield return (nameof(SqliteSql.GetMany), sqlite.GetMany(10));
        }
    }

    private async Task<List<string>> ExplainAsync(DbContext context, string text)
    {
        await using var command = context.Database.GetDbConnection().CreateCommand();

        // A statement whose parameters have numbers is sent with values and without names; it names their types.
        text = Numbered().Replace(text, "null");
        command.CommandText = Explain + text;
        CommandStatement.Declare(command.Parameters, text, command.CreateParameter);
        foreach (System.Data.Common.DbParameter parameter in command.Parameters)
        {
            parameter.Value = Sample(parameter.ParameterName);
        }

        try
        {
            List<string> lines = [];
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
            {
                lines.Add(reader.GetString(reader.FieldCount - 1));
            }

            return lines;
        }
        catch (System.Data.Common.DbException error)
        {
            throw new InvalidOperationException($"The statement cannot be explained: {text}", error);
        }
    }

    private static object Sample(string parameter) => parameter switch
    {
        "@k" or "@key" or "@pause" or "@start" or ['@', 'k', _] => new byte[] { 2, 48, 48, 48, 49, 0 },
        "@end" => new byte[] { 2, 48, 48, 48, 50, 0 },
        "@v" or "@data" or "@scope" => new byte[] { 1 },
        "@keys" or "@pauses" or "@starts" or "@values" or "@datas" or "@scopes" => new[] { new byte[] { 2, 48, 48, 48, 49, 0 } },
        "@ends" => new[] { new byte[] { 2, 48, 48, 48, 50, 0 } },
        "@encodings" or "@attempts" or "@priorities" or "@grouplimits" or "@retries" or "@rooms" or "@floorpriorities" => new[] { 1 },
        "@leases" or "@turns" or "@uniqueuntils" or "@aheads" or "@versionoffsets" or "@expiries" or "@delays" or "@claims" or "@floortimes" => new[] { 1L },
        "@ids" or "@owners" or "@holders" or "@claimed" or "@backoffs" or "@undelivereds" or "@topics" or "@types" or "@traces" or "@groups" or "@rates" or "@uniques" or "@errors" or "@afters" or "@floorids" => new[] { "1" },
        "@encoding" or "@attempt" or "@crashes" or "@limit" or "@count" => 10,
        "@id" or "@owner" or "@backoff" or "@undelivered" or "@topic" or "@type" or "@trace" or "@group" or "@rate" or "@unique" or "@error" or "@note" or "@after" => "1",
        "@one" or "@every" => 1,
        "@progress" => 0.5,
        "@priority" or "@above" or "@grouplimit" or "@topicretries" => 0,
        _ => 10L,
    };

    protected static async Task ExecuteAsync(DbContext context, string text)
    {
        await using var command = context.Database.GetDbConnection().CreateCommand();
        command.CommandText = text;
        await command.ExecuteNonQueryAsync();
    }

    [GeneratedRegex(@"^(select|insert|update|delete|with)\b.*\b(from|join|into|update)\s+(kv|queue|queue_running|kv_changes)\b", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex Table();
}

public sealed partial class SqliteQueryPlanTests(SqliteDatabase database) : QueryPlanSpec(database), IClassFixture<SqliteDatabase>
{
    private protected override KvSql OfTables(TableNames tables) => new SqliteSql(tables);

    protected override string Explain => "explain query plan ";

    protected override string Fill(int entries, int messages) => $"""
        with recursive n (i) as (select 1 union all select i + 1 from n where i < {entries})
        insert into kv (k, v, v_encoding, version, expiration_ms)
        select cast(x'02' || printf('%08d', i) || x'00' as blob), x'01', 3, i, case when i % 10 = 0 then i else -1 end from n;
        with recursive n (i) as (select 1 union all select i + 1 from n where i < {messages})
        insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered, topic) select i, 'q' || i, x'01', '[]', '[]', i % 20 from n;
        with recursive n (i) as (select 1 union all select i + 1 from n where i < {messages})
        insert into queue_running (deadline, id, data, backoff_schedule, keys_if_undelivered, topic) select i, 'r' || i, x'01', '[]', '[]', i % 20 from n;
        with recursive n (i) as (select 1 union all select i + 1 from n where i < {entries})
        insert into kv_changes (version, k, deleted) select i / 2, cast(x'02' || printf('%08d', i) || x'00' as blob), 0 from n
        """;

    protected override bool IsScan(string line) => Scan().IsMatch(line);

    [GeneratedRegex(@"^SCAN (TABLE )?(kv|queue|queue_running|kv_changes|q)\b", RegexOptions.ExplicitCapture)]
    private static partial Regex Scan();
}

public sealed partial class PostgresQueryPlanTests(PostgresDatabase database) : QueryPlanSpec(database), IClassFixture<PostgresDatabase>
{
    [Fact]
    public void No_statement_by_the_servers_clock_asks_for_a_time_of_this_machine()
    {
        var byServer = Statements(new PostgreSqlSql(TableNames.Default, serverClock: true)).ToList();
        var byProcess = Statements(new PostgreSqlSql(TableNames.Default, serverClock: false)).ToList();

        // The end of a lease ahead of its time is for where no server decides.
        Assert.Equal([nameof(KvSql.Lapse)], byServer.Where(static s => s.Text.Contains("@now", StringComparison.Ordinal)).Select(
            static s => s.Name));
        Assert.True(byProcess.Count(static s => s.Text.Contains("@now", StringComparison.Ordinal)) > 20);
    }

    [Fact]
    public async Task What_the_planner_takes_for_dear_is_not_compiled_at_each_commit()
    {
        await using var test = await database.CreateStoreAsync();
        var sessions = new SessionFactory(
            test.CreateContext, test.Engine.Driver, SchemaCheck.OpenCurrentAsync, new KvStoreOptions(), NullLogger.Instance);
        await using var session = await sessions.OpenAsync(SessionRole.Write, default);

        Assert.Equal("off", await session.Statement("show jit").ScalarAsync(default));
    }

    [Fact]
    public async Task A_reader_keeps_one_plan_for_all_calls_and_makes_it_with_an_index()
    {
        await using var test = await database.CreateStoreAsync();
        await using var context = test.CreateContext();
        await context.Database.OpenConnectionAsync();
        await ExecuteAsync(context, "analyze kv");
        var sessions = new SessionFactory(
            test.CreateContext, test.Engine.Driver, SchemaCheck.OpenCurrentAsync, new KvStoreOptions(), NullLogger.Instance);
        await using var session = await sessions.OpenAsync(SessionRole.Read, default);
        var list = session.Statement(test.Engine.Driver.Sql.ListForward).Set("@start", new byte[] { 2 }).Set("@end", new byte[] { 3 }).Set(
            "@limit", 10);
        for (var call = 0; call < 7; call++)
        {
            await using var rows = await list.ReadAsync(default);
        }

        const string Plans = "select generic_plans || ' kept, ' || custom_plans || ' made anew' from pg_prepared_statements where statement like 'select k, v%'";
        Assert.Equal("7 kept, 0 made anew", await session.Statement(Plans).ScalarAsync(default));

        // The table is empty, and known to be: any way to read it costs nothing, and it may grow before the plan is made again.
        await session.ExecuteAsync($"prepare list (bytea, bytea, int) as {test.Engine.Driver.Sql.ListForward.Replace("@start", "$1").Replace("@end", "$2").Replace("@limit", "$3")}", default);
        Assert.Contains("\"Index Scan\"", Assert.IsType<string>(await session.Statement(@"explain (format json) execute list ('\x02', '\x03', 10)").ScalarAsync(default)), StringComparison.Ordinal);
    }

    private protected override KvSql OfTables(TableNames tables) => new PostgreSqlSql(tables, serverClock: true);

    protected override string Explain => "explain ";

    protected override string Fill(int entries, int messages) => $"""
        insert into kv (k, v, v_encoding, version, expiration_ms)
        select '\x02'::bytea || convert_to(lpad(i::text, 8, '0'), 'UTF8') || '\x00'::bytea, '\x01', 3, i, case when i % 10 = 0 then i else -1 end
        from generate_series(1, {entries}) i;
        insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered, topic) select i, 'q' || i, '\x01', '[]', '[]', i % 20 from generate_series(1, {messages}) i;
        insert into queue_running (deadline, id, data, backoff_schedule, keys_if_undelivered, topic) select i, 'r' || i, '\x01', '[]', '[]', i % 20 from generate_series(1, {messages}) i;
        insert into kv_changes (version, k, deleted)
        select i / 2, '\x02'::bytea || convert_to(lpad(i::text, 8, '0'), 'UTF8') || '\x00'::bytea, 0 from generate_series(1, {entries}) i
        """;

    protected override bool IsScan(string line) => Scan().IsMatch(line);

    [GeneratedRegex(@"Seq Scan on (kv|queue|queue_running|kv_changes)\b", RegexOptions.ExplicitCapture)]
    private static partial Regex Scan();
}
