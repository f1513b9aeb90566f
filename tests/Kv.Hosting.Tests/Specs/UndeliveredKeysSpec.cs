using System.Text.Json;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

/// <summary>Whatever is wrong with one of the keys of a message that cannot be delivered, the others are written.</summary>
public abstract class UndeliveredKeysSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();

    public static TheoryData<string, string> Bad => new()
    {
        { "[]", "an empty key" },
        { $"[2,{string.Join(',', Enumerable.Repeat(98, 3000))},0]", "3002 bytes" },
        { $"[2,{string.Join(',', Enumerable.Repeat(98, 2047))},0]", "2049 bytes" },
        { "[9,9]", "[9,9], which is no key" },
        { "[300]", "[300]" },
        { "[-1]", "[-1]" },
        { "[0.5]", "[0.5]" },
        { "null", "null" },
        { "\"text\"", "text" },
        { "{\"a\":1}", "{\"a\":1}" },
        { "[[2,98,0]]", "[[2,98,0]]" },
    };

    [Theory]
    [MemberData(nameof(Bad))]
    public async Task A_key_that_cannot_be_written_takes_no_other_along_and_the_dead_letter_names_it(string bad, string named)
    {
        await using var test = await FailingAsync();
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await test.ExecuteAsync("update queue set keys_if_undelivered = {0}", $"[[2,97,0],{bad},[2,98,0]]");

        await test.SettleAsync();

        Assert.Equal(new Job(1), await test.Store.GetAsync<Job>(["a"]));
        Assert.Equal(new Job(1), await test.Store.GetAsync<Job>(["b"]));
        var letter = Assert.Single(await test.DeadLettersAsync());
        Assert.Contains(named, letter.Reason, StringComparison.Ordinal);
        Assert.StartsWith("Not today.", letter.Reason, StringComparison.Ordinal);
        Assert.Subset(letter.KeysIfUndelivered.ToHashSet(), new HashSet<KvKey> { KvKey.Parse("[\"a\"]"), KvKey.Parse("[\"b\"]") });
        Assert.Contains(_logs.Entries, e => e.Event == 109 && e.Text.Contains(named, StringComparison.Ordinal));
        test.AssertQueueEmpty();
        Assert.True(await test.Queue().ReplayAsync(letter));
    }

    [Theory]
    [InlineData(11)]
    [InlineData(300)]
    public async Task More_keys_than_a_message_is_enqueued_with_are_all_written(int count)
    {
        await using var test = await FailingAsync();
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        KvKey[] keys = [.. Enumerable.Range(0, count).Select(static n => KvKey.Parse($"[\"dead\",{n}]"))];
        await test.ExecuteAsync("update queue set keys_if_undelivered = {0}", JsonSerializer.Serialize(keys.Select(static k => k.Encoded.ToArray().Select(static b => (int)b))));

        await test.SettleAsync();

        Assert.Equal(count, await test.Store.CountAsync(KvRange.Prefix(["dead"])));
        Assert.Empty(await test.DeadLettersAsync());
        Assert.DoesNotContain(_logs.Entries, static e => e.Event == 109);
        test.AssertQueueEmpty();
    }

    protected Task<KvTestStore> FailingAsync(string? connectionString = null, string topic = "job") => database.CreateWorkerAsync(
        worker =>
        {
            if (topic.Length > 0)
            {
                worker.Handle<Job>(static (_, _, _) => throw new InvalidOperationException("Not today."));
            }
            else
            {
                worker.HandleTopic("", static (_, _) => throw new InvalidOperationException("Not today."));
            }
        },
        _time,
        logs: _logs,
        connectionString: connectionString);
}

public sealed class SqliteUndeliveredKeysTests(SqliteDatabase database) : UndeliveredKeysSpec(database), IClassFixture<SqliteDatabase>
{
    private readonly SqliteDatabase _database = database;

    [Theory]
    [InlineData("[]")]
    [InlineData("[[],[2,97,0]]")]
    public async Task In_a_file_that_Deno_made_a_dead_letter_is_stored_in_a_form_that_Deno_reads_and_replayed_all_the_same(string keys)
    {
        var file = await _database.CreateMigratedAsync();
        await using var test = await FailingAsync(file, topic: "");
        await test.ExecuteAsync("drop table migration_state");
        await test.ExecuteAsync("create table migration_state (k integer not null primary key, version integer not null)");
        await test.ExecuteAsync("insert into migration_state values (0, 3)");
        await test.ExecuteAsync("insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered) values (1, 'x', x'ff0f4902', '[]', {0})", keys);

        await test.SettleAsync();

        var letter = Assert.Single(await test.DeadLettersAsync());
        Assert.Equal("FF0F4902", Convert.ToHexString(letter.Payload.Bytes.Span));
        Assert.Equal(KvEncoding.V8, letter.Payload.Encoding);
        await using (var context = test.CreateContext())
        {
            Assert.DoesNotContain(await context.Set<Model.StoredEntry>().Select(static e => e.Encoding).ToListAsync(), static e => e == KvEncoding.Json);
        }

        Assert.True(await test.Queue().ReplayAsync(letter));
        Assert.Equal("x", Assert.Single(await test.QueuedAsync()).Id);
    }

    [Fact]
    public async Task In_a_file_that_Deno_made_nothing_of_JSON_is_written_under_keys()
    {
        var file = await _database.CreateMigratedAsync();
        await using var test = await FailingAsync(file, topic: "");
        await test.ExecuteAsync("drop table migration_state");
        await test.ExecuteAsync("create table migration_state (k integer not null primary key, version integer not null)");
        await test.ExecuteAsync("insert into migration_state values (0, 3)");
        await test.ExecuteAsync("insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered, encoding) values (1, 'x', x'7b7d', '[]', '[[2,97,0]]', 4)");

        await test.SettleAsync();

        Assert.False(await test.Store.ExistsAsync(["a"]));
        var letter = Assert.Single(await test.DeadLettersAsync());
        Assert.Contains("[\"a\"]", letter.Reason, StringComparison.Ordinal);
        Assert.Equal("7B7D", Convert.ToHexString(letter.Payload.Bytes.Span));
        test.AssertQueueEmpty();
    }
}

public sealed class PostgresUndeliveredKeysTests(PostgresDatabase database) : UndeliveredKeysSpec(database), IClassFixture<PostgresDatabase>;
