using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Sqlite;

/// <summary>Messages that a worker here and <c>listenQueue</c> of real Deno have in one file.</summary>
public sealed class DenoMessageTests(SqliteDatabase database, DenoPrograms deno)
    : IClassFixture<SqliteDatabase>, IClassFixture<DenoPrograms>
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_they_enqueue_is_handled_here_as_a_type_and_its_dead_letters_are_theirs_to_read(bool inNode)
    {
        var path = await MakeAsync();
        await deno.RunAsync(inNode, path, "enqueue", "10");
        ConcurrentBag<Work> handled = [];
        await using var test = await OpenAsync(path, worker => worker.HandleTopic("", (context, _) =>
        {
            var work = context.GetPayload<Work>()!;
            handled.Add(work);
            return work.Fails ? throw new InvalidOperationException("As asked.") : Task.CompletedTask;
        }));

        await test.SettleAsync();

        Assert.Equal(Enumerable.Range(0, 10), handled.Select(static w => w.Number).Order());
        Assert.All(handled, static w => Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(w.Number), w.When));
        if (inNode)
        {
            // Its client sends a schedule of retries of its own, whatever it is told.
            return;
        }

        var listed = await deno.RunAsync(inNode, path, "list");
        Assert.Equal(["""["dead",0]""", """["dead",5]"""], listed.EnumerateObject().Select(static p => p.Name));
        Assert.Equal(5, listed.GetProperty("""["dead",5]""").GetProperty("number").GetInt32());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_enqueued_here_they_get_as_a_plain_object(bool inNode)
    {
        var path = await MakeAsync();
        await using var test = await OpenAsync(path, static _ => { });
        for (var i = 0; i < 5; i++)
        {
            await test.Store.EnqueueAsync(new Work(i, DateTimeOffset.UnixEpoch, false));
        }

        var seen = await deno.RunAsync(inNode, path, "listen", "5");

        Assert.Equal(Enumerable.Range(0, 5), seen.EnumerateArray().Select(static m => m.GetProperty("number").GetInt32()).Order());
        Assert.All(seen.EnumerateArray(), static m => Assert.Equal("1970-01-01T00:00:00.000Z", m.GetProperty("when").GetString()));
        test.AssertQueueEmpty();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_message_that_Deno_takes_and_puts_back_keeps_all_that_Deno_does_not_know(bool isOurs)
    {
        var path = await MakeAsync(isOurs);
        List<(string Type, int Attempt)> handled = [];
        await using var test = await OpenAsync(
            path,
            worker => worker.Handle<Work>(
                (_, context, _) =>
                {
                    handled.Add((context.Type, context.Attempt));
                    return Task.CompletedTask;
                },
                "job"),
            isOurs);
        await test.Store.EnqueueAsync(
            new Work(1, DateTimeOffset.UnixEpoch, true),
            new()
            {
                Topic = "job",
                Priority = 7,
                GroupKey = "g",
                UniqueKey = "u",
                UniqueFor = TimeSpan.FromHours(1),
                BackoffSchedule = [TimeSpan.FromHours(1)],
            });
        var before = Assert.Single(await test.QueuedAsync());

        Assert.Equal(1, (await deno.RunAsync(inNode: false, path, "fail", "1")).GetInt32());

        var after = Assert.Single(await test.QueuedAsync());
        Assert.Empty(await test.RunningAsync());
        Assert.Equal(
            (before.Topic, before.Type, before.Encoding, before.Priority, before.GroupKey, before.UniqueKey, before.Attempt + 1),
            (after.Topic, after.Type, after.Encoding, after.Priority, after.GroupKey, after.UniqueKey, after.Attempt));
        Assert.Equal("[]", after.BackoffSchedule);
        await test.ExecuteAsync("update queue set ts = 0");
        await test.SettleAsync();
        Assert.Equal([(before.Type, 2)], handled);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_message_that_Deno_handles_leaves_nothing_behind()
    {
        var path = await MakeAsync();
        await using var test = await OpenAsync(path, static _ => { });
        await test.Store.EnqueueAsync(new Work(1, DateTimeOffset.UnixEpoch, false), new() { Topic = "job" });

        await deno.RunAsync(inNode: false, path, "listen", "1");

        test.AssertQueueEmpty();
        await using var context = test.CreateContext();
        Assert.Equal([0], await context.Database.SqlQuery<int>($"select count(*) as Value from kv_moved_messages").ToListAsync());
    }

    [Fact]
    public async Task A_message_that_Deno_takes_from_a_worker_that_died_keeps_all_that_Deno_does_not_know()
    {
        var path = await MakeAsync();
        await using var test = await OpenAsync(path, static worker => worker.Handle<Work>(static (_, _, _) => Task.CompletedTask, "job"));
        await test.Store.EnqueueAsync(
            new Work(1, DateTimeOffset.UnixEpoch, false), new() { Topic = "job", Priority = 7, BackoffSchedule = [TimeSpan.FromHours(1)] });
        var before = Assert.Single(await test.QueuedAsync());
        await test.Engine().Queue.ClaimAsync(new([new("job", 1, TimeSpan.FromMinutes(1))], 1, "dead"), CancellationToken.None);
        await test.ExecuteAsync("update queue_running set deadline = 1");

        // Its cleaning, at its start, puts back what has lapsed.
        await deno.RunAsync(inNode: false, path, "count", "1");

        var after = Assert.Single(await test.QueuedAsync());
        Assert.Empty(await test.RunningAsync());
        Assert.Equal(
            (before.Topic, before.Type, before.Encoding, before.Priority, before.Attempt + 1),
            (after.Topic, after.Type, after.Encoding, after.Priority, after.Attempt));
    }

    [Fact]
    public async Task A_dead_letter_without_keys_can_be_listed_there_with_all_else()
    {
        var path = await MakeAsync();
        await using var test = await OpenAsync(
            path, static worker => worker.Handle<Work>(static (_, _, _) => throw new InvalidOperationException("As asked.")));
        await test.Store.EnqueueAsync(new Work(1, DateTimeOffset.UnixEpoch, true), WorkerTesting.Once);

        await test.SettleAsync();

        var listed = await deno.RunAsync(inNode: false, path, "list");
        Assert.Single(listed.EnumerateObject());
        var letter = Assert.Single(await test.Queue().ListDeadLettersAsync().ToListAsync());
        Assert.Equal(KvEncoding.V8, letter.Payload.Encoding);
        Assert.Equal(JsonValueKind.Array, listed.EnumerateObject().Single().Value.ValueKind);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task All_that_the_queue_and_the_schedules_note_can_be_listed_there(bool isOurs)
    {
        var path = await MakeAsync(isOurs);
        await using var test = await OpenAsync(
            path,
            static worker =>
            {
                worker.Handle<Work>(static (_, _, _) => throw new InvalidOperationException("As asked."), "job");
                worker.Topic("job", static topic => topic.Rate = new KvRate(2, TimeSpan.FromHours(1)));
                worker.Schedule("minutely", ScheduleTesting.Minutely, new Work(1, DateTimeOffset.UnixEpoch, false));
            },
            isOurs);
        await ScheduleTesting.RoundAsync(test);
        await ScheduleTesting.SchedulesOf(test)
            .SetAsync("at run time", ScheduleTesting.Minutely, new Work(2, DateTimeOffset.UnixEpoch, false));
        await test.Store.EnqueueAsync(
            new Work(3, DateTimeOffset.UnixEpoch, true),
            new() { Topic = "job", UniqueKey = "u", UniqueFor = TimeSpan.FromHours(1), BackoffSchedule = [] });
        await test.SettleAsync();
        await test.Queue().PauseAsync("job");

        var listed = await deno.RunAsync(inNode: false, path, "list");

        var keys = listed.EnumerateObject().Select(static p => p.Name).ToList();
        Assert.All(
            ["[\"dead_letters\",\"job\",", "[\"efkv\",\"paused\",\"job\"]", "[\"efkv\",\"schedules\",\"minutely\"]",
                "[\"efkv\",\"schedules\",\"at run time\"]", "[\"efkv\",\"unique\",\"job\",\"u\"]", "[\"efkv\",\"rate\",\"job\"]"],
            key => Assert.Contains(keys, listed => listed.StartsWith(key, StringComparison.Ordinal)));
        await using var context = test.CreateContext();
        Assert.Empty(await context.Entries.Where(static e => e.Encoding == KvEncoding.Json).ToListAsync());
        Assert.Empty(await context.QueuedMessages.Where(static m => m.Encoding == KvEncoding.Json).ToListAsync());
    }

    [Fact]
    public async Task A_message_of_ours_that_dies_there_is_read_here_under_its_keys()
    {
        var path = await MakeAsync();
        await using var test = await OpenAsync(path, static _ => { });
        var work = new Work(7, DateTimeOffset.UnixEpoch, true);
        await test.Store.EnqueueAsync(work, new() { BackoffSchedule = [], KeysIfUndelivered = [["dead", 1], ["dead", "two"]] });

        await deno.RunAsync(inNode: false, path, "fail", "1");

        Assert.Equal(work, await test.Store.GetAsync<Work>(["dead", 1]));
        Assert.Equal(work, await test.Store.GetAsync<Work>(["dead", "two"]));
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_file_is_taken_over_with_the_messages_that_Deno_has_begun()
    {
        var path = await MakeAsync();
        await deno.RunAsync(inNode: false, path, "enqueue", "5");
        await deno.RunAsync(inNode: false, path, "hold", "3");

        await using var test = await OpenAsync(path, static _ => { });

        Assert.Equal(5, (await test.QueuedAsync()).Count + (await test.RunningAsync()).Count);
        Assert.InRange((await test.RunningAsync()).Count, 3, 5);
    }

    private async Task<string> MakeAsync(bool isOurs = false)
    {
        var path = new SqliteConnectionStringBuilder(await database.CreateEmptyAsync()).DataSource;
        if (!isOurs)
        {
            await deno.RunAsync(inNode: false, path, "make");
        }

        return path;
    }

    private async Task<KvTestStore> OpenAsync(string path, Action<KvWorkerBuilder> handlers, bool isOurs = false)
    {
        var test = await database.CreateWorkerAsync(
            handlers, connectionString: $"Data Source={path}", storeOptions: options => options.SharedWithDeno = isOurs);
        await test.Services.MigrateKvStoreAsync();
        return test;
    }

    private sealed record Work(
        [property: JsonPropertyName("number")] int Number,
        [property: JsonPropertyName("when")] DateTimeOffset When,
        [property: JsonPropertyName("fails")] bool Fails);
}
