using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>A worker whose process is gone from one moment to the next.</summary>
public abstract class KillSpec(KvDatabase database)
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);
    private readonly CancellationToken _token = TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_a_killed_worker_had_comes_to_a_new_one_when_its_lease_has_lapsed()
    {
        var begun = 0;
        await using var kv = await database.StartAsync(app => app.Handle<Mail>(
            async (Mail _, TimeProvider time, CancellationToken token) =>
            {
                begun++;
                await Task.Delay(TimeSpan.FromSeconds(10), time, token);
            }));
        await kv.Store.EnqueueAsync(new Mail("ada"), cancellationToken: _token);
        Assert.Equal(KvOutcome.Running, (await kv.DrainAsync(_token)).Single<Mail>().Outcome);

        await kv.KillWorkerAsync(_token);
        Assert.Contains("runs", await kv.SnapshotAsync(cancellationToken: _token), StringComparison.Ordinal);
        Assert.Equal(KvOutcome.Unfinished, (await kv.AdvanceAsync(3 * Lease, _token)).Single<Mail>().Outcome);
        Assert.Equal(1, begun);

        await kv.StartWorkerAsync(_token);
        var ran = (await kv.AdvanceAsync(3 * Lease, _token)).Single<Mail>();
        Assert.Equal((KvOutcome.Completed, 1, 2), (ran.Outcome, ran.Attempt, begun));
    }

    [Fact]
    public async Task A_handler_that_kills_its_worker_goes_no_further()
    {
        List<string> steps = [];
        KvTestHost? host = null;
        await using var kv = host = await database.StartAsync(app => app.Handle<OrderPlaced>(async (order, context, token) =>
        {
            steps.Add($"before {order.Id}");
            await context.Store.SumAsync(["seen", order.Id], 1, cancellationToken: token);
            if (steps.Count == 1)
            {
                await host!.KillWorkerAsync(token);
            }

            steps.Add($"behind {order.Id}");
        }));
        await kv.Store.EnqueueAsync(new OrderPlaced(1), cancellationToken: _token);
        await kv.Store.EnqueueAsync(new OrderPlaced(2), cancellationToken: _token);

        var ran = await kv.DrainAsync(_token);
        Assert.All(ran.Of<OrderPlaced>(), static delivery => Assert.Equal(KvOutcome.Unfinished, delivery.Outcome));
        Assert.Equal(["before 1"], steps);

        await kv.StartWorkerAsync(_token);
        await kv.AdvanceAsync(3 * Lease, _token);
        Assert.Equal(["before 1", "before 1", "before 2", "behind 1", "behind 2"], steps.Order(StringComparer.Ordinal));
        Assert.Equal(2ul, await kv.Store.GetAsync<ulong>(["seen", 1], _token));
        Assert.Equal(1ul, await kv.Store.GetAsync<ulong>(["seen", 2], _token));
    }

    [Fact]
    public async Task A_handler_with_a_time_limit_is_not_woken_in_a_worker_that_is_gone()
    {
        var ended = 0;
        await using var kv = await database.StartAsync(app => app.Handle<Mail>(
            async (Mail _, TimeProvider time, CancellationToken token) =>
            {
                try
                {
                    await Task.Delay(TimeSpan.FromHours(1), time, token);
                }
                finally
                {
                    ended++;
                }
            }).Topic("mail", static topic => topic.HandlerTimeout = TimeSpan.FromMinutes(1)));
        await kv.Store.EnqueueAsync(new Mail("ada"), cancellationToken: _token);
        await kv.DrainAsync(_token);

        await kv.KillWorkerAsync(_token);
        await kv.AdvanceAsync(TimeSpan.FromHours(2), _token);

        Assert.Equal(0, ended);
    }

    [Fact]
    public async Task Schedules_rest_without_a_worker_and_a_single_message_is_refused()
    {
        await using var kv = await database.StartAsync(static app => app
            .Schedule("hourly", KvSchedule.Every(TimeSpan.FromHours(1)), new Mail("ops"))
            .Handle<Mail>(static (_, _, _) => Task.CompletedTask));
        await kv.KillWorkerAsync(_token);

        Assert.Empty((await kv.AdvanceAsync(TimeSpan.FromHours(5), _token)).Deliveries);
        Assert.Contains(
            "StartWorkerAsync",
            (await Assert.ThrowsAsync<KvTestException>(() => kv.RunAsync(new Mail("ada"), cancellationToken: _token))).Message,
            StringComparison.Ordinal);

        await kv.StartWorkerAsync(_token);
        await kv.StartWorkerAsync(_token);
        Assert.NotEmpty((await kv.AdvanceAsync(TimeSpan.FromHours(2), _token)).Of<Mail>());
    }
}

public sealed class SqliteKillTests(SqliteDatabase database) : KillSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresKillTests(PostgresDatabase database) : KillSpec(database), IClassFixture<PostgresDatabase>;
