using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Commits that run what became due before they return.</summary>
public abstract class InlineSpec(KvDatabase database)
{
    private readonly CancellationToken _token = TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_commit_returns_when_what_it_enqueued_was_handled_and_what_that_enqueued()
    {
        List<string> handled = [];
        await using var kv = await database.StartAsync(app => app
            .Handle<OrderPlaced, OrderHandler>()
            .Handle<Mail>((mail, _, _) =>
            {
                handled.Add(mail.To);
                return Task.CompletedTask;
            }));
        await kv.Store.EnqueueAsync(new OrderPlaced(1), cancellationToken: _token);
        Assert.False(await kv.Store.ExistsAsync(["orders", 1], _token));
        kv.Mode = KvTestMode.Inline;

        await kv.Store.EnqueueAsync(new OrderPlaced(2), cancellationToken: _token);

        Assert.True(await kv.Store.ExistsAsync(["orders", 1], _token));
        Assert.True(await kv.Store.ExistsAsync(["orders", 2], _token));
        Assert.Equal(["ada", "ada"], handled);
        await kv.Store.Atomic().Set(["a"], 1).Enqueue(new Mail("bob")).CommitAsync(_token);
        Assert.Equal(["ada", "ada", "bob"], handled);

        var ran = await kv.DrainAsync(_token);
        Assert.Equal((2, 3), (ran.Of<OrderPlaced>().Count, ran.Of<Mail>().Count));
        Assert.Empty((await kv.DrainAsync(_token)).Deliveries);
    }

    [Fact]
    public async Task What_is_due_later_runs_at_its_time_and_a_failure_is_no_error_of_the_commit()
    {
        await using var kv = await database.StartAsync(static app => app
            .Handle<Mail>(static (_, _, _) => throw new InvalidOperationException("No.")));
        kv.Mode = KvTestMode.Inline;

        await kv.Store.EnqueueAsync(new Mail("ada"), new KvEnqueueOptions { BackoffSchedule = [TimeSpan.FromHours(1)] }, _token);
        await kv.Store.EnqueueAsync(new Mail("bob"), new KvEnqueueOptions { Delay = TimeSpan.FromDays(1) }, _token);

        Assert.Equal(KvOutcome.Retried, (await kv.DrainAsync(_token)).Single<Mail>().Outcome);
        Assert.Equal(KvOutcome.DeadLettered, (await kv.AdvanceAsync(TimeSpan.FromHours(1), _token)).Single<Mail>().Outcome);
        Assert.Throws<ArgumentOutOfRangeException>(() => kv.Mode = (KvTestMode)7);
    }

    [Fact]
    public async Task A_commit_that_is_refused_runs_nothing_and_a_delivery_alone_stays_alone()
    {
        await using var kv = await database.StartAsync(static app => app
            .Handle<OrderPlaced, OrderHandler>().Handle<Mail>(static (_, _, _) => Task.CompletedTask));
        await kv.Store.EnqueueAsync(new Mail("waits"), cancellationToken: _token);
        var stamp = await kv.Store.SetAsync(["c"], 1, cancellationToken: _token);
        kv.Mode = KvTestMode.Inline;

        Assert.False((await kv.Store.Atomic().Check(["b"], stamp).Set(["a"], 1).CommitAsync(_token)).Succeeded);
        kv.AssertEnqueued<Mail>(static mail => mail.To == "waits");

        var run = await kv.RunAsync(new OrderPlaced(1), cancellationToken: _token);
        Assert.Equal(KvOutcome.Completed, run.Outcome);
        kv.AssertEnqueued<Mail>(static mail => mail.To == "waits");
    }

    [Fact]
    public async Task A_delivery_tells_what_its_handler_wrote()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<OrderPlaced>(static async (order, context, token) =>
        {
            await context.Store.Atomic().Set(["orders", order.Id], order).Sum(["count"], 2).CommitAsync(token);
            await context.Store.Atomic().Check(["orders", order.Id], null).Set(["refused"], 1).CommitAsync(token);
            await context.CompleteAsync(
                write => write.Delete(["draft", order.Id]).DeleteRange(KvRange.Prefix(["cart"])).Enqueue(new Mail("ada")), token);
        }));

        var run = await kv.RunAsync(new OrderPlaced(7), cancellationToken: _token);

        Assert.Equal(
            ["Set [\"orders\", 7]", "Sum [\"count\"]", "Delete [\"draft\", 7]", "DeleteRange [\"cart\"]", "Enqueue "],
            run.Writes.Select(static write => $"{write.Kind} {write.Key}"));
        Assert.Equal(new OrderPlaced(7), run.Writes[0].As<OrderPlaced>());
        Assert.Equal(2ul, run.Writes[1].Operand);
        Assert.Equal(("mail", "mail"), (run.Writes[4].Type, run.Writes[4].Topic));
        Assert.Equal(new Mail("ada"), run.Writes[4].As<Mail>());
        Assert.Contains("\"ada\"", run.Writes[4].ToString(), StringComparison.Ordinal);
        Assert.Equal("Sum [\"count\"] 2", run.Writes[1].ToString());
    }

    [Fact]
    public async Task A_delivery_of_a_drain_tells_what_its_own_handler_wrote()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<OrderPlaced, OrderHandler>());
        await kv.Store.EnqueueAsync(new OrderPlaced(1), cancellationToken: _token);
        await kv.Store.EnqueueAsync(new OrderPlaced(2), cancellationToken: _token);

        var ran = (await kv.DrainAsync(_token)).Of<OrderPlaced>();

        Assert.All(ran, static delivery => Assert.Equal(["orders", delivery.Message.Id], delivery.Writes[0].Key));
        Assert.All(ran, static delivery => Assert.Equal(2, delivery.Writes.Count));
    }
}

public sealed class SqliteInlineTests(SqliteDatabase database) : InlineSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresInlineTests(PostgresDatabase database) : InlineSpec(database), IClassFixture<PostgresDatabase>;
