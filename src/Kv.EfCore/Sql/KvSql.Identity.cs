namespace Kv.Sql;

// Which tables a session finds: for writes that are part of a transaction of the user's, on a connection of the user's.
internal sealed partial class KvSql
{
    /// <summary>
    /// What no other tables have at the same time: the numbers of the four tables as the search path finds them, of the database, which a copy by
    /// template does not share, and the start of the server, which a copy of all its files does not share. It looks at catalogs alone, and fails
    /// for no table that is missing.
    /// </summary>
    private const string Identity = """
        concat_ws(' ', (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint, (select oid from pg_catalog.pg_database where datname = current_database()),
            coalesce(to_regclass('kv')::oid, 0), coalesce(to_regclass('data_version')::oid, 0), coalesce(to_regclass('queue')::oid, 0), coalesce(to_regclass('queue_running')::oid, 0))
        """;

    /// <summary>The same, with what an error says of it: the database, the schemas that are searched, those of the tables, and the tables that are missing.</summary>
    public const string Identify = $"""
        select {Identity}, current_database()::text, array_to_string(current_schemas(false), ', '),
            array_to_string(array(select distinct n.nspname::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                where c.oid in (to_regclass('kv'), to_regclass('data_version'), to_regclass('queue'), to_regclass('queue_running')) order by 1), ', '),
            array_to_string(array(select t from unnest(array['kv', 'data_version', 'queue', 'queue_running']) with ordinality as t (t, n) where to_regclass(t) is null order by n), ', '),
            array_to_string(array(select c.relname::text from pg_catalog.pg_class c
                where c.oid in (to_regclass('kv'), to_regclass('data_version'), to_regclass('queue'), to_regclass('queue_running')) and c.relpersistence = 't' order by 1), ', ')
        """;

    /// <summary>
    /// Fails with a division by zero, which nothing else here can, where the tables are others than the store's: what comes after it in the round
    /// trip is not run, and the savepoint before it takes the error back.
    /// </summary>
    public const string Guard = $"select 1 / case when {Identity} = @identity then 1 else 0 end";

    /// <summary>What has the name of one of the store's tables where migrations would make them: its kind and its name.</summary>
    public string InTheWay => arrays
        ? """
            select case c.relkind when 'r' then 'table' when 'p' then 'table' when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' when 'i' then 'index' else 'relation' end
                || ' ' || c.relname
            from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where n.nspname = current_schema() and c.relname in ('kv', 'data_version', 'queue', 'queue_running') order by c.relname
            """
        : "select type || ' ' || name from sqlite_master where lower(name) in ('kv', 'data_version', 'queue', 'queue_running') order by name";

    /// <summary>
    /// The schemas that have all four tables and no history of the store's migrations, which are an application's own then; and what is searched.
    /// None if the search path was chosen: then what is elsewhere is somebody else's.
    /// </summary>
    public const string Elsewhere = """
        select string_agg(s.name, ', ' order by s.name), array_to_string(current_schemas(false), ', ') from (
            select n.nspname::text as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and c.relname in ('kv', 'data_version', 'queue', 'queue_running', '__kv_migrations') group by n.nspname
            having count(*) filter (where c.relname <> '__kv_migrations') = 4 and count(*) filter (where c.relname = '__kv_migrations') = 0) s
        where current_setting('search_path') = '"$user", public' and to_regclass('data_version') is null
        """;

    /// <summary>Gives a session a name for whoever looks at the server's sessions, unless the connection has one.</summary>
    private const string SetName = "set_config('application_name', coalesce(nullif(current_setting('application_name'), ''), 'EfKv'), false)";

    /// <summary>The same, alone.</summary>
    public const string NameSession = $"select {SetName}";

    /// <summary>A temporary table by the name of one of the store's, which hides it.</summary>
    public const string TemporaryTable = "select name from temp.sqlite_master where lower(name) in ('kv', 'data_version', 'queue', 'queue_running') limit 1";
}
