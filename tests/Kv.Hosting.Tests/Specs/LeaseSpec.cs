using Kv.Messages;
using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class LeaseSpec(KvDatabase database)
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly Gate _gate = new();

    [Fact]
    public async Task A_lease_counts_from_the_claim_however_long_the_message_waited()
    {
        await using var test = await HoldingAsync();
        await test.Store.EnqueueAsync(new Job(1));
        _time.Advance(TimeSpan.FromHours(3));

        await test.ClaimAsync();

        var row = Assert.Single(await test.RunningAsync());
        Assert.Equal(_time.Milliseconds() + 28_500, row.Deadline);
        Assert.Equal((1L, 32, 0), (row.Claim, row.Owner.Length, row.Crashes));
    }

    [Fact]
    public async Task A_handler_that_takes_longer_than_its_lease_keeps_its_message()
    {
        await using var test = await HoldingAsync();
        await using var other = await HoldingAsync(test);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;

        for (var i = 0; i < 12; i++)
        {
            _time.Advance(Lease / 3);
            Assert.True(test.Worker().Heartbeat.Beat());
            await other.ClaimAsync();
            Assert.Equal(_time.Milliseconds() + 28_500, Assert.Single(await test.RunningAsync()).Deadline);
        }

        _gate.Open();
        await test.IdleAsync();
        Assert.False(_gate.Token.IsCancellationRequested);
        Assert.Empty(other.Worker().Running);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_handler_that_does_not_end_is_warned_of_once_by_the_lease_of_its_topic_and_keeps_its_message()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token))
                .Topic("job", static topic => topic.Lease = Lease),
            _time,
            static options => options.Lease = TimeSpan.FromSeconds(5),
            logs: _logs);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        var id = (await _gate.Begun).Id;

        BeatFor(Lease * 10);
        Assert.DoesNotContain(_logs.Entries, static e => e.Event == 128);
        BeatFor(Lease * 10);

        var (level, _, text) = Assert.Single(_logs.Entries, static e => e.Event == 128);
        Assert.Equal(Microsoft.Extensions.Logging.LogLevel.Warning, level);
        Assert.All(
            [id, "'job'", "00:05:10", "CancelAsync", "HandlerTimeout"], part => Assert.Contains(part, text, StringComparison.Ordinal));
        Assert.False(_gate.Token.IsCancellationRequested);
        Assert.Equal(_time.Milliseconds() + 28_500, Assert.Single(await test.RunningAsync()).Deadline);

        // What the warning says can be done.
        await test.Queue().CancelAsync(id);
        Assert.True(test.Worker().Heartbeat.Beat());
        await test.IdleAsync();
        test.AssertQueueEmpty();

        void BeatFor(TimeSpan time)
        {
            for (var beats = time / (Lease / 3); beats > 0; beats--)
            {
                _time.Advance(Lease / 3);
                Assert.True(test.Worker().Heartbeat.Beat());
            }
        }
    }

    [Fact]
    public async Task A_lapsed_lease_is_recovered_by_others_and_costs_no_attempt()
    {
        await using var crashed = await HoldingAsync();
        await crashed.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.FromSeconds(7)] });
        await crashed.ClaimAsync();

        // Before that it would give the message back: its lease is over, and nothing has been done.
        await _gate.Begun;
        KvMessageContext? seen = null;
        await using var other = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, _) => Task.FromResult(seen = context)), _time, beside: crashed);

        await other.SettleAsync();
        Assert.Null(seen);

        // What is left of the lease then is for those who take the message over.
        _time.Advance(Lease * 0.95 - TimeSpan.FromMilliseconds(1));
        await other.SettleAsync();
        Assert.Null(seen);
        _time.Advance(TimeSpan.FromMilliseconds(2));
        await other.ClaimAsync();
        var row = (await other.RunningAsync()).SingleOrDefault();
        await other.IdleAsync();

        Assert.True(
            row is null or { Crashes: 1, Claim: 2, Attempt: 0, BackoffSchedule: "[7000]" },
            $"{row?.Crashes} {row?.Claim} {row?.Attempt} {row?.BackoffSchedule}");
        Assert.Equal(1, seen!.Attempt);
        other.AssertQueueEmpty();
    }

    [Fact]
    public async Task After_the_clock_was_set_back_what_a_dead_worker_was_running_is_taken_over_within_two_leases()
    {
        await using var crashed = await HoldingAsync();
        await crashed.Store.EnqueueAsync(new Job(1));
        await crashed.ClaimAsync();
        var runs = 0;
        await using var other = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, _) => Task.FromResult(runs++)), _time, beside: crashed);
        await other.SettleAsync();

        _time.SetUtcNow(_time.GetUtcNow() - TimeSpan.FromHours(2));
        await other.SettleAsync();
        Assert.Equal(0, runs);
        _time.Advance(Lease);
        await other.SettleAsync();

        Assert.Equal(1, runs);
        other.AssertQueueEmpty();
    }

    [Fact]
    public async Task After_the_clock_was_set_back_living_workers_keep_what_they_run()
    {
        await using var test = await HoldingAsync();
        await using var other = await HoldingAsync(test);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;
        await other.SettleAsync();

        _time.SetUtcNow(_time.GetUtcNow() - TimeSpan.FromHours(2));
        for (var i = 0; i < 12; i++)
        {
            Assert.True(test.Worker().Heartbeat.Beat());
            await other.SettleAsync();
            _time.Advance(Lease / 3);
        }

        Assert.Empty(other.Worker().Running);
        _gate.Open();
        await test.IdleAsync();
        Assert.False(_gate.Token.IsCancellationRequested);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_message_that_takes_its_workers_down_again_and_again_is_a_dead_letter()
    {
        var runs = 0;
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, _) => Task.FromResult(runs++)), _time, options => options.MaxCrashes = 3, logs: _logs);
        await test.SettleAsync();
        await test.Store.EnqueueAsync(new Job(1), new() { KeysIfUndelivered = [["dead"]] });
        for (var crash = 0; crash < 3; crash++)
        {
            var claimed = await test.Engine().Queue.ClaimAsync(
                new ClaimWork([new TopicClaim("job", 1, Lease)], 1, "doomed") { Recover = true }, CancellationToken.None);
            Assert.Equal(crash, Assert.Single(claimed).Crashes);
            _time.Advance(Lease);
        }

        await test.SettleAsync();

        Assert.Equal(0, runs);
        Assert.Equal(new Job(1), await test.Store.GetAsync<Job>(["dead"]));
        Assert.Contains(_logs.Entries, static e => e.Event == 105);
        test.AssertQueueEmpty();
    }

    [Theory]
    [InlineData("completes")]
    [InlineData("fails")]
    [InlineData("is cancelled")]
    public async Task A_worker_that_lost_a_lease_disturbs_nothing_whatever_it_does(string ending)
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (_, context, token) =>
            {
                await (ending == "is cancelled" ? _gate.PassAsync(context, token) : _gate.PassStubbornlyAsync(context, token));
                if (ending == "fails")
                {
                    throw new InvalidOperationException("Failed.");
                }
            }),
            _time,
            logs: _logs);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;
        var next = new Gate();
        await using var other = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => next.PassAsync(context, token)), _time, beside: test);
        await other.ClaimAsync();
        _time.Advance(Lease);
        await other.ClaimAsync();
        await next.Begun;
        var taken = await test.RunningAsync();

        test.Worker().Heartbeat.Beat();
        Assert.True(_gate.Token.IsCancellationRequested);
        Assert.Equivalent(taken, await test.RunningAsync());
        _gate.Open();
        await test.IdleAsync();

        Assert.Equivalent(taken, await test.RunningAsync());
        Assert.Empty(await test.QueuedAsync());
        Assert.Contains(_logs.Entries, static e => e.Event == 106);
        next.Open();
        await other.IdleAsync();
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_worker_that_slept_through_its_lease_stops_the_handler_before_it_starts_another()
    {
        List<Gate> gates = [new(), new()];
        var runs = -1;
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => gates[Interlocked.Increment(ref runs)].PassAsync(context, token)),
            _time,
            logs: _logs);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await gates[0].Begun;

        _time.Advance(Lease);
        await test.ClaimAsync();
        await gates[1].Begun;
        test.Worker().Heartbeat.Beat();

        Assert.True(gates[0].Token.IsCancellationRequested);
        Assert.False(gates[1].Token.IsCancellationRequested);
        gates[1].Open();
        await test.IdleAsync();
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_worker_that_cannot_extend_a_lease_stops_believing_in_it_before_it_ends()
    {
        await using var test = await HoldingAsync();
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;
        await test.ExecuteAsync("alter table queue_running rename to away");

        _time.Advance(Lease * 0.85);
        Assert.False(test.Worker().Heartbeat.Beat());
        Assert.False(_gate.Token.IsCancellationRequested);
        _time.Advance(Lease * 0.06);
        Assert.False(test.Worker().Heartbeat.Beat());

        Assert.True(_gate.Token.IsCancellationRequested);
        Assert.Contains(_logs.Entries, static e => e.Event == 107);
        await test.ExecuteAsync("alter table away rename to queue_running");
        await test.IdleAsync();
    }

    [Fact]
    public async Task What_waits_for_a_lost_token_and_throws_harms_only_itself()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (_, context, token) =>
            {
                token.Register(static () => throw new InvalidOperationException("Bad callback."));
                await _gate.PassAsync(context, token);
            }),
            _time,
            logs: _logs);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;
        await test.ExecuteAsync("update queue_running set owner = 'another'");

        test.Worker().Heartbeat.Beat();
        await test.IdleAsync();

        Assert.Contains(_logs.Entries, static e => e.Event == 116);
        Assert.Empty(test.Worker().Running);
    }

    [Fact]
    public async Task Interrupting_a_message_that_has_ended_is_nothing()
    {
        await using var test = await HoldingAsync();
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        var held = Assert.Single(test.Worker().Running);
        _gate.Open();
        await test.IdleAsync();

        held.Lose();
        held.Interrupt();

        Assert.False(_gate.Token.IsCancellationRequested);
    }

    private Task<KvTestStore> HoldingAsync(KvTestStore? beside = null) => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)),
        _time,
        static options => options.Lease = Lease,
        beside,
        _logs);
}

public sealed class SqliteLeaseTests(SqliteDatabase database) : LeaseSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresLeaseTests(PostgresDatabase database) : LeaseSpec(database), IClassFixture<PostgresDatabase>;
