using Kv.Sql;

namespace Kv.PostgreSql;

/// <summary>Which tables a session finds: for migrations, and for writes that are part of a transaction of the user's.</summary>
/// <param name="tables">The store's tables.</param>
internal sealed class PlaceSql(TableNames tables)
{
    private readonly string _list = string.Join(", ", tables.All.Select(static t => t.NameLiteral));
    private readonly string _whole = string.Join(", ", tables.All.Select(static t => t.Literal));

    /// <summary>
    /// What no other tables have at the same time: the numbers of the four tables as the search path finds them, of the database, which a
    /// copy by template does not share, and the start of the server, which a copy of all its files does not share. It looks at catalogs
    /// alone, and fails for no table that is missing.
    /// </summary>
    private string Identity => field ??= IdentityIn("(select oid from pg_catalog.pg_database where datname = current_database())");

    private string IdentityIn(string database) => $"""
        concat_ws(' ', (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint, {database},
            {string.Join(", ", tables.All.Select(static t => $"coalesce(to_regclass({t.Literal})::oid, 0)"))})
        """;

    private string Numbers => string.Join(", ", tables.All.Select(static t => $"to_regclass({t.Literal})"));

    /// <summary>
    /// The same, with what an error says of it: the database, the schemas that are searched, those of the tables, and the tables that are
    /// missing.
    /// </summary>
    public string Identify => field ??= $"""
        select {Identity}, current_database()::text, array_to_string(current_schemas(false), ', '),
            array_to_string(array(select distinct n.nspname::text
                from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                where c.oid in ({Numbers}) order by 1), ', '),
            array_to_string(array(select t from unnest(array[{_whole}]) with ordinality as t (t, n)
                where to_regclass(t) is null order by n), ', '),
            array_to_string(array(select c.relname::text from pg_catalog.pg_class c
                where c.oid in ({Numbers}) and c.relpersistence = 't' order by 1), ', ')
        """;

    /// <summary>
    /// Which server it is, and what it has: the number that a cluster is made with is the same on all servers that repeat its log byte by
    /// byte, and so are the numbers of the database and the tables. Whether it is one of those, and takes no writes.
    /// </summary>
    public string Server => field ??= $"""
        select concat_ws(' ', (select system_identifier from pg_control_system()),
                (select oid from pg_catalog.pg_database where datname = current_database()),
                {string.Join(", ", tables.All.Select(static t => $"coalesce(to_regclass({t.Literal})::oid, 0)"))}),
            extract(epoch from pg_postmaster_start_time())::text, pg_is_in_recovery()
        """;

    /// <summary>
    /// Fails with a division by zero, which nothing else here can, where the tables are others than the store's: what comes after it in
    /// the round trip is not run, and the savepoint before it takes the error back.
    /// </summary>
    public string Guard => field ??= $"select 1 / case when {Identity} = @identity then 1 else 0 end";

    /// <summary>The same in a session whose database was looked at before; see <see cref="IsSame"/>.</summary>
    public string GuardOfSession => field ??= $"select 1 / case when {IsSame("@identity")} then 1 else 0 end";

    /// <summary>
    /// Whether the tables are those of an identity, in a session whose database was looked at before: it has that one for its life, and to
    /// ask for it takes ten times as long as all the rest.
    /// </summary>
    /// <param name="identity">The parameter.</param>
    public string IsSame(string identity) => $"{IdentityIn($"split_part({identity}, ' ', 2)")} = {identity}";

    /// <summary>What has the name of one of the store's tables where migrations would make them: its kind and its name.</summary>
    public string InTheWay => field ??= $"""
        select case c.relkind when 'r' then 'table' when 'p' then 'table' when 'v' then 'view' when 'm' then 'materialized view'
            when 'S' then 'sequence' when 'i' then 'index' else 'relation' end
            || ' ' || c.relname
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = {(tables.Schema is { } schema ? $"'{schema}'" : "current_schema()")} and c.relname in ({_list}) order by c.relname
        """;

    /// <summary>
    /// The schemas that have all four tables and no history of the store's migrations, which are an application's own then; and what is
    /// searched. None if a schema or the search path was chosen: then what is elsewhere is not the store's.
    /// </summary>
    public string Elsewhere => field ??= $"""
        select string_agg(s.name, ', ' order by s.name), array_to_string(current_schemas(false), ', ') from (
            select n.nspname::text as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and c.relname in ({_list}, '__kv_migrations') group by n.nspname
            having count(*) filter (where c.relname <> '__kv_migrations') = 4
                and count(*) filter (where c.relname = '__kv_migrations') = 0) s
        where {(tables.Schema is null ? "true" : "false")} and current_setting('search_path') = '"$user", public'
            and to_regclass({tables.DataVersion.Literal}) is null
        """;
}
