using System.Globalization;
using System.Text;
using Kv.Messages;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

public abstract class EnqueueSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task A_message_has_the_columns_that_Deno_writes()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.EnqueueAsync(new Job(7), new() { Delay = TimeSpan.FromSeconds(3), KeysIfUndelivered = [["dead", "a"], ["b"]] });

        var row = Assert.Single(await test.QueuedAsync());
        Assert.Equal(_time.Milliseconds() + 3000, row.DueAt);
        Assert.Matches("^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", row.Id);
        Assert.Equal("[100,1000,5000,30000,60000]", row.BackoffSchedule);
        Assert.Equal("[[2,100,101,97,100,0,2,97,0],[2,98,0]]", row.KeysIfUndelivered);
        Assert.Equal("""{"Number":7}""", Encoding.UTF8.GetString(row.Data));
        Assert.Equal(KvEncoding.Json, row.Encoding);
        Assert.Equal((0, 0, 0L), (row.Attempt, row.Crashes, row.Claim));
        Assert.Equal(_time.Milliseconds(), row.EnqueuedAt);
        Assert.Equal(("job", "job"), (row.Topic, row.Type));
    }

    [Fact]
    public async Task What_is_left_out_is_stored_as_empty_lists()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [] });
        await test.Store.EnqueueAsync(new Job(2), new() { BackoffSchedule = [TimeSpan.FromMilliseconds(1.5), TimeSpan.FromHours(1)] });

        Assert.Equal(["[]", "[1,3600000]"], (await test.QueuedAsync()).Select(m => m.BackoffSchedule));
        Assert.All(await test.QueuedAsync(), m => Assert.Equal("[]", m.KeysIfUndelivered));
    }

    [Fact]
    public async Task A_type_without_a_name_goes_by_its_full_name_and_a_topic_can_be_chosen()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.EnqueueAsync(new Unnamed());
        await test.Store.EnqueueAsync(new Routed());
        await test.Store.EnqueueAsync(new Routed(), new() { Topic = "urgent" });

        Assert.Equal(
            [(typeof(Unnamed).FullName, typeof(Unnamed).FullName), ("mail", "routed"), ("urgent", "routed")],
            (await test.QueuedAsync()).Select(m => ((string?)m.Topic, (string?)m.Type)));
    }

    [Fact]
    public async Task What_is_over_a_limit_is_refused_before_anything_is_written()
    {
        await using var test = await database.CreateStoreAsync(_time, KvLimits.Deno);
        await RefusedAsync("30 days", new() { Delay = TimeSpan.FromDays(30) + TimeSpan.FromMilliseconds(1) });
        await RefusedAsync("zero to 30 days", new() { Delay = TimeSpan.FromMilliseconds(-1) });
        await RefusedAsync("max 5 intervals", new() { BackoffSchedule = [.. Enumerable.Repeat(TimeSpan.Zero, 6)] });
        await RefusedAsync("interval at index 1", new() { BackoffSchedule = [TimeSpan.Zero, TimeSpan.FromHours(1.1)] });
        await RefusedAsync("interval at index 0", new() { BackoffSchedule = [TimeSpan.FromSeconds(-1)] });
        await RefusedAsync("10 keys if undelivered", new() { KeysIfUndelivered = [.. Enumerable.Range(0, 11).Select(static KvKey (i) => [(long)i])] });
        await RefusedAsync("Key too large", new() { KeysIfUndelivered = [[new string('k', 2047)]] });
        await RefusedAsync("key cannot be empty", new() { KeysIfUndelivered = [[]] });
        await RefusedAsync("200", new() { Topic = new string('t', 201) });
        await RefusedAsync("U+0000", new() { Topic = "a\0" });
        await Assert.ThrowsAsync<ArgumentException>(() => test.Store.Atomic().Set(["a"], 1).Enqueue(new string('x', 65_535)).CommitAsync().AsTask());
        await Assert.ThrowsAsync<ArgumentException>(() => test.Store.EnqueueAsync<object>(new object()).AsTask());

        test.AssertQueueEmpty();
        Assert.Null(await test.Store.GetAsync(["a"]));

        async Task RefusedAsync(string says, KvEnqueueOptions options)
        {
            var error = await Assert.ThrowsAnyAsync<ArgumentException>(() => test.Store.Atomic().Set(["a"], 1).Enqueue(new Job(1), options).CommitAsync().AsTask());
            Assert.Contains(says, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_refused_write_enqueues_nothing()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.SetAsync(["a"], 1);

        var result = await test.Store.Atomic().Check(["a"], null).Enqueue(new Job(1)).CommitAsync();

        Assert.False(result.Succeeded);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_claim_gives_messages_in_the_order_of_their_due_times_then_of_their_making()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await EnqueueAsync(test, 300);
        await test.Store.EnqueueAsync(new Job(-1));
        await test.ExecuteAsync("update queue set ts = ts - 1 where id = (select max(id) from queue)");

        var claimed = await test.Engine.Queue.ClaimAsync(new ClaimWork([new TopicClaim("job", 1000, TimeSpan.FromSeconds(30))], 1000, "me"), CancellationToken.None);

        Assert.Equal(Enumerable.Range(-1, 301), claimed.Select(Number));
        static int Number(ClaimedMessage message) =>
            int.Parse(Encoding.UTF8.GetString(message.Data).Split(':', '}')[1], CultureInfo.InvariantCulture);
    }

    private static async Task EnqueueAsync(KvTestStore test, int count)
    {
        var write = test.Store.Atomic();
        for (var i = 0; i < count; i++)
        {
            write.Enqueue(new Job(i));
        }

        await write.CommitAsync();
    }

    private sealed record Unnamed;

    [KvMessage("routed", Topic = "mail")]
    private sealed record Routed;
}

public sealed class SqliteEnqueueTests(SqliteDatabase database) : EnqueueSpec(database), IClassFixture<SqliteDatabase>
{
    [Fact]
    public async Task Columns_have_the_storage_classes_that_Deno_reads()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.EnqueueAsync(new Job(1), new() { KeysIfUndelivered = [["a"]] });

        await using var context = test.CreateContext();
        var connection = context.Database.GetDbConnection();
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "select typeof(ts) || ' ' || typeof(id) || ' ' || typeof(data) || ' ' || typeof(backoff_schedule) || ' ' || typeof(keys_if_undelivered) from queue";
        Assert.Equal("integer text blob text text", await command.ExecuteScalarAsync());
    }
}

public sealed class PostgresEnqueueTests(PostgresDatabase database) : EnqueueSpec(database), IClassFixture<PostgresDatabase>;
