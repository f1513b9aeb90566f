using Kv.Sql;

namespace Kv.Sqlite;

/// <summary>The statements of the change feed on SQLite, where triggers fire for each row and for each program.</summary>
/// <remarks>
/// A change is recorded at the version that <c>data_version</c> has: every commit raises it before it writes. The one exception is Deno's
/// collector, which deletes what has expired and raises it then. So a row that has expired by the machine's clock is recorded at the next
/// version, which the collector takes in the same transaction, and any other writer in a later one: until then followers pass it over. An
/// entry that comes again under its key in the meantime takes that back.
/// </remarks>
/// <param name="tables">The store's tables.</param>
internal sealed class SqliteFeedSql(TableNames tables) : FeedSql(tables, "@now", "@now")
{
    private const string HasExpired =
        "old.expiration_ms >= 0 and old.expiration_ms <= cast(round((julianday('now') - 2440587.5) * 86400000) as integer)";

    internal override IReadOnlyList<string> MakeTriggers =>
    [
        $"""
        create trigger {ChangesTable}_insert after insert on {KvTable} begin
            delete from {ChangesTable} where version = {Current} + 1 and k = new.k;
            {Record("", "new.k", 0)}
        end
        """,
        $"create trigger {ChangesTable}_update after update on {KvTable} begin {Record("", "new.k", 0)} end",
        $"create trigger {ChangesTable}_delete after delete on {KvTable} when not ({HasExpired}) begin {Record("", "old.k", 1)} end",
        $"create trigger {ChangesTable}_expire after delete on {KvTable} when {HasExpired} begin {Record(" + 1", "old.k", 1)} end",
    ];

    internal override IReadOnlyList<string> DropTriggers => [.. Names.Select(static name => $"drop trigger if exists {name}")];

    public override string Trim => field ??= $"""
        delete from {ChangesTable} where (version, k) <= (select version, k from
            (select version, k from {ChangesTable} where version <= @version order by version, k limit @limit)
            order by version desc, k desc limit 1) returning version
        """;

    protected override string AreThere =>
        "(select count(*) = 4 from sqlite_master where type = 'trigger' "
        + $"and name in ({string.Join(", ", Names.Select(static n => $"'{n}'"))}))";

    protected override string IsAhead => $"(select exists (select 1 from {ChangesTable} where version > {Current}))";

    protected override string IsGiven => $" and version <= {Current}";

    private IEnumerable<string> Names =>
        [$"{ChangesTable}_insert", $"{ChangesTable}_update", $"{ChangesTable}_delete", $"{ChangesTable}_expire"];

    private string Current => $"(select version from {VersionTable} where k = 0)";

    private string Record(string more, string key, int deleted) => $"""
        insert into {ChangesTable} (version, k, deleted) values ({Current}{more}, {key}, {deleted})
            on conflict (version, k) do update set deleted = excluded.deleted;
        """;
}
