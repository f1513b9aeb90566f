using System.Text;
using System.Text.Json;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>A message that a worker gives up becomes a dead letter, whatever it holds.</summary>
public abstract class DeadLetterSpec(KvDatabase database)
{
    private readonly LogCollector _logs = new();

    [Fact]
    public async Task A_letter_is_an_entry_that_people_can_read()
    {
        await using var kv = await FailingAsync();
        await kv.Store.EnqueueAsync(new Note("Füße <b> & \"☃\" 😀"), WorkerTesting.Once);
        var id = kv.AssertEnqueued<Note>().Id;

        await kv.DrainAsync();

        var entry = (await kv.Store.GetAsync(["dead_letters", "note", id]))!;
        Assert.Equal(KvEncoding.Json, entry.Value.Encoding);
        var text = Encoding.UTF8.GetString(entry.Value.Bytes.Span);
        Assert.Contains("\"payload\":{\"Text\":\"Füße <b> & \\\"☃\\\" ", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\"data\"", text, StringComparison.Ordinal);
        Assert.Equal(id, entry.As<JsonElement>().GetProperty("id").GetString());
        Assert.Equal("Füße <b> & \"☃\" 😀", kv.AssertDeadLetter<Note>().As<Note>()!.Text);
    }

    [Fact]
    public async Task A_topic_can_keep_all_its_letters_and_keep_them_for_a_time()
    {
        await using var kv = await FailingAsync(static o => (o.KeepAllDeadLetters, o.DeadLetterExpiry) = (true, TimeSpan.FromDays(2)));
        await kv.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [], KeysIfUndelivered = [["dead"]] });

        await kv.DrainAsync();
        await kv.AdvanceAsync(TimeSpan.FromDays(2) - TimeSpan.FromMilliseconds(1));
        Assert.Equal([["dead"]], kv.AssertDeadLetter<Job>().KeysIfUndelivered);
        await kv.AdvanceAsync(TimeSpan.FromMilliseconds(1));

        kv.AssertNoDeadLetters();
        Assert.Equal(new Job(1), await kv.Store.GetAsync<Job>(["dead"]));
    }

    [Theory]
    [InlineData("enqueued_at = 9223372036854775807")]
    [InlineData("enqueued_at = -9223372036854775807")]
    [InlineData("attempt = 2147483647")]
    [InlineData("attempt = -2147483647")]
    [InlineData("crashes = 2147483647")]
    [InlineData("trace = 'not a trace', first_error = '{}', last_error = '{\"Type\":5}'")]
    [InlineData("encoding = 2147483647")]
    [InlineData("encoding = -1")]
    [InlineData("priority = 2147483647, group_limit = -3, rate_key = ''")]
    [InlineData(
        "keys_if_undelivered = '[[2,98,0],[2,99,0],[2,100,0],[2,101,0],[2,102,0],[2,103,0],[2,104,0],[2,105,0],[2,106,0],[2,107,0],"
        + "[2,108,0],[2,109,0]]'")]
    public async Task A_row_of_another_program_ends_as_a_dead_letter_that_can_be_replayed(string columns)
    {
        await using var kv = await FailingAsync(static o => o.KeepAllDeadLetters = true);
        await kv.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await kv.ExecuteAsync(
            $"update queue set {columns}".Replace("{", "{{", StringComparison.Ordinal).Replace("}", "}}", StringComparison.Ordinal));
        await kv.Store.EnqueueAsync(new Job(2), WorkerTesting.Once);

        await kv.DrainAsync();

        Assert.DoesNotContain(_logs.Entries, static e => e.Event is 112 or 114 or 126);
        Assert.Equal(2, (await kv.Queue.ListDeadLettersAsync().ToListAsync()).Count);
        Assert.Equal(2, await kv.Queue.ReplayAllAsync());
        Assert.Equal(2, (await kv.Queue.PeekAsync("job")).Count);
    }

    [Fact]
    public async Task Letters_of_a_topic_that_is_too_long_for_a_key_are_found_by_it()
    {
        var topic = new string('t', 3000);
        await using var kv = await database.StartAsync(
            app => app.HandleTopic(topic, static (_, _) => throw new InvalidOperationException("No.")));
        await kv.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await kv.ExecuteAsync("update queue set topic = {0}", topic);

        await kv.DrainAsync();

        Assert.Equal(topic, Assert.Single(await kv.Queue.ListDeadLettersAsync(topic).ToListAsync()).Topic);
        Assert.Equal(1, await kv.Queue.ReplayAllAsync(topic));
    }

    private Task<KvTestHost> FailingAsync(Action<KvTopicOptions>? options = null) => database.StartAsync(
        app => app
            .Handle<Job>(static (_, _, _) => throw new InvalidOperationException("Not today."))
            .Handle<Note>(static (_, _, _) => throw new InvalidOperationException("Not today."))
            .Topic<Job>(options ?? (static _ => { })),
        logs: _logs);

    [KvMessage("note")]
    private sealed record Note(string Text);
}

public sealed class SqliteDeadLetterTests(SqliteDatabase database) : DeadLetterSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresDeadLetterTests(PostgresDatabase database) : DeadLetterSpec(database), IClassFixture<PostgresDatabase>;
