using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class RetrySpec(KvDatabase database)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();

    [Fact]
    public async Task The_delays_of_a_message_win_over_the_policy_of_its_topic()
    {
        await using var test = await FailingAsync(KvRetryPolicy.Delays(Minute));
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.FromSeconds(7)] });

        await test.SettleAsync();

        Assert.Equal(_time.Milliseconds() + 7_000, Assert.Single(await test.QueuedAsync()).DueAt);
    }

    [Fact]
    public async Task A_message_without_a_schedule_goes_by_the_policy_of_its_topic_to_its_end()
    {
        await using var test = await FailingAsync(KvRetryPolicy.Delays(Minute, Minute * 5));
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();
        Assert.Equal((_time.Milliseconds() + 60_000, 1), await NextAsync(test));
        _time.Advance(Minute);
        await test.SettleAsync();
        Assert.Equal((_time.Milliseconds() + 300_000, 2), await NextAsync(test));
        _time.Advance(Minute * 5);
        await test.SettleAsync();

        await test.AssertEmptyAsync();
        Assert.Equal(3, Assert.Single(await test.DeadLettersAsync()).Attempts);
    }

    [Fact]
    public async Task A_rule_for_an_exception_ends_a_message_at_once()
    {
        var policy = KvRetryPolicy.Exponential(5, Minute).On<ArgumentException>(KvRetryPolicy.Never);
        await using var test = await FailingAsync(policy, static () => new ArgumentNullException("order"));
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        await test.AssertEmptyAsync();
        Assert.Equal(typeof(ArgumentNullException).FullName, Assert.Single(await test.DeadLettersAsync()).LastError!.Type);
    }

    [Fact]
    public async Task A_snooze_costs_no_attempt_however_often()
    {
        List<int> attempts = [];
        await using var test = await DecidingAsync(context =>
        {
            attempts.Add(context.Attempt);
            if (attempts.Count <= 10)
            {
                context.Snooze(Minute);
            }
        });
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await test.SettleAsync();
        var row = Assert.Single(await test.QueuedAsync());
        Assert.Equal((_time.Milliseconds() + 60_000, 0, "[]", (string?)null), (row.DueAt, row.Attempt, row.BackoffSchedule, row.LastError));
        for (var i = 0; i < 10; i++)
        {
            _time.Advance(Minute);
            await test.SettleAsync();
        }

        Assert.Equal(Enumerable.Repeat(1, 11), attempts);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_handler_chooses_when_it_is_tried_again_whatever_the_schedule_says()
    {
        var runs = 0;
        await using var test = await DecidingAsync(context =>
        {
            switch (runs++)
            {
                case 0:
                    context.RetryIn(TimeSpan.FromSeconds(30));
                    break;
                case 1:
                    context.RetryAt(_time.GetUtcNow() + TimeSpan.FromHours(1));
                    break;
                case 2:
                    context.RetryAt(_time.GetUtcNow() - TimeSpan.FromHours(1));
                    break;
                default:
                    break;
            }
        });
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await test.SettleAsync();
        Assert.Equal((_time.Milliseconds() + 30_000, 1), await NextAsync(test));
        Assert.Contains("asked for another attempt", (await InfoAsync(test)).LastError!.Message, StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromSeconds(30));
        await test.SettleAsync();
        Assert.Equal((_time.Milliseconds() + 3_600_000, 2), await NextAsync(test));
        _time.Advance(TimeSpan.FromHours(1));
        await test.SettleAsync();

        Assert.Equal(4, runs);
        await test.AssertEmptyAsync();
        Assert.Empty(await test.DeadLettersAsync());
    }

    [Fact]
    public async Task A_handler_gives_a_message_up_with_its_reason_and_without_an_error()
    {
        await using var test = await DecidingAsync(static context => context.DeadLetter("The customer is gone."));
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        await test.AssertEmptyAsync();
        var letter = Assert.Single(await test.DeadLettersAsync());
        Assert.Equal(("The customer is gone.", null, null, 0), (letter.Reason, letter.FirstError, letter.LastError, letter.Attempts));
        Assert.Contains(_logs.Entries, static e => e.Event == 105 && e.Text.Contains("The customer is gone.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_decision_counts_even_if_the_handler_throws_and_the_error_is_kept_with_it()
    {
        var runs = 0;
        await using var test = await DecidingAsync(context =>
        {
            Action decide = runs++ switch
            {
                0 => () => context.RetryIn(Minute),
                1 => () => context.Snooze(Minute),
                _ => () => context.DeadLetter("Enough."),
            };
            decide();
            throw new InvalidOperationException($"Run {runs}.");
        });
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await test.SettleAsync();
        Assert.Equal((_time.Milliseconds() + 60_000, 1), await NextAsync(test));
        Assert.Equal("Run 1.", (await InfoAsync(test)).LastError!.Message);
        _time.Advance(Minute);
        await test.SettleAsync();
        Assert.Equal((_time.Milliseconds() + 60_000, 1), await NextAsync(test));
        Assert.Contains(_logs.Entries, static e => e.Event == 124);
        _time.Advance(Minute);
        await test.SettleAsync();

        var letter = Assert.Single(await test.DeadLettersAsync());
        Assert.Equal(
            ("Enough.", "Run 1.", "Run 3.", 2), (letter.Reason, letter.FirstError!.Message, letter.LastError!.Message, letter.Attempts));
    }

    [Fact]
    public async Task The_last_decision_counts_and_none_does_after_completion()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (job, context, token) =>
            {
                context.DeadLetter("No.");
                if (job.Number == 1)
                {
                    context.Snooze(Minute);
                    return;
                }

                await context.CompleteAsync(static write => write.Set(["done"], true), token);
                context.RetryIn(Minute);
            }),
            _time,
            logs: _logs);
        await test.Store.EnqueueAsync(new Job(1));
        await test.Store.EnqueueAsync(new Job(2));

        await test.SettleAsync();

        Assert.Equal(new Job(1), System.Text.Json.JsonSerializer.Deserialize<Job>((await InfoAsync(test)).Payload.Bytes.Span));
        Assert.Empty(await test.DeadLettersAsync());
        Assert.True(await test.Store.GetAsync<bool>(["done"]));
    }

    [Fact]
    public async Task Decisions_that_cannot_be_are_refused_and_change_nothing()
    {
        await using var test = await DecidingAsync(context =>
        {
            var long_ = TimeSpan.FromDays(30) + TimeSpan.FromMilliseconds(1);
            Assert.Equal("delay", Assert.Throws<ArgumentException>(() => context.Snooze(-Minute)).ParamName);
            Assert.Throws<ArgumentException>(() => context.Snooze(long_));
            Assert.Throws<ArgumentException>(() => context.RetryIn(-Minute));
            Assert.Throws<ArgumentException>(() => context.RetryIn(long_));
            Assert.Equal("time", Assert.Throws<ArgumentException>(() => context.RetryAt(DateTimeOffset.MaxValue)).ParamName);
            Assert.Throws<ArgumentException>(() => context.DeadLetter(" "));
            Assert.Throws<ArgumentNullException>(() => context.DeadLetter(null!));
        });
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        await test.AssertEmptyAsync();
        Assert.Empty(await test.DeadLettersAsync());
    }

    private Task<KvTestStore> FailingAsync(KvRetryPolicy? policy, Func<Exception>? error = null) => database.CreateWorkerAsync(
        worker => worker
            .Handle<Job>((_, _, _) => throw (error?.Invoke() ?? new InvalidOperationException("Not today.")))
            .Topic<Job>(o => o.Retry = policy),
        _time,
        logs: _logs);

    private Task<KvTestStore> DecidingAsync(Action<KvMessageContext> decide) => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((_, context, _) =>
        {
            decide(context);
            return Task.CompletedTask;
        }),
        _time,
        logs: _logs);

    private static async Task<(long DueAt, int Attempt)> NextAsync(KvTestStore test)
    {
        var row = Assert.Single(await test.QueuedAsync());
        return (row.DueAt, row.Attempt);
    }

    private static async Task<KvMessageInfo> InfoAsync(KvTestStore test) =>
        (await test.Queue().GetAsync(Assert.Single(await test.QueuedAsync()).Id))!;
}

public sealed class SqliteRetryTests(SqliteDatabase database) : RetrySpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresRetryTests(PostgresDatabase database) : RetrySpec(database), IClassFixture<PostgresDatabase>;
