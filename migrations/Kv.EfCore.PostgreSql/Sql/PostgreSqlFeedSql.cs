using Kv.Sql;

namespace Kv.PostgreSql;

/// <summary>The statements of the change feed on PostgreSQL, where triggers fire once for a statement, with all of its rows.</summary>
/// <remarks>
/// A change is recorded at the version that the version row has, which its transaction has raised and holds: so versions are committed in
/// their order. The function runs with the rights of the role that made it, so that a role which may write entries needs no others, and
/// names its tables with their schema, whatever the writer searches.
/// </remarks>
/// <param name="tables">The store's tables.</param>
/// <param name="now">Where times are judged.</param>
/// <param name="nowToRead">Where a read judges them.</param>
internal sealed class PostgreSqlFeedSql(TableNames tables, string now, string nowToRead) : FeedSql(tables, now, nowToRead)
{
    private const string Names = "'kv_changes_insert', 'kv_changes_update', 'kv_changes_delete'";

    internal override IReadOnlyList<string> MakeTriggers =>
    [
        InSchema($"""
            execute format($text$
                create function %1$s.kv_changes_record() returns trigger language plpgsql
                security definer set search_path = pg_catalog, pg_temp as $body$
                begin
                    insert into %1$s.kv_changes (version, k, deleted)
                    select (select version from %1$s.data_version where k = 0), r.k, case when tg_op = 'DELETE' then 1 else 0 end
                    from changed r on conflict (version, k) do update set deleted = excluded.deleted;
                    return null;
                end $body$ $text$, s);
            execute format('create trigger kv_changes_insert after insert on %1$s.kv referencing new table as changed '
                'for each statement execute function %1$s.kv_changes_record()', s);
            execute format('create trigger kv_changes_update after update on %1$s.kv referencing new table as changed '
                'for each statement execute function %1$s.kv_changes_record()', s);
            execute format('create trigger kv_changes_delete after delete on %1$s.kv referencing old table as changed '
                'for each statement execute function %1$s.kv_changes_record()', s);
            """),
    ];

    internal override IReadOnlyList<string> DropTriggers =>
    [
        InSchema("""
            execute format('drop trigger if exists kv_changes_insert on %1$s.kv', s);
            execute format('drop trigger if exists kv_changes_update on %1$s.kv', s);
            execute format('drop trigger if exists kv_changes_delete on %1$s.kv', s);
            execute format('drop function if exists %1$s.kv_changes_record()', s);
            """),
    ];

    public override string Trim => field ??= $"""
        delete from {ChangesTable} where ctid = any(array(select ctid from {ChangesTable}
            where version <= @version order by version, k limit @limit for update skip locked)) returning version
        """;

    protected override string AreThere => $"""
        (select case when count(*) = 3 then 1 else 0 end from pg_catalog.pg_trigger
            where tgrelid = to_regclass({KvTable.Literal}) and tgname in ({Names}) and tgenabled in ('O', 'A'))
        """;

    // What is recorded for a version is committed with it.
    protected override string IsAhead => "0";

    protected override string IsGiven => "";

    // The tables are where the connection finds them.
    private string InSchema(string statements) => $"""
        do $do$ declare s text; begin
            select quote_ident(n.nspname) into s from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where c.oid = to_regclass({KvTable.Literal});
            {statements}
        end $do$
        """;
}
