using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>One delivery through the real worker, or in the hands of the test.</summary>
public abstract class RunSpec(KvDatabase database)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private readonly CancellationToken _token = TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_message_is_handled_and_nothing_else()
    {
        List<int> handled = [];
        await using var kv = await database.StartAsync(app => app.Handle<OrderPlaced>((order, context, token) =>
        {
            handled.Add(order.Id);
            return context.Store.EnqueueAsync(new OrderPlaced(order.Id + 1), cancellationToken: token).AsTask();
        }));
        await kv.Store.EnqueueAsync(new OrderPlaced(1), cancellationToken: _token);
        await kv.Queue.PauseAsync("order-placed", cancellationToken: _token);

        var run = await kv.RunAsync(new OrderPlaced(42), cancellationToken: _token);

        Assert.Equal([42], handled);
        Assert.Equal((KvOutcome.Completed, 1, 42), (run.Outcome, run.Attempt, run.Message.Id));
        kv.AssertEnqueued<OrderPlaced>(static order => order.Id == 1);
        kv.AssertEnqueued<OrderPlaced>(static order => order.Id == 43);
        kv.AssertNotEnqueued<OrderPlaced>(static order => order.Id == 42);
        await kv.Queue.ResumeAsync("order-placed", _token);
    }

    [Fact]
    public async Task An_attempt_has_the_checkpoint_of_the_one_before_and_tells_its_progress_and_its_own()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<OrderPlaced>(async (_, context, token) =>
        {
            var at = context.GetCheckpoint<int>();
            await context.ReportProgressAsync(0.5, $"attempt {context.Attempt} from {at}", token);
            await context.SaveCheckpointAsync(at + 1, token);
            throw new InvalidOperationException("Later.");
        }));

        var run = await kv.RunAsync(
            new OrderPlaced(1), attempt: 3, checkpoint: 7, new KvEnqueueOptions { BackoffSchedule = [Minute, Minute, 5 * Minute] }, _token);

        Assert.Equal((KvOutcome.Retried, 3), (run.Outcome, run.Attempt));
        Assert.Equal("Later.", run.Error!.Message);
        Assert.Equal(kv.Now + 5 * Minute, run.DueAt);
        Assert.Equal((0.5, "attempt 3 from 7", 8), (run.Progress, run.Note, run.GetCheckpoint<int>()));

        // It is in the queue as a worker leaves it: the next attempt begins with the checkpoint.
        var next = (await kv.AdvanceAsync(5 * Minute, _token)).Single<OrderPlaced>();
        Assert.Equal((KvOutcome.DeadLettered, 4, "attempt 4 from 8"), (next.Outcome, next.Attempt, next.Note));
    }

    [Fact]
    public async Task The_last_attempt_makes_a_dead_letter_and_the_topic_s_policy_decides()
    {
        await using var kv = await database.StartAsync(static app => app
            .Topic<OrderPlaced>(static topic => topic.Retry = KvRetryPolicy.Delays(Minute, Minute))
            .Handle<OrderPlaced>(static (_, _, _) => throw new InvalidOperationException("Never.")));

        var second = await kv.RunAsync(new OrderPlaced(1), attempt: 2, cancellationToken: _token);
        var third = await kv.RunAsync(new OrderPlaced(2), attempt: 3, cancellationToken: _token);

        Assert.Equal(KvOutcome.Retried, second.Outcome);
        Assert.Equal((KvOutcome.DeadLettered, "Never."), (third.Outcome, third.Reason));
        Assert.Equal(3, kv.AssertDeadLetter<OrderPlaced>(static order => order.Id == 2).Attempts);
    }

    [Fact]
    public async Task A_snooze_is_told_with_its_time()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<OrderPlaced>(static (_, context, _) =>
        {
            context.Snooze(Minute);
            return Task.CompletedTask;
        }));

        var run = await kv.RunAsync(new OrderPlaced(1), cancellationToken: _token);

        Assert.Equal((KvOutcome.Snoozed, kv.Now + Minute), (run.Outcome, run.DueAt));
        kv.AssertEnqueued<OrderPlaced>(due: kv.Now + Minute);
    }

    [Fact]
    public async Task A_message_without_a_handler_is_refused()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<Mail>(static (_, _, _) => Task.CompletedTask));

        var error = await Assert.ThrowsAsync<KvTestException>(() => kv.RunAsync(new OrderPlaced(1), cancellationToken: _token));

        Assert.Contains("no handler for the topic 'order-placed'", error.Message, StringComparison.Ordinal);
        kv.AssertNotEnqueued<OrderPlaced>();
    }

    [Fact]
    public async Task A_test_calls_a_handler_itself_with_a_context_of_the_real_thing()
    {
        await using var kv = await database.StartAsync(static app => app.Services.AddScoped<OrderHandler>());
        await using var delivery = await kv.BeginAsync(new OrderPlaced(42), attempt: 2, checkpoint: "here", cancellationToken: _token);
        Assert.Equal((2, "here"), (delivery.Context.Attempt, delivery.Context.GetCheckpoint<string>()));

        await delivery.Context.Services.GetRequiredService<OrderHandler>().HandleAsync(delivery.Message, delivery.Context, _token);
        var end = await delivery.EndAsync();

        Assert.Equal(KvOutcome.Completed, end.Outcome);
        Assert.Equal(new OrderPlaced(42), await kv.Store.GetAsync<OrderPlaced>(["orders", 42], _token));
        kv.AssertEnqueued<Mail>(static mail => mail.To == "ada");
        kv.AssertNotEnqueued<OrderPlaced>();
        Assert.Empty(await kv.Queue.ListRunningAsync(cancellationToken: _token));
    }

    [Fact]
    public async Task What_a_called_handler_decides_or_throws_is_done_at_its_end()
    {
        await using var kv = await database.StartAsync(static _ => { });
        await using var snoozed = await kv.BeginAsync(new Mail("a"), cancellationToken: _token);
        await using var failed = await kv.BeginAsync(
            new Mail("b"), options: new KvEnqueueOptions { BackoffSchedule = [Minute] }, cancellationToken: _token);
        snoozed.Context.Snooze(2 * Minute);

        Assert.Equal((KvOutcome.Snoozed, kv.Now + 2 * Minute), ((await snoozed.EndAsync()).Outcome, (await snoozed.EndAsync()).DueAt));
        Assert.Equal(KvOutcome.Retried, (await failed.EndAsync(new InvalidOperationException("No."))).Outcome);
        kv.AssertEnqueued<Mail>(static mail => mail.To == "a", kv.Now + 2 * Minute);
        kv.AssertEnqueued<Mail>(static mail => mail.To == "b", kv.Now + Minute);
        Assert.Throws<InvalidOperationException>(() => snoozed.Context.Snooze(Minute));
    }

    [Fact]
    public async Task What_a_test_takes_and_does_not_end_is_another_s_when_its_lease_has_lapsed()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<OrderPlaced>(static (_, _, _) => Task.CompletedTask));
        var start = kv.Now;
        await using var taken = await kv.BeginAsync(new OrderPlaced(1), cancellationToken: _token);

        Assert.Empty((await kv.AdvanceAsync(TimeSpan.FromSeconds(28), _token)).Deliveries);
        var ran = (await kv.AdvanceAsync(TimeSpan.FromSeconds(35), _token)).Single<OrderPlaced>();

        Assert.Equal((KvOutcome.Completed, 1), (ran.Outcome, ran.Attempt));
        Assert.InRange(ran.At - start, TimeSpan.FromSeconds(28.5), TimeSpan.FromSeconds(60));
        Assert.Equal(KvOutcome.LeaseLost, (await taken.EndAsync()).Outcome);
    }
}

public sealed class SqliteRunTests(SqliteDatabase database) : RunSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresRunTests(PostgresDatabase database) : RunSpec(database), IClassFixture<PostgresDatabase>;
