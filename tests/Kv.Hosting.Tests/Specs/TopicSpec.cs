using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

public abstract class TopicSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly Gate _gate = new();

    [Theory]
    [InlineData(10, 5)]
    [InlineData(4, 4)]
    public async Task Each_topic_has_its_own_concurrency_within_that_of_the_worker(int total, int expected)
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(HoldAsync).Handle<Mail>(HoldAsync).Topic<Job>(static o => o.Concurrency = 2).Topic<Mail>(static o => o.Concurrency = 3),
            _time,
            options => options.Concurrency = total);
        for (var i = 0; i < 6; i++)
        {
            await test.Store.Atomic().Enqueue(new Job(i)).Enqueue(new Mail(i)).CommitAsync();
        }

        await test.ClaimAsync();
        await test.ClaimAsync();

        var running = (await test.RunningAsync()).CountBy(static m => m.Topic).ToDictionary();
        Assert.Equal(expected, running.Values.Sum());
        Assert.InRange(running["job"], 1, 2);
        Assert.InRange(running["mail"], 1, 3);
        _gate.Open();
        await test.IdleAsync();
    }

    [Fact]
    public async Task A_busy_topic_does_not_keep_the_others_from_their_turn()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(HoldAsync).Handle<Mail>(static (_, _, _) => Task.CompletedTask).Topic<Job>(static o => o.Concurrency = 1),
            _time,
            static options => options.Concurrency = 2);
        await test.Store.Atomic().Enqueue(new Job(1)).Enqueue(new Job(2)).Enqueue(new Mail(1)).Enqueue(new Mail(2)).CommitAsync();

        for (var i = 0; i < 5 && (await test.QueuedAsync()).Exists(static m => m.Topic == "mail"); i++)
        {
            await test.ClaimAsync();
            await Task.WhenAll(test.Worker().Running.Where(static h => h.Message.Topic == "mail").Select(static h => h.Ended)).WaitAsync(WorkerTesting.Patience);
        }

        await test.ClaimAsync();
        await _gate.Begun;
        Assert.Equal("job", Assert.Single(await test.QueuedAsync()).Topic);
        _gate.Open();
        await test.IdleAsync();
    }

    [Fact]
    public async Task A_message_is_leased_extended_and_recovered_by_the_lease_of_its_topic()
    {
        await using var crashed = await LeasedAsync();
        await crashed.Store.Atomic().Enqueue(new Job(1)).Enqueue(new Mail(1)).CommitAsync();
        await crashed.ClaimAsync();
        Assert.Equal([("job", 4_750L), ("mail", 28_500L)], await LeasesAsync(crashed));

        _time.Advance(TimeSpan.FromSeconds(4));
        Assert.True(crashed.Worker().Heartbeat.Beat());
        Assert.Equal([("job", 4_750L), ("mail", 28_500L)], await LeasesAsync(crashed));

        // A worker that begins watches what it finds for a lease before it believes in its deadline.
        await using var other = await LeasedAsync(crashed);
        await other.ClaimAsync();
        _time.Advance(TimeSpan.FromSeconds(5));
        await other.ClaimAsync();
        await other.ClaimAsync();
        Assert.Equal("job", Assert.Single(other.Worker().Running).Message.Topic);
        Assert.Equal([("job", 4_750L), ("mail", 23_500L)], await LeasesAsync(crashed));
        _gate.Open();
        await other.IdleAsync();
        await crashed.IdleAsync();
    }

    [Fact]
    public async Task A_handler_is_told_that_its_lease_is_over_by_the_lease_of_its_topic()
    {
        var mails = new Gate();
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(HoldAsync).Handle<Mail>((_, context, token) => mails.PassAsync(context, token)).Topic<Job>(static o => o.Lease = TimeSpan.FromSeconds(5)),
            _time,
            logs: _logs);
        await test.Store.Atomic().Enqueue(new Job(1)).Enqueue(new Mail(1)).CommitAsync();
        await test.ClaimAsync();
        await _gate.Begun;
        await mails.Begun;
        await test.ExecuteAsync("alter table queue_running rename to away");

        _time.Advance(TimeSpan.FromSeconds(4.6));
        test.Worker().Heartbeat.Beat();

        Assert.True(_gate.Token.IsCancellationRequested);
        Assert.False(mails.Token.IsCancellationRequested);
        await test.ExecuteAsync("alter table away rename to queue_running");
        mails.Open();
        await test.IdleAsync();
    }

    [Fact]
    public async Task A_process_claims_only_the_topics_that_it_handles()
    {
        List<string> seen = [];
        await using var jobs = await database.CreateWorkerAsync(worker => worker.Handle<Job>((_, _, _) => NoteAsync("jobs")), _time);
        await using var mails = await database.CreateWorkerAsync(worker => worker.Handle<Mail>((_, _, _) => NoteAsync("mails")), _time, beside: jobs);
        await jobs.Store.Atomic().Enqueue(new Job(1)).Enqueue(new Mail(1)).Enqueue("nobody's", new() { Topic = "other" }).CommitAsync();

        await jobs.SettleAsync();
        Assert.Equal(["jobs"], seen);
        await mails.SettleAsync();

        Assert.Equal(["jobs", "mails"], seen);
        Assert.Equal("other", Assert.Single(await jobs.QueuedAsync()).Topic);

        Task NoteAsync(string text)
        {
            lock (seen)
            {
                seen.Add(text);
            }

            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task A_type_can_have_a_handler_for_each_topic_that_it_comes_by()
    {
        List<(string Topic, int Number)> seen = [];
        await using var test = await database.CreateWorkerAsync(
            worker =>
            {
                worker.Services.AddSingleton(seen);
                worker.Handle<Job>((job, context, _) => NoteAsync(context.Topic, job.Number)).Handle<Job, SlowJobs>("slow");
            },
            _time);
        await test.Store.EnqueueAsync(new Job(1));
        await test.Store.EnqueueAsync(new Job(2), new() { Topic = "slow" });

        await test.SettleAsync();

        Assert.Equal([("job", 1), ("slow class", 2)], seen.OrderBy(static s => s.Number));
        test.AssertQueueEmpty();

        Task NoteAsync(string topic, int number)
        {
            lock (seen)
            {
                seen.Add((topic, number));
            }

            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task A_handler_that_takes_longer_than_its_topic_allows_is_cancelled_and_its_attempt_has_failed()
    {
        await using var test = await TimedAsync(HoldAsync);
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.FromSeconds(7)] });
        await test.ClaimAsync();
        await _gate.Begun;

        _time.Advance(TimeSpan.FromSeconds(9));
        Assert.False(_gate.Token.IsCancellationRequested);
        _time.Advance(TimeSpan.FromSeconds(1));
        await test.IdleAsync();

        Assert.True(_gate.Token.IsCancellationRequested);
        var row = Assert.Single(await test.QueuedAsync());
        Assert.Equal((1, _time.Milliseconds() + 7_000), (row.Attempt, row.DueAt));
        var error = (await test.Queue().GetAsync(row.Id))!.LastError!;
        Assert.Equal(typeof(TimeoutException).FullName, error.Type);
        Assert.Contains("00:00:10", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_handler_that_ends_well_has_done_its_work_however_late()
    {
        await using var test = await TimedAsync((_, context, token) => _gate.PassStubbornlyAsync(context, token));
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;

        _time.Advance(TimeSpan.FromSeconds(11));
        Assert.True(_gate.Token.IsCancellationRequested);
        _gate.Open();
        await test.IdleAsync();

        test.AssertQueueEmpty();
        Assert.Empty(await test.DeadLettersAsync());
    }

    [Fact]
    public void Topic_options_that_cannot_work_say_which_and_what_would()
    {
        var worker = new ServiceCollection().AddKvWorker();

        Refused("Concurrency is 0", static o => o.Concurrency = 0);
        Refused("Concurrency is 1001", static o => o.Concurrency = 1001);
        Refused("Lease is 00:00:00.9990000", static o => o.Lease = TimeSpan.FromMilliseconds(999));
        Refused("Lease is 01:00:01", static o => o.Lease = TimeSpan.FromSeconds(3601));
        Refused("DeadLetterExpiry is 00:00:00", static o => o.DeadLetterExpiry = TimeSpan.Zero);
        Refused("HandlerTimeout is 00:00:00", static o => o.HandlerTimeout = TimeSpan.Zero);
        Refused("HandlerTimeout is 60.00:00:00", static o => o.HandlerTimeout = TimeSpan.FromDays(60));
        Assert.Throws<ArgumentException>(() => worker.Topic("a\nb", static _ => { }));
        Assert.Throws<ArgumentException>(() => worker.Topic(new string('a', 201), static _ => { }));
        Assert.Throws<ArgumentException>(() => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask, "a\0"));
        Assert.Throws<ArgumentException>(() => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask, "\ud800"));
        Assert.Throws<ArgumentNullException>(() => worker.Topic("job", null!));

        void Refused(string what, Action<KvTopicOptions> change)
        {
            var error = Assert.Throws<ArgumentException>(() => worker.Topic($"topic {what}", change));
            Assert.Contains($"'topic {what}': {what}; it must be", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Keys_and_topics_at_their_limits_are_stored_as_they_are()
    {
        var longest = string.Concat(Enumerable.Repeat("\uffff", 200));
        var emoji = string.Concat(Enumerable.Repeat("😀", 100));
        var rate = new KvRate(10, TimeSpan.FromSeconds(1));
        await using var test = await database.CreateWorkerAsync(worker => worker
            .HandleTopic(longest, static (_, _) => Task.CompletedTask).Topic(longest, topic => (topic.Rate, topic.RatePerKey) = (rate, rate)));
        KvEnqueueOptions options = new()
        {
            Topic = longest,
            Priority = -100,
            GroupKey = emoji,
            RateKey = longest,
            UniqueKey = longest,
            UniqueFor = TimeSpan.FromDays(30),
            IfDuplicate = KvDuplicatePolicy.Replace,
        };

        await test.Store.EnqueueAsync(new Job(1), options);
        var row = Assert.Single(await test.QueuedAsync());
        Assert.Equal((longest, emoji, longest, longest), (row.Topic, row.GroupKey, row.RateKey, row.UniqueKey));
        await test.SettleAsync();

        test.AssertQueueEmpty();
        Assert.Equal(1, await test.Store.CountAsync(KvRange.Prefix(["efkv", "unique"])));
    }

    private Task HoldAsync<T>(T message, KvMessageContext context, CancellationToken token) => _gate.PassAsync(context, token);

    private Task<KvTestStore> LeasedAsync(KvTestStore? beside = null) => database.CreateWorkerAsync(
        worker => worker.Handle<Job>(HoldAsync).Handle<Mail>(HoldAsync).Topic<Job>(static o => o.Lease = TimeSpan.FromSeconds(5)),
        _time,
        beside: beside,
        logs: _logs);

    private Task<KvTestStore> TimedAsync(Func<Job, KvMessageContext, CancellationToken, Task> handle) => database.CreateWorkerAsync(
        worker => worker.Handle(handle).Topic<Job>(static o => o.HandlerTimeout = TimeSpan.FromSeconds(10)), _time, logs: _logs);

    private async Task<List<(string Topic, long Left)>> LeasesAsync(KvTestStore test) =>
        [.. (await test.RunningAsync()).Select(m => (m.Topic, m.Deadline - _time.Milliseconds())).OrderBy(static m => m.Topic, StringComparer.Ordinal)];

    [KvMessage("mail")]
    private sealed record Mail(int Number);

    private sealed class SlowJobs(List<(string Topic, int Number)> seen) : IKvMessageHandler<Job>
    {
        public Task HandleAsync(Job message, KvMessageContext context, CancellationToken cancellationToken)
        {
            lock (seen)
            {
                seen.Add(($"{context.Topic} class", message.Number));
            }

            return Task.CompletedTask;
        }
    }
}

public sealed class SqliteTopicTests(SqliteDatabase database) : TopicSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresTopicTests(PostgresDatabase database) : TopicSpec(database), IClassFixture<PostgresDatabase>;
