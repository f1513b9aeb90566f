using System.Globalization;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>The clock goes from one moment at which something is due to the next, and all that is due there is done there.</summary>
public abstract class AdvanceSpec(KvDatabase database)
{
    private readonly CancellationToken _token = TestContext.Current.CancellationToken;
    private readonly List<string> _log = [];

    [Fact]
    public async Task What_a_handler_enqueues_runs_in_the_same_drain_and_what_is_delayed_does_not()
    {
        await using var kv = await database.StartAsync(app => app
            .Handle<OrderPlaced, OrderHandler>()
            .Handle<Mail>((mail, context, token) => context.Store.EnqueueAsync(
                new OrderPlaced(2), new KvEnqueueOptions { Delay = TimeSpan.FromMilliseconds(1) }, token).AsTask()));
        await kv.Store.EnqueueAsync(new OrderPlaced(1), cancellationToken: _token);

        var ran = await kv.DrainAsync(_token);

        Assert.Equal(["order-placed", "mail"], ran.Deliveries.Select(static d => d.Type));
        Assert.Empty((await kv.DrainAsync(_token)).Deliveries);
        Assert.Equal(2, (await kv.AdvanceAsync(TimeSpan.FromMilliseconds(1), _token)).Single<OrderPlaced>().Message.Id);
    }

    [Fact]
    public async Task Delays_retries_schedules_and_expiry_come_in_their_true_order_at_their_times()
    {
        await using var kv = await database.StartAsync(app =>
        {
            var worker = app
                .Schedule("mail", KvSchedule.Every(TimeSpan.FromMinutes(20)), new Mail("tick"))
                .Handle<Mail>((mail, context, token) => NoteAsync(context, mail.To, token))
                .Handle<OrderPlaced>(async (order, context, token) =>
                {
                    await NoteAsync(context, $"order {order.Id} attempt {context.Attempt}", token);
                    throw new InvalidOperationException("Not yet.");
                });
        });
        await kv.Store.SetAsync(["live"], 1, TimeSpan.FromMinutes(30), _token);
        await kv.Store.EnqueueAsync(new Mail("late"), new KvEnqueueOptions { Delay = TimeSpan.FromMinutes(50) }, _token);
        await kv.Store.EnqueueAsync(
            new OrderPlaced(1),
            new KvEnqueueOptions { BackoffSchedule = [TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(25)] },
            _token);

        var ran = await kv.AdvanceAsync(TimeSpan.FromHours(1), _token);

        Assert.Equal(
            [
                "0 order 1 attempt 1 live", "10 order 1 attempt 2 live", "20 tick live", "35 order 1 attempt 3 gone", "40 tick gone",
                "50 late gone", "60 tick gone",
            ],
            _log);
        Assert.Equal([KvOutcome.Retried, KvOutcome.Retried, KvOutcome.DeadLettered], ran.Of<OrderPlaced>().Select(static d => d.Outcome));
        Assert.Equal([1, 2, 3], ran.Of<OrderPlaced>().Select(static d => d.Attempt));
        Assert.Equal(kv.Now - TimeSpan.FromMinutes(50), ran.Of<OrderPlaced>()[0].DueAt);
        Assert.All(ran.Of<OrderPlaced>(), static d => Assert.Equal("Not yet.", d.Error!.Message));
        Assert.Equal("Not yet.", ran.Of<OrderPlaced>()[2].Reason);

        async Task NoteAsync(KvMessageContext context, string what, CancellationToken token)
        {
            var at = context.Services.GetRequiredService<TimeProvider>().GetUtcNow().TimeOfDay;
            var entry = await context.Store.GetAsync(["live"], token);
            _log.Add(string.Create(CultureInfo.InvariantCulture, $"{at.TotalMinutes} {what} {(entry is null ? "gone" : "live")}"));
        }
    }

    [Fact]
    public async Task What_expires_is_deleted_at_its_time_so_that_the_tables_show_it()
    {
        await using var kv = await database.StartAsync(static _ => { });
        await kv.Store.SetAsync(["a"], 1, TimeSpan.FromMinutes(1), _token);
        var contexts = kv.Services.GetRequiredService<Microsoft.EntityFrameworkCore.IDbContextFactory<KvDbContext>>();
        await using var db = await contexts.CreateDbContextAsync(_token);

        await kv.AdvanceAsync(TimeSpan.FromMinutes(1) - TimeSpan.FromMilliseconds(1), _token);
        Assert.Single(db.Entries);
        await kv.AdvanceAsync(TimeSpan.FromMilliseconds(1), _token);
        Assert.Empty(db.Entries);
    }

    [Fact]
    public async Task A_handler_that_waits_for_the_clock_goes_on_at_its_time_and_keeps_its_lease()
    {
        await using var kv = await database.StartAsync(app => app.Handle<OrderPlaced>(async (order, context, token) =>
        {
            var time = context.Services.GetRequiredService<TimeProvider>();
            for (var hour = 1; hour <= 3; hour++)
            {
                await Task.Delay(TimeSpan.FromHours(1), time, token);
                _log.Add($"{time.GetUtcNow():HH:mm}");
            }

            await context.CompleteAsync(static write => write.Set(["done"], 1), token);
        }));
        await kv.Store.EnqueueAsync(new OrderPlaced(1), cancellationToken: _token);

        Assert.Equal(KvOutcome.Running, (await kv.DrainAsync(_token)).Single<OrderPlaced>().Outcome);
        Assert.Equal(KvOutcome.Running, (await kv.AdvanceAsync(TimeSpan.FromHours(2.5), _token)).Single<OrderPlaced>().Outcome);
        Assert.Equal(["01:00", "02:00"], _log);
        Assert.Equal(KvOutcome.Completed, (await kv.AdvanceAsync(TimeSpan.FromHours(1), _token)).Single<OrderPlaced>().Outcome);
        Assert.Equal(["01:00", "02:00", "03:00"], _log);
        Assert.True(await kv.Store.ExistsAsync(["done"], _token));
    }

    [Fact]
    public async Task A_handler_that_exceeds_its_topic_s_time_is_interrupted_at_that_time()
    {
        await using var kv = await database.StartAsync(app => app
            .Topic<OrderPlaced>(static topic => topic.HandlerTimeout = TimeSpan.FromMinutes(5))
            .Handle<OrderPlaced>(static (_, context, token) =>
                Task.Delay(TimeSpan.FromHours(1), context.Services.GetRequiredService<TimeProvider>(), token)));
        await kv.Store.EnqueueAsync(
            new OrderPlaced(1), new KvEnqueueOptions { BackoffSchedule = [TimeSpan.FromMinutes(10)] }, _token);

        var first = await kv.AdvanceAsync(TimeSpan.FromMinutes(5), _token);
        var second = await kv.AdvanceAsync(TimeSpan.FromMinutes(15), _token);

        Assert.IsType<TimeoutException>(first.Single<OrderPlaced>().Error);
        Assert.Equal(KvOutcome.Retried, first.Single<OrderPlaced>().Outcome);
        Assert.Equal(kv.Now - TimeSpan.FromMinutes(5), first.Single<OrderPlaced>().DueAt);
        Assert.Equal(KvOutcome.DeadLettered, second.Single<OrderPlaced>().Outcome);
    }

    [Fact]
    public async Task A_cancelled_message_of_a_handler_that_waits_is_cancelled_by_the_next_drain()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<OrderPlaced>(static (_, context, token) =>
            Task.Delay(TimeSpan.FromHours(1), context.Services.GetRequiredService<TimeProvider>(), token)));
        var enqueued = await kv.Store.EnqueueAsync(new OrderPlaced(1), cancellationToken: _token);
        await kv.DrainAsync(_token);

        Assert.Equal(KvCancelResult.Requested, await kv.Queue.CancelAsync(enqueued.MessageId, _token));

        Assert.Equal(KvOutcome.Cancelled, (await kv.DrainAsync(_token)).Single<OrderPlaced>().Outcome);
    }

    [Fact]
    public async Task A_pause_ends_at_its_time_and_rates_are_kept()
    {
        await using var kv = await database.StartAsync(app => app
            .Topic<Mail>(static topic => topic.Rate = new KvRate(1, TimeSpan.FromMinutes(1)))
            .Handle<Mail>((mail, context, token) =>
            {
                _log.Add($"{context.Services.GetRequiredService<TimeProvider>().GetUtcNow():mm:ss} {mail.To}");
                return Task.CompletedTask;
            }));
        await kv.Queue.PauseAsync("mail", TimeSpan.FromMinutes(10), _token);
        await kv.Store.EnqueueAsync(new Mail("a"), cancellationToken: _token);
        await kv.Store.EnqueueAsync(new Mail("b"), cancellationToken: _token);
        await kv.AdvanceAsync(TimeSpan.FromMinutes(9), _token);
        Assert.Empty(_log);

        var ran = await kv.AdvanceAsync(TimeSpan.FromMinutes(9), _token);

        Assert.Equal(["10:00 a", "11:00 b"], _log);
        Assert.Contains(ran.Deliveries, static d => d.Outcome == KvOutcome.RateLimited);
    }

    [Fact]
    public async Task A_handler_that_does_not_end_is_named_when_the_patience_is_over()
    {
        var open = new TaskCompletionSource();
        await using var kv = await database.StartAsync(
            app => app.Handle<OrderPlaced>((_, _, _) => open.Task), static options => options.Patience = TimeSpan.FromMilliseconds(200));
        await kv.Store.EnqueueAsync(new OrderPlaced(77), cancellationToken: _token);

        var error = await Assert.ThrowsAsync<KvTestException>(() => kv.DrainAsync(_token));
        open.SetResult();

        Assert.Contains("order-placed on 'order-placed', attempt 1: Running", error.Message, StringComparison.Ordinal);
        Assert.Contains("77", error.Message, StringComparison.Ordinal);
        Assert.Equal(KvOutcome.Completed, (await kv.DrainAsync(_token)).Single<OrderPlaced>().Outcome);
    }

    [Fact]
    public async Task Messages_without_end_are_told_of()
    {
        await using var kv = await database.StartAsync(
            static app => app.Handle<OrderPlaced>(static (order, context, token) =>
                context.Store.EnqueueAsync(new OrderPlaced(order.Id + 1), cancellationToken: token).AsTask()),
            static options => options.MaxDeliveries = 20);
        await kv.Store.EnqueueAsync(new OrderPlaced(1), cancellationToken: _token);

        var error = await Assert.ThrowsAsync<KvTestException>(() => kv.DrainAsync(_token));

        Assert.Contains("More than 20 messages", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Timers_of_the_application_fire_in_the_order_of_their_times()
    {
        await using var kv = await database.StartAsync(app => app.Handle<Mail>((mail, context, _) =>
        {
            _log.Add(mail.To);
            return Task.CompletedTask;
        }));
        await using var timer = kv.Time.CreateTimer(
            _ => _log.Add($"timer {kv.Now:HH:mm}"), null, TimeSpan.FromMinutes(30), TimeSpan.FromHours(1));
        await kv.Store.EnqueueAsync(new Mail("mail"), new KvEnqueueOptions { Delay = TimeSpan.FromHours(1) }, _token);

        await kv.AdvanceAsync(TimeSpan.FromHours(2), _token);

        Assert.Equal(["timer 00:30", "mail", "timer 01:30"], _log);
    }
}

public sealed class SqliteAdvanceTests(SqliteDatabase database) : AdvanceSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresAdvanceTests(PostgresDatabase database) : AdvanceSpec(database), IClassFixture<PostgresDatabase>;
