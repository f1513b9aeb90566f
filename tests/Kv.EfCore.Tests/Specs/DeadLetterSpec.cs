using System.Text;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Dead letters are listed, replayed and deleted as they were read, and hold all of a message.</summary>
public abstract class DeadLetterSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    [Theory]
    [InlineData("{\"Number\":1.10,\"Number\":1e3}")]
    [InlineData("\"\\ud800\"")]
    [InlineData("{\"a\":\"\\ud83d\"}")]
    [InlineData("  [1,  2]")]
    [InlineData("\"\\u0041\"")]
    [InlineData("null")]
    [InlineData("{not json")]
    [InlineData("\u0000")]
    [InlineData("")]
    [InlineData("deep")]
    public async Task A_payload_of_any_kind_of_JSON_is_byte_for_byte_the_same_after_a_replay(string payload)
    {
        var bytes = Encoding.UTF8.GetBytes(payload == "deep" ? new string('[', 64) + new string(']', 64) : payload);
        Assert.Equal(bytes, await ReplayedAsync(bytes, (int)KvEncoding.Json));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(77)]
    public async Task A_binary_payload_of_any_encoding_is_byte_for_byte_the_same_after_a_replay(int encoding)
    {
        byte[] bytes = [0xFF, 0x0F, 0x22, 0x01, 0x61, 0x00, 0x80, 0xFE];
        Assert.Equal(bytes, await ReplayedAsync(bytes, encoding));
    }

    [Fact]
    public async Task Letters_are_listed_by_topic_and_in_the_order_of_their_enqueueing()
    {
        await using var test = await database.CreateStoreAsync(_time);
        for (var i = 0; i < 3; i++)
        {
            await test.Store.Atomic().Enqueue(new Job(i)).Enqueue(new Note($"{i}")).CommitAsync();
        }

        await test.DieAsync("job", "note");

        Assert.Equal(["job", "job", "job", "note", "note", "note"], (await test.DeadLettersAsync()).Select(static l => l.Topic));
        Assert.Equal([0, 1, 2], (await test.Queue().ListDeadLettersAsync("job").ToListAsync()).Select(static l => l.As<Job>()!.Number));
        Assert.Empty(await test.Queue().ListDeadLettersAsync("jo").ToListAsync());
        Assert.Empty(await test.Queue().ListDeadLettersAsync(new string('t', 3000)).ToListAsync());
    }

    [Fact]
    public async Task A_replayed_message_keeps_its_id_its_group_its_priority_and_its_keys_and_begins_anew()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.EnqueueAsync(
            new Job(1), new() { Priority = -7, GroupKey = "g", RateKey = "r", KeysIfUndelivered = [["dead"]] });
        var before = Assert.Single(await test.QueuedAsync());
        await test.DieAsync("job");
        _time.Advance(TimeSpan.FromHours(1));
        var letter = Assert.Single(await test.DeadLettersAsync());

        Assert.True(await test.Queue().ReplayAsync(letter));
        Assert.False(await test.Queue().ReplayAsync(letter));

        var after = Assert.Single(await test.QueuedAsync());
        Assert.Equal((before.Id, before.Topic, before.Type, before.Trace), (after.Id, after.Topic, after.Type, after.Trace));
        Assert.Equal(before.Data, after.Data);
        Assert.Equal((-7, "g", 0, "r"), (after.Priority, after.GroupKey, after.GroupLimit, after.RateKey));
        Assert.Equal(
            (before.KeysIfUndelivered, "[100,1000,5000,30000,60000]", 0, 0),
            (after.KeysIfUndelivered, after.BackoffSchedule, after.Attempt, after.Crashes));
        Assert.Equal(_time.Milliseconds(), after.DueAt);
        Assert.Empty(await test.DeadLettersAsync());
        Assert.Equal(new Job(1), await test.Store.GetAsync<Job>(["dead"]));
    }

    [Fact]
    public async Task A_dead_letter_that_many_replay_at_once_is_enqueued_once()
    {
        await using var test = await database.CreateStoreAsync(_time);
        List<KvTestStore> others = [];
        for (var i = 0; i < 3; i++)
        {
            others.Add(await database.CreateStoreAsync(_time, connectionString: test.ConnectionString));
        }

        for (var i = 0; i < 10; i++)
        {
            await test.Store.EnqueueAsync(new Job(i));
        }

        await test.DieAsync("job");
        var letters = await test.DeadLettersAsync();
        Assert.Equal(10, letters.Count);

        var replayed = await Task.WhenAll(
            others.SelectMany(other => letters.Select(letter => Task.Run(async () => await other.Queue().ReplayAsync(letter)))));

        Assert.Equal(10, replayed.Count(static r => r));
        Assert.Equal(letters.Select(static l => l.Id), (await test.QueuedAsync()).Select(static m => m.Id).Order(StringComparer.Ordinal));
        Assert.Empty(await test.DeadLettersAsync());
        foreach (var other in others)
        {
            await other.DisposeAsync();
        }
    }

    [Theory]
    [InlineData(KvFault.CutCommit)]
    [InlineData(KvFault.CutAnswer)]
    public async Task A_replay_that_is_interrupted_and_done_again_is_one_enqueue_for_each_dead_letter(KvFault fault)
    {
        await using var test = await database.CreateStoreAsync(_time);
        for (var i = 0; i < 5; i++)
        {
            await test.Store.EnqueueAsync(new Job(i));
        }

        await test.DieAsync("job");
        var ids = (await test.DeadLettersAsync()).ConvertAll(static l => l.Id);
        test.Faults.FailEvery(2, fault);
        for (var tries = 0; tries < 10 && (await test.DeadLettersAsync()).Count > 0; tries++)
        {
            try
            {
                await test.Queue().ReplayAllAsync();
            }
            catch (KvException error) when (error.Kind is KvErrorKind.Unavailable or KvErrorKind.CommitUnknown)
            {
                // A caller that is not told tries again.
            }
        }

        test.Faults.Clear();

        Assert.True(test.Faults.CountFailed(fault) >= 2);
        Assert.Empty(await test.DeadLettersAsync());
        Assert.Equal(ids, (await test.QueuedAsync()).Select(static m => m.Id).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task What_matches_is_replayed_or_deleted_and_the_rest_stays()
    {
        await using var test = await database.CreateStoreAsync(_time);
        for (var i = 0; i < 6; i++)
        {
            await test.Store.Atomic().Enqueue(new Job(i)).Enqueue(new Note($"{i}")).CommitAsync();
        }

        await test.DieAsync("job", "note");

        Assert.Equal(3, await test.Queue().ReplayAllAsync("job", static letter => letter.As<Job>()!.Number % 2 == 0));
        Assert.Equal(2, await test.Queue().DeleteAllAsync("job", static letter => letter.As<Job>()!.Number > 2));
        Assert.Equal([1], (await test.Queue().ListDeadLettersAsync("job").ToListAsync()).Select(static l => l.As<Job>()!.Number));
        Assert.Equal(6, await test.Queue().DeleteAllAsync("note"));
        Assert.Equal(1, await test.Queue().ReplayAllAsync());
        Assert.Equal(0, await test.Queue().ReplayAllAsync());
        Assert.Equal(0, await test.Queue().DeleteAllAsync());
        Assert.Equal(4, (await test.QueuedAsync()).Count);
    }

    [Fact]
    public async Task A_letter_that_was_written_anew_is_not_the_one_that_was_read()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.EnqueueAsync(new Job(1));
        await test.DieAsync("job");
        var old = Assert.Single(await test.DeadLettersAsync());
        Assert.True(await test.Queue().ReplayAsync(old));
        await test.DieAsync("job");

        Assert.False(await test.Queue().ReplayAsync(old));
        Assert.False(await test.Queue().DeleteAsync(old));

        var letter = Assert.Single(await test.DeadLettersAsync());
        Assert.Equal(old.Id, letter.Id);
        Assert.True(await test.Queue().DeleteAsync(letter));
        Assert.False(await test.Queue().DeleteAsync(letter));
        test.AssertQueueEmpty();
    }

    [Theory]
    [InlineData("""{"id":"x"}""")]
    [InlineData("""{"id":"x","id":"y","topic":"job","type":"job"}""")]
    [InlineData("""{"id":1}""")]
    [InlineData("\"\\ud800\"")]
    [InlineData("""{"id":"\ud800","encoding":4,"topic":"job","type":"job","reason":""}""")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{")]
    public async Task An_entry_among_the_dead_letters_that_is_none_is_passed_over(string json)
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.SetAsync(["dead_letters", "job", "0"], new KvValue(Encoding.UTF8.GetBytes(json), KvEncoding.Json));
        await test.Store.SetAsync(["dead_letters", "job", "1"], 5UL);
        await test.Store.SetAsync(["dead_letters", 7], "seven");
        await test.Store.EnqueueAsync(new Job(1));
        await test.DieAsync("job");

        Assert.Equal(new Job(1), Assert.Single(await test.DeadLettersAsync()).As<Job>());
        Assert.Equal(1, await test.Queue().ReplayAllAsync());
        Assert.Equal(5UL, await test.Store.GetAsync<ulong>(["dead_letters", "job", "1"]));
    }

    [Fact]
    public async Task A_letter_that_was_not_read_from_a_store_is_refused()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.EnqueueAsync(new Job(1));
        await test.DieAsync("job");
        var letter = Assert.Single(await test.DeadLettersAsync()) with { Entry = null };

        await Assert.ThrowsAsync<ArgumentNullException>(() => test.Queue().ReplayAsync(null!).AsTask());
        await Assert.ThrowsAsync<ArgumentNullException>(() => test.Queue().DeleteAsync(null!).AsTask());
        var error = await Assert.ThrowsAsync<ArgumentException>(() => test.Queue().ReplayAsync(letter).AsTask());
        Assert.Contains("ListDeadLettersAsync", error.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentException>(() => test.Queue().DeleteAsync(letter).AsTask());
        Assert.Single(await test.DeadLettersAsync());
        test.AssertQueueEmpty();
    }

    private async Task<byte[]> ReplayedAsync(byte[] payload, int encoding)
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ExecuteAsync("update queue set data = {0}, encoding = {1}", payload, encoding);
        await test.DieAsync("job");
        test.AssertQueueEmpty();

        Assert.Equal(1, await test.Queue().ReplayAllAsync());

        var row = Assert.Single(await test.QueuedAsync());
        Assert.Equal(encoding, (int)row.Encoding);
        return row.Data;
    }

    [KvMessage("note")]
    private sealed record Note(string Text);
}

public sealed class SqliteDeadLetterTests(SqliteDatabase database) : DeadLetterSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresDeadLetterTests(PostgresDatabase database) : DeadLetterSpec(database), IClassFixture<PostgresDatabase>;
