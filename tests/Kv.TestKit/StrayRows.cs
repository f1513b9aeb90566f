namespace Kv.TestKit;

/// <summary>Rows that no store writes, in the queue's tables: messages of a topic <c>job</c>, as another program may leave them.</summary>
public static class StrayRows
{
    private const string Copied =
        "data, backoff_schedule, keys_if_undelivered, topic, type, encoding, enqueued_at, trace, attempt, crashes, claim, priority, "
        + "group_key, group_limit, rate_key, rate_turn, unique_key, unique_until, topic_retries, first_error, last_error, cancelled, "
        + "checkpoint, checkpoint_encoding";

    /// <summary>A waiting message with values that no store gives it.</summary>
    public static async Task PutAsync(this KvTestStore test, int number, string values)
    {
        await test.Store.EnqueueAsync(new Job(number), new() { Topic = "putting", BackoffSchedule = [] });
        await test.ExecuteAsync($"update queue set topic = 'job', {values} where topic = 'putting'");
    }

    /// <summary>A running message of a process that is gone, with values that no store gives it.</summary>
    public static async Task OrphanAsync(this KvTestStore test, int number, TimeProvider time, string values = "note = 'orphan'")
    {
        await test.Store.EnqueueAsync(new Job(number), new() { Topic = "putting", BackoffSchedule = [] });
        await test.ExecuteAsync(
            $"insert into queue_running (deadline, ts, owner, id, {Copied}) "
            + $"select {time.Milliseconds() - 1000}, ts, 'another', id, {Copied} from queue where topic = 'putting'");
        await test.ExecuteAsync("delete from queue where topic = 'putting'");
        await test.ExecuteAsync($"update queue_running set topic = 'job', {values} where topic = 'putting'");
    }
}
