namespace Kv.Sql;

// What is looked at, without taking anything.
internal sealed partial class KvSql
{
    public const string WaitingOf = $"select {MessageColumns}, ts, state from queue where id = @id limit 1";

    public const string RunningOf = $"select {MessageColumns}, deadline, owner, progress, note from queue_running where id = @id limit 1";

    public const string Peek = $"select {MessageColumns}, ts, state from queue where topic = @topic and state = 0 order by priority, ts, id limit @limit";

    // To count is to read all there is. By the index's own columns, so that it is read in its order and nothing is sorted: a quarter of the time
    // on SQLite.
    internal const string CountWaiting = """
        select topic, state, count(*), coalesce(sum(case when ts <= @now then 1 else 0 end), 0), min(ts) from queue group by topic, state, priority
        """;

    // From the beginning of the index on.
    internal const string Running = $"select {MessageColumns}, deadline, owner, progress, note from queue_running order by deadline, id limit @limit";

    internal const string CountRunning = "select topic, count(*) from queue_running group by topic";

    // What runs is found by its id, and is little.
    internal const string IsUsed = "select 1 where exists (select 1 from queue where topic = @topic) or exists (select 1 from queue_running where topic = @topic)";
}
