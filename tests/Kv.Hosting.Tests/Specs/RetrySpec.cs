using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class RetrySpec(KvDatabase database)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private readonly LogCollector _logs = new();

    [Fact]
    public async Task The_delays_of_a_message_win_over_the_policy_of_its_topic()
    {
        await using var kv = await FailingAsync(KvRetryPolicy.Delays(Minute));
        await kv.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.FromSeconds(7)] });

        await kv.DrainAsync();

        kv.AssertEnqueued<Job>(due: kv.Now.AddSeconds(7));
    }

    [Fact]
    public async Task A_message_without_a_schedule_goes_by_the_policy_of_its_topic_to_its_end()
    {
        await using var kv = await FailingAsync(KvRetryPolicy.Delays(Minute, Minute * 5));
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();
        Assert.Equal(1, kv.AssertEnqueued<Job>(due: kv.Now + Minute).FailedAttempts);
        await kv.AdvanceAsync(Minute);
        Assert.Equal(2, kv.AssertEnqueued<Job>(due: kv.Now + (Minute * 5)).FailedAttempts);
        await kv.AdvanceAsync(Minute * 5);

        kv.AssertQueueEmpty();
        Assert.Equal(3, kv.AssertDeadLetter<Job>().Attempts);
    }

    [Fact]
    public async Task A_rule_for_an_exception_ends_a_message_at_once()
    {
        var policy = KvRetryPolicy.Exponential(5, Minute).On<ArgumentException>(KvRetryPolicy.Never);
        await using var kv = await FailingAsync(policy, static () => new ArgumentNullException("order"));
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        kv.AssertQueueEmpty();
        Assert.Equal(typeof(ArgumentNullException).FullName, kv.AssertDeadLetter<Job>().LastError!.Type);
    }

    [Fact]
    public async Task A_snooze_costs_no_attempt_however_often()
    {
        var left = 10;
        await using var kv = await database.StartDecidingAsync(context =>
        {
            if (left-- <= 0)
            {
                throw new InvalidOperationException("Not today.");
            }

            context.Snooze(Minute);
        });
        await kv.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        var first = (await kv.DrainAsync()).Single<Job>();
        Assert.Equal((KvOutcome.Snoozed, kv.Now + Minute), (first.Outcome, first.DueAt));
        Assert.Equal(0, kv.AssertEnqueued<Job>(due: kv.Now + Minute).FailedAttempts);
        Assert.Null((await kv.WaitingAsync()).LastError);
        var ran = (await kv.AdvanceAsync(Minute * 10)).Of<Job>();

        // Nothing was added to the delays that it has none of: the first failure is the last.
        Assert.Equal([.. Enumerable.Repeat(KvOutcome.Snoozed, 9), KvOutcome.DeadLettered], ran.Select(static run => run.Outcome));
        Assert.All(ran, static run => Assert.Equal(1, run.Attempt));
        Assert.Equal(1, kv.AssertDeadLetter<Job>().Attempts);
        kv.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_handler_chooses_when_it_is_tried_again_whatever_the_schedule_says()
    {
        KvTestHost? host = null;
        await using var kv = host = await database.StartDecidingAsync(context =>
        {
            switch (context.Attempt)
            {
                case 1:
                    context.RetryIn(TimeSpan.FromSeconds(30));
                    break;
                case 2:
                    context.RetryAt(host!.Now.AddHours(1));
                    break;
                case 3:
                    context.RetryAt(host!.Now.AddHours(-1));
                    break;
                default:
                    break;
            }
        });
        await kv.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await kv.DrainAsync();
        Assert.Equal(1, kv.AssertEnqueued<Job>(due: kv.Now.AddSeconds(30)).FailedAttempts);
        Assert.Contains("asked for another attempt", (await kv.WaitingAsync()).LastError!.Message, StringComparison.Ordinal);
        await kv.AdvanceAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(2, kv.AssertEnqueued<Job>(due: kv.Now.AddHours(1)).FailedAttempts);
        var ran = await kv.AdvanceAsync(TimeSpan.FromHours(1));

        Assert.Equal(
            [(3, KvOutcome.Retried), (4, KvOutcome.Completed)], ran.Of<Job>().Select(static run => (run.Attempt, run.Outcome)));
        kv.AssertQueueEmpty();
        kv.AssertNoDeadLetters();
    }

    [Fact]
    public async Task A_handler_gives_a_message_up_with_its_reason_and_without_an_error()
    {
        await using var kv = await database.StartDecidingAsync(static context => context.DeadLetter("The customer is gone."), _logs);
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        kv.AssertQueueEmpty();
        var letter = kv.AssertDeadLetter<Job>();
        Assert.Equal(("The customer is gone.", null, null, 0), (letter.Reason, letter.FirstError, letter.LastError, letter.Attempts));
        Assert.Contains(_logs.Entries, static e => e.Event == 105 && e.Text.Contains("The customer is gone.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_decision_counts_even_if_the_handler_throws_and_the_error_is_kept_with_it()
    {
        var runs = 0;
        await using var kv = await database.StartDecidingAsync(
            context =>
            {
                Action decide = runs++ switch
                {
                    0 => () => context.RetryIn(Minute),
                    1 => () => context.Snooze(Minute),
                    _ => () => context.DeadLetter("Enough."),
                };
                decide();
                throw new InvalidOperationException($"Run {runs}.");
            },
            _logs);
        await kv.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await kv.DrainAsync();
        Assert.Equal(1, kv.AssertEnqueued<Job>(due: kv.Now + Minute).FailedAttempts);
        Assert.Equal("Run 1.", (await kv.WaitingAsync()).LastError!.Message);
        await kv.AdvanceAsync(Minute);
        Assert.Equal(1, kv.AssertEnqueued<Job>(due: kv.Now + Minute).FailedAttempts);
        Assert.Contains(_logs.Entries, static e => e.Event == 124);
        await kv.AdvanceAsync(Minute);

        var letter = kv.AssertDeadLetter<Job>();
        Assert.Equal(
            ("Enough.", "Run 1.", "Run 3.", 2), (letter.Reason, letter.FirstError!.Message, letter.LastError!.Message, letter.Attempts));
    }

    [Fact]
    public async Task The_last_decision_counts_and_none_does_after_completion()
    {
        await using var kv = await database.StartAsync(app => app.Handle<Job>(async (job, context, token) =>
        {
            context.DeadLetter("No.");
            if (job.Number == 1)
            {
                context.Snooze(Minute);
                return;
            }

            await context.CompleteAsync(static write => write.Set(["done"], true), token);
            context.RetryIn(Minute);
        }));
        await kv.Store.EnqueueAsync(new Job(1));
        await kv.Store.EnqueueAsync(new Job(2));

        var ran = await kv.DrainAsync();

        var outcomes = ran.Of<Job>().OrderBy(static run => run.Message.Number).Select(static run => run.Outcome);
        Assert.Equal([KvOutcome.Snoozed, KvOutcome.Completed], outcomes);
        kv.AssertEnqueued<Job>(static job => job.Number == 1);
        kv.AssertNotEnqueued<Job>(static job => job.Number == 2);
        kv.AssertNoDeadLetters();
        Assert.True(await kv.Store.GetAsync<bool>(["done"]));
    }

    [Fact]
    public async Task Decisions_that_cannot_be_are_refused_and_change_nothing()
    {
        await using var kv = await database.StartDecidingAsync(context =>
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

        var run = await kv.RunAsync(new Job(1));

        Assert.Equal((KvOutcome.Completed, null), (run.Outcome, run.Error));
        kv.AssertQueueEmpty();
    }

    private Task<KvTestHost> FailingAsync(KvRetryPolicy? policy, Func<Exception>? error = null) => database.StartAsync(app => app
        .Handle<Job>((_, _, _) => throw (error?.Invoke() ?? new InvalidOperationException("Not today.")))
        .Topic<Job>(o => o.Retry = policy));
}

public sealed class SqliteRetryTests(SqliteDatabase database) : RetrySpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresRetryTests(PostgresDatabase database) : RetrySpec(database), IClassFixture<PostgresDatabase>;
