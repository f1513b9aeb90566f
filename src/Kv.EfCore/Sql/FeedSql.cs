namespace Kv.Sql;

/// <summary>The statements of the change feed. What is plain here runs on both databases.</summary>
/// <param name="tables">The store's tables.</param>
/// <param name="now">Where times are judged.</param>
/// <param name="nowToRead">Where a read judges them.</param>
internal abstract class FeedSql(TableNames tables, string now, string nowToRead) : SqlParts(tables, now)
{
    /// <summary>Sorts above every key.</summary>
    public static readonly byte[] AboveAllKeys = [0xFF];

    private readonly TableNames _tables = tables;

    /// <summary>What makes the triggers, each a statement of its own.</summary>
    internal abstract IReadOnlyList<string> MakeTriggers { get; }

    /// <summary>What drops those that are there, each a statement of its own.</summary>
    internal abstract IReadOnlyList<string> DropTriggers { get; }

    /// <summary>Fails unless the tables have every column.</summary>
    internal string Probe => $"""
        select c.version, c.k, c.deleted, f.at, f.version, f.keep_ms, f.keep_versions from {ChangesTable} c, {FeedTable} f where 1 = 0
        """;

    /// <summary>1 where the feed is on, otherwise 0.</summary>
    internal string IsOn => $"(select count(*) from {FeedTable} where at = 0)";

    /// <summary>Opens the feed after the version that the store has; the version row is locked then.</summary>
    internal string Open => $"insert into {FeedTable} (at, version) select 0, version from {VersionTable} where k = 0";

    /// <summary>Forgets the switch, and what version the store had at which times.</summary>
    internal string Close => $"delete from {FeedTable}";

    /// <summary>Forgets what was recorded for a version that is not given out yet, and not by this feed.</summary>
    internal string ForgetAhead => $"delete from {ChangesTable} where version > (select version from {VersionTable} where k = 0)";

    /// <summary>How long changes are kept.</summary>
    public string Keep => field ??= $"update {FeedTable} set keep_ms = @age, keep_versions = @versions where at = 0";

    /// <summary>
    /// The store's version, that after which no change is missing (null where the feed is off), whether triggers fill it, and what is kept.
    /// </summary>
    public string State => field ??= $"""
        select v.version, f.version, {AreThere}, f.keep_ms, f.keep_versions
        from {VersionTable} v left join {FeedTable} f on f.at = 0 where v.k = 0
        """;

    /// <summary>
    /// The next changes of a range after a place, with the state of the feed at the same time. What was recorded for a version that is not
    /// given out yet waits for it, and is told of.
    /// </summary>
    public string Follow => field ??= $"""
        select v.version, f.version, {AreThere}, {IsAhead}, c.version, c.k, c.deleted
        from {VersionTable} v left join {FeedTable} f on f.at = 0
        left join (select version, k, deleted from {ChangesTable}
            where (version, k) > (@version, @key) and k >= @start and k < @end{IsGiven} order by version, k limit @limit) c on 1 = 1
        where v.k = 0 order by c.version, c.k
        """;

    /// <summary>The keys of a range with their versions.</summary>
    public string Versions => field ??=
        $"select k, version from {KvTable} where k >= @start and k < @end and {LiveAt(nowToRead)} order by k limit @limit";

    /// <summary>
    /// What time it is, the state of the feed, how long it keeps changes, when the version was last noted, and the last version that was
    /// noted long enough ago.
    /// </summary>
    public string Retention => field ??= $"""
        select {nowToRead}, v.version, f.version, f.keep_ms, f.keep_versions, (select max(at) from {FeedTable}),
            (select max(o.version) from {FeedTable} o where o.at > 0 and o.at <= {nowToRead} - f.keep_ms)
        from {VersionTable} v join {FeedTable} f on f.at = 0 where v.k = 0
        """;

    /// <summary>Notes what version the store has now.</summary>
    public string Note => field ??= $"""
        insert into {FeedTable} (at, version) select {Now}, version from {VersionTable}
        where k = 0 and exists (select 1 from {FeedTable} where at = 0) on conflict (at) do nothing returning at
        """;

    /// <summary>Forgets the notes that lie before the one by which was trimmed.</summary>
    public string ForgetNotes => field ??= $"delete from {FeedTable} where at > 0 and version < @version returning at";

    /// <summary>Says that changes up to a version may be missing.</summary>
    public string Cut => field ??= $"update {FeedTable} set version = @version where at = 0 and version < @version returning at";

    /// <summary>Deletes some changes of those up to a version.</summary>
    public abstract string Trim { get; }

    /// <summary>1 where every trigger is there and fires, otherwise 0.</summary>
    protected abstract string AreThere { get; }

    /// <summary>1 where something is recorded for a version that is not given out yet, otherwise 0.</summary>
    protected abstract string IsAhead { get; }

    /// <summary>Leaves out what is recorded for such a version, where there may be some.</summary>
    protected abstract string IsGiven { get; }

    /// <summary>The changes.</summary>
    protected TableName ChangesTable => _tables.Changes;

    /// <summary>The switch.</summary>
    protected TableName FeedTable => _tables.Feed;
}
