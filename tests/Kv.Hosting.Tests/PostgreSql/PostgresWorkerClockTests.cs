using Kv.TestKit;
using Kv.Tests.Specs;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.PostgreSql;

/// <summary>Workers on machines whose clocks are wrong: what is due, held or ticks is for the server to say.</summary>
public sealed class PostgresWorkerClockTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private readonly Gate _gate = new();

    /// <summary>How many hours the clock of a machine is ahead, or behind.</summary>
    public static TheoryData<int> Hours => [2, 24 * 400, -2, -24 * 400];

    [Theory]
    [MemberData(nameof(Hours))]
    public async Task A_message_is_due_when_the_server_says_so(int hours)
    {
        await using var right = await database.CreateStoreAsync();
        List<int> handled = [];
        await using var wrong = await WorkerAsync(hours, worker => worker.Handle<Job>((job, _, _) =>
        {
            handled.Add(job.Number);
            return Task.CompletedTask;
        }), right);
        await right.Store.EnqueueAsync(new Job(1), new() { Delay = Hour });
        await right.Store.EnqueueAsync(new Job(2));
        var from = await ServerTimeAsync(right);
        await wrong.Store.EnqueueAsync(new Job(3), new() { Delay = Hour, UniqueKey = "u", UniqueFor = 2 * Hour });
        var to = await ServerTimeAsync(right);

        await wrong.SettleAsync();

        Assert.Equal([2], handled);
        var waiting = await right.QueuedAsync();
        Assert.Equal(2, waiting.Count);
        var third = waiting.Single(static m => m.UniqueKey == "u");
        Assert.InRange(third.DueAt, from + Milliseconds(Hour), to + Milliseconds(Hour));
        Assert.InRange(third.UniqueUntil, from + Milliseconds(2 * Hour), to + Milliseconds(2 * Hour));
        Assert.All(await wrong.Queue().PeekAsync("job"), static m => Assert.Equal(KvMessageState.Delayed, m.State));
        var stats = Assert.Single(await wrong.Queue().GetStatsAsync());
        Assert.Equal((0, 2), (stats.Due, stats.Delayed));
    }

    [Theory]
    [MemberData(nameof(Hours))]
    public async Task A_worker_with_a_wrong_clock_takes_nothing_from_living_ones(int hours)
    {
        await using var right = await database.CreateWorkerAsync(worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)));
        await right.Store.EnqueueAsync(new Job(1));
        await right.ClaimAsync();
        await _gate.Begun;
        await using var wrong = await WorkerAsync(hours, static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask), right);

        await wrong.SettleAsync();
        await wrong.SettleAsync();

        Assert.Equal(1, Assert.Single(await right.RunningAsync()).Claim);
        _gate.Open();
        await right.IdleAsync();
        right.AssertQueueEmpty();
    }

    [Theory]
    [MemberData(nameof(Hours))]
    public async Task A_lease_of_a_worker_with_a_wrong_clock_lasts_as_long_as_any(int hours)
    {
        await using var wrong = await WorkerAsync(hours, worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)));
        await wrong.Store.EnqueueAsync(new Job(1));
        await wrong.ClaimAsync();
        await _gate.Begun;
        Assert.True(wrong.Worker().Heartbeat.Beat());
        var now = await ServerTimeAsync(wrong);
        await using var right = await database.CreateWorkerAsync(static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask), beside: wrong);

        await right.SettleAsync();

        Assert.InRange(Assert.Single(await right.RunningAsync()).Deadline, now, now + 30_000);
        _gate.Open();
        await wrong.IdleAsync();
        right.AssertQueueEmpty();
    }

    [Theory]
    [MemberData(nameof(Hours))]
    public async Task A_retry_at_a_time_comes_at_that_time_of_the_servers(int hours)
    {
        DateTimeOffset at = default;
        await using var wrong = await WorkerAsync(hours, worker => worker.Handle<Job>((_, context, _) =>
        {
            context.RetryAt(at);
            return Task.CompletedTask;
        }));
        at = DateTimeOffset.FromUnixTimeMilliseconds(await ServerTimeAsync(wrong)) + Hour;
        await wrong.Store.EnqueueAsync(new Job(1));

        await wrong.SettleAsync();

        Assert.InRange(Assert.Single(await wrong.QueuedAsync()).DueAt, at.ToUnixTimeMilliseconds() - 5_000, at.ToUnixTimeMilliseconds() + 30_000);
    }

    [Theory]
    [MemberData(nameof(Hours))]
    public async Task A_token_that_a_machine_with_a_wrong_clock_took_holds_up_the_others_no_longer_than_its_own(int hours)
    {
        await using var right = await RateAsync(null);
        await using var wrong = await RateAsync(hours, right);
        await wrong.Store.EnqueueAsync(new Job(1));
        await wrong.SettleAsync();
        await right.Store.EnqueueAsync(new Job(2));
        await right.SettleAsync();
        var now = await ServerTimeAsync(right);

        Assert.InRange(Assert.Single(await right.QueuedAsync()).DueAt, now, now + Milliseconds(Hour));
        await using var context = right.CreateContext();
        Assert.InRange(await context.Database.SqlQueryRaw<long>("select max(expiration_ms) as \"Value\" from kv").SingleAsync(), now, now + Milliseconds(3 * Hour));

        Task<KvTestStore> RateAsync(int? wrongBy, KvTestStore? beside = null)
        {
            return wrongBy is { } by ? WorkerAsync(by, Rated, beside) : database.CreateWorkerAsync(Rated);

            static void Rated(KvWorkerBuilder worker) => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask).Topic("job", static topic => topic.Rate = new KvRate(1, Hour));
        }
    }

    [Theory]
    [MemberData(nameof(Hours))]
    public async Task A_schedule_ticks_by_the_servers_clock(int hours)
    {
        await using var wrong = await WorkerAsync(hours, static worker => worker.Schedule("s", KvSchedule.Every(TimeSpan.FromSeconds(1)), static at => new Tick(at)));
        await ScheduleTesting.RoundAsync(wrong);
        var from = await ServerTimeAsync(wrong);

        // A second passes by itself.
        List<DateTimeOffset> ticks = [];
        var started = TimeProvider.System.GetTimestamp();
        while (ticks.Count == 0)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < WorkerTesting.Patience, "It did not tick.");
            await ScheduleTesting.RoundAsync(wrong);
            ticks = await ScheduleClockSpec.TicksAsync(wrong);
        }

        Assert.InRange(ticks[0].ToUnixTimeMilliseconds(), from - 1_000, await ServerTimeAsync(wrong));
    }

    private Task<KvTestStore> WorkerAsync(int hours, Action<KvWorkerBuilder> handlers, KvTestStore? beside = null) => database.CreateWorkerAsync(
        handlers, new WrongTime(TimeSpan.FromHours(hours)), beside: beside, storeOptions: static options => options.Clock = KvClockSource.Server);

    private static long Milliseconds(TimeSpan time) => (long)time.TotalMilliseconds;

    private static async Task<long> ServerTimeAsync(KvTestStore test)
    {
        await using var context = test.CreateContext();
        return await context.Database.SqlQueryRaw<long>("select (extract(epoch from clock_timestamp()) * 1000)::bigint as \"Value\"").SingleAsync();
    }
}
