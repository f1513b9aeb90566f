using System.Text;
using Kv.Diagnostics;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.Specs;

public abstract class FailureSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly List<int> _attempts = [];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_logger_that_throws_costs_neither_a_message_nor_an_attempt(bool scopesBegin)
    {
        using var logs = new BrokenLogs(scopesBegin);
        await using var test = await database.CreateWorkerAsync(
            worker =>
            {
                worker.Services.AddSingleton<ILoggerProvider>(logs);
                worker.Handle<Job>((_, context, _) =>
                {
                    _attempts.Add(context.Attempt);
                    return context.Attempt == 1 ? throw new InvalidOperationException("The first attempt fails.") : Task.CompletedTask;
                });
            },
            _time);
        await test.Store.EnqueueAsync(new Job(1), new KvEnqueueOptions { BackoffSchedule = [TimeSpan.FromSeconds(1)] });

        await test.SettleAsync();
        _time.Advance(TimeSpan.FromSeconds(1));
        await test.SettleAsync();

        Assert.Equal([1, 2], _attempts);
        test.AssertQueueEmpty();
        Assert.Empty(await test.DeadLettersAsync());
        Assert.NotEqual(0, logs.Count);
    }

    [Fact]
    public async Task A_message_that_fails_is_tried_again_after_its_delays()
    {
        await using var test = await FailingAsync();
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(10)], KeysIfUndelivered = [["dead"], ["too"]] });
        var queued = Assert.Single(await test.QueuedAsync());

        await test.SettleAsync();
        var first = Assert.Single(await test.QueuedAsync());
        Assert.Equal((_time.Milliseconds() + 2000, "[10000]", 1, queued.Id), (first.DueAt, first.BackoffSchedule, first.Attempt, first.Id));

        _time.Advance(TimeSpan.FromMilliseconds(1999));
        await test.SettleAsync();
        Assert.Equal([1], _attempts);

        _time.Advance(TimeSpan.FromMilliseconds(1));
        await test.SettleAsync();
        var second = Assert.Single(await test.QueuedAsync());
        Assert.Equal((_time.Milliseconds() + 10_000, "[]", 2), (second.DueAt, second.BackoffSchedule, second.Attempt));
        Assert.Equal(queued.EnqueuedAt, second.EnqueuedAt);

        _time.Advance(TimeSpan.FromSeconds(10));
        await test.SettleAsync();
        Assert.Equal([1, 2, 3], _attempts);
        test.AssertQueueEmpty();
        var (dead, too) = (await test.Store.GetAsync(["dead"]), await test.Store.GetAsync(["too"]));
        Assert.Equal(queued.Data, dead!.Value.Bytes.ToArray());
        Assert.Equal(queued.Encoding, dead.Value.Encoding);
        Assert.Equal(new Job(1), dead.As<Job>());
        Assert.Equal(dead.Versionstamp, too!.Versionstamp);
        Assert.Empty(await test.DeadLettersAsync());
    }

    [Fact]
    public async Task A_message_without_keys_is_kept_under_the_dead_letter_prefix()
    {
        await using var test = await FailingAsync();
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        var id = Assert.Single(await test.QueuedAsync()).Id;

        await test.SettleAsync();

        Assert.Equal([1], _attempts);
        Assert.NotNull(await test.Store.GetAsync(["dead_letters", "job", id]));
        Assert.Equal(new Job(1), Assert.Single(await test.DeadLettersAsync()).As<Job>());
        Assert.Contains(_logs.Entries, e => e.Event == 105 && e.Text.Contains(id, StringComparison.Ordinal));
        test.AssertQueueEmpty();
    }

    [Theory]
    [InlineData(FailPoints.BeforeCommit, 1)]
    [InlineData(FailPoints.AfterCommit, 1)]
    [InlineData(FailPoints.BeforeCommit, 2)]
    [InlineData(FailPoints.AfterCommit, 2)]
    public async Task Whichever_commit_is_interrupted_on_its_way_a_message_ends_under_its_keys(string point, int interrupted)
    {
        await using var test = await FailingAsync();
        await test.Store.EnqueueAsync(new Job(1), new KvEnqueueOptions { BackoffSchedule = [], KeysIfUndelivered = [["dead"]] });
        var hits = 0;
        test.FailPoints().OnHit = hit =>
            hit == point && Interlocked.Increment(ref hits) == interrupted ? throw new IOException("The connection broke.") : ValueTask.CompletedTask;

        await test.SettleAsync();

        // The claim and the end: a third commit would be one that this does not interrupt.
        Assert.True(hits >= interrupted, $"There were {hits} commits.");
        if (await test.Store.GetAsync(["dead"]) is null)
        {
            // The claim's answer was lost: the message is held until its lease lapses, and then it comes again.
            Assert.Equal(1, interrupted);
            Assert.Single((await test.QueuedAsync()).Select(static m => m.Id).Concat((await test.RunningAsync()).Select(static m => m.Id)));
            return;
        }

        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_payload_that_cannot_be_read_is_a_failed_attempt()
    {
        await using var test = await FailingAsync();
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.Zero] });
        await test.ExecuteAsync("update queue set data = {0}", Encoding.UTF8.GetBytes("{not json"));

        await test.SettleAsync();

        Assert.Empty(_attempts);
        Assert.Contains(_logs.Entries, static e => e.Event == 104);
        Assert.Equal("{not json", Encoding.UTF8.GetString(Assert.Single(await test.DeadLettersAsync()).Payload.Bytes.Span));
        test.AssertQueueEmpty();
    }

    [Theory]
    [InlineData("null")]
    [InlineData("{\"number\":")]
    [InlineData("[1,2]")]
    public async Task Hostile_payloads_block_nothing(string payload)
    {
        var handled = 0;
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, _) => Task.FromResult(handled++)), _time, logs: _logs);
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await test.ExecuteAsync("update queue set data = {0}, encoding = 4", Encoding.UTF8.GetBytes(payload));
        await test.Store.EnqueueAsync(new Job(2));

        await test.SettleAsync();

        Assert.Equal(1, handled);
        Assert.Single(await test.DeadLettersAsync());
    }

    [Fact]
    public async Task A_message_that_has_no_handler_or_cannot_be_read_blocks_nothing_and_is_a_dead_letter_after_its_last_attempt()
    {
        var handled = 0;
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, _) => Task.FromResult(handled++)), _time, logs: _logs);
        await EnqueueUnreadableAsync(test, new() { Topic = "job", BackoffSchedule = [TimeSpan.FromSeconds(1)] });
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Equal(1, handled);
        Assert.All(await test.QueuedAsync(), static message => Assert.Equal(1, message.Attempt));
        Assert.Empty(await test.DeadLettersAsync());
        Assert.Equal(2, _logs.Entries.Count(static e => e.Event == 104));

        _time.Advance(TimeSpan.FromSeconds(1));
        await test.SettleAsync();

        Assert.Equal(2, (await test.DeadLettersAsync()).Count);
        Assert.Equal(2, _logs.Entries.Count(static e => e.Event == 105));
        test.AssertQueueEmpty();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_topic_says_when_what_has_no_handler_and_what_cannot_be_read_is_tried_again(bool byMessage)
    {
        var never = await UnreadableAsync(static topic => topic.UnreadableRetry = KvRetryPolicy.Never, byMessage);
        var twice = await UnreadableAsync(static topic => topic.UnreadableRetry = KvRetryPolicy.Delays(TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(3)), byMessage);
        var asOthers = await UnreadableAsync(
            static topic => topic.Retry = KvRetryPolicy.Delays(TimeSpan.FromSeconds(3)).On<KvUnreadableMessageException>(KvRetryPolicy.Never), byMessage);

        Assert.Equal((0, 2), never);
        Assert.Equal((2, 0), twice);
        Assert.Equal(byMessage ? (2, 0) : (0, 2), asOthers);
    }

    [Fact]
    public async Task A_failure_of_the_handler_is_not_a_message_that_cannot_be_read()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker
                .Handle<Job>((_, context, _) => Task.FromResult(context.GetCheckpoint<Job>() ?? throw new KvException(KvErrorKind.Encoding, "A value cannot be read.")))
                .Topic<Job>(static topic => topic.UnreadableRetry = KvRetryPolicy.Never),
            _time);
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Equal(1, Assert.Single(await test.QueuedAsync()).Attempt);
        Assert.Empty(await test.DeadLettersAsync());
    }

    [Theory]
    [InlineData("backoff_schedule", "not json")]
    [InlineData("backoff_schedule", "{\"a\":1}")]
    [InlineData("backoff_schedule", "[null]")]
    [InlineData("backoff_schedule", "[\"1\"]")]
    [InlineData("backoff_schedule", "null")]
    [InlineData("keys_if_undelivered", "not json")]
    [InlineData("keys_if_undelivered", "[null]")]
    [InlineData("keys_if_undelivered", "[[300]]")]
    [InlineData("keys_if_undelivered", "[[]]")]
    [InlineData("keys_if_undelivered", "[[9,9]]")]
    [InlineData("keys_if_undelivered", "[2,98,0]")]
    public async Task A_column_that_cannot_be_read_stops_nothing(string column, string text)
    {
        await using var test = await FailingAsync();
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await test.ExecuteAsync($"update queue set {column} = {{0}}", text);

        await test.SettleAsync();

        Assert.Single(_attempts);
        Assert.Equal(new Job(1), Assert.Single(await test.DeadLettersAsync()).As<Job>());
        Assert.Equal(text != "null", _logs.Entries.Any(e => e.Event == 109 && e.Text.Contains(column, StringComparison.Ordinal)));
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task Waits_out_of_bounds_are_drawn_to_the_bounds()
    {
        await using var test = await FailingAsync();
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await test.ExecuteAsync("update queue set backoff_schedule = '[-5,1e300,0.5]'");

        await test.SettleAsync();

        Assert.Equal([1, 2], _attempts);
        Assert.Equal(_time.Milliseconds() + (long)KvLimits.MaxBackoffInterval.TotalMilliseconds, Assert.Single(await test.QueuedAsync()).DueAt);
    }

    [Fact]
    public async Task A_key_or_a_topic_that_is_too_long_does_not_keep_a_message_from_its_end()
    {
        var topic = new string('t', 2100);
        await using var test = await database.CreateWorkerAsync(
            worker => worker.HandleTopic(topic, static (_, _) => throw new InvalidOperationException("No.")), _time, logs: _logs);
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await test.ExecuteAsync("update queue set topic = {0}, keys_if_undelivered = {1}", topic, $"[[2,{string.Join(',', Enumerable.Repeat(98, 3000))},0]]");

        await test.SettleAsync();

        Assert.Equal(new Job(1), Assert.Single(await test.DeadLettersAsync()).As<Job>());
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task Due_times_at_the_ends_of_time_stop_nothing()
    {
        await using var test = await FailingAsync();
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await test.ExecuteAsync("update queue set ts = -1");
        await test.Store.EnqueueAsync(new Job(2), WorkerTesting.Once);
        await test.ExecuteAsync("update queue set ts = 9223372036854775807 where ts > 0");

        await test.SettleAsync();

        Assert.Single(_attempts);
        Assert.Single(await test.QueuedAsync());
    }

    protected Task<KvTestStore> FailingAsync() => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((_, context, _) =>
        {
            _attempts.Add(context.Attempt);
            throw new InvalidOperationException("Not today.");
        }),
        _time,
        logs: _logs);

    // One with a name that has no handler, and one whose payload is none of its handler's type.
    private static async Task EnqueueUnreadableAsync(KvTestStore test, KvEnqueueOptions options)
    {
        await test.Store.EnqueueAsync("not a job", options);
        await test.Store.EnqueueAsync(new Job(2), options);
        await test.ExecuteAsync("update queue set data = {0} where type = 'job'", Encoding.UTF8.GetBytes("[]"));
    }

    private async Task<(int Waiting, int DeadLetters)> UnreadableAsync(Action<KvTopicOptions> topic, bool byMessage)
    {
        await using var test = await database.CreateWorkerAsync(worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask).Topic<Job>(topic), _time);
        await EnqueueUnreadableAsync(test, new() { Topic = "job", BackoffSchedule = byMessage ? [TimeSpan.FromSeconds(3)] : null });
        await test.SettleAsync();
        return ((await test.QueuedAsync()).Count, (await test.DeadLettersAsync()).Count);
    }

    protected async Task Number_beyond_its_column_blocks_nothing(string column)
    {
        await using var test = await FailingAsync();
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await test.ExecuteAsync($"update queue set {column} = 5000000000");
        await test.Store.EnqueueAsync(new Job(2), WorkerTesting.Once);

        await test.SettleAsync();

        Assert.Equal(2, (await test.DeadLettersAsync()).Count);
        test.AssertQueueEmpty();
    }

    protected async Task Blob_in_the_place_of_text_is_read_as_text()
    {
        await using var test = await FailingAsync();
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await test.ExecuteAsync("update queue set keys_if_undelivered = cast('[[2,98,0]]' as blob), backoff_schedule = cast('[]' as blob)");
        await test.Store.EnqueueAsync(new Job(2), WorkerTesting.Once);
        await test.ExecuteAsync("update queue set keys_if_undelivered = x'ff00fe' where keys_if_undelivered = '[]'");

        await test.SettleAsync();

        Assert.Equal(new Job(1), await test.Store.GetAsync<Job>(["b"]));
        Assert.Equal(new Job(2), Assert.Single(await test.DeadLettersAsync()).As<Job>());
        test.AssertQueueEmpty();
    }
}

public sealed class SqliteFailureTests(SqliteDatabase database) : FailureSpec(database), IClassFixture<SqliteDatabase>
{
    [Fact]
    public Task A_blob_in_the_place_of_text_is_read_as_text() => Blob_in_the_place_of_text_is_read_as_text();

    [Theory]
    [InlineData("attempt")]
    [InlineData("crashes")]
    [InlineData("encoding")]
    [InlineData("group_limit")]
    [InlineData("checkpoint_encoding")]
    public Task A_number_beyond_its_column_blocks_nothing(string column) => Number_beyond_its_column_blocks_nothing(column);
}

public sealed class PostgresFailureTests(PostgresDatabase database) : FailureSpec(database), IClassFixture<PostgresDatabase>;
