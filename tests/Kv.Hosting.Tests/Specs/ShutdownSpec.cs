using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class ShutdownSpec(KvDatabase database)
{
    private readonly LogCollector _logs = new();
    private readonly Gate _gate = new();

    [Fact]
    public async Task A_worker_that_stops_claims_no_more_and_lets_its_handlers_finish()
    {
        await using var test = await HoldingAsync(static options => options.Concurrency = 1);
        await test.Store.Atomic().Enqueue(new Job(1)).Enqueue(new Job(2)).CommitAsync();
        await test.StartAsync();
        await _gate.Begun;

        var stopping = test.StopAsync();
        Assert.False(_gate.Token.IsCancellationRequested);
        _gate.Open();
        await stopping.WaitAsync(WorkerTesting.Patience);

        Assert.False(_gate.Token.IsCancellationRequested);
        Assert.Empty(await test.RunningAsync());
        Assert.Equal(0, Assert.Single(await test.QueuedAsync()).Claim);
    }

    [Fact]
    public async Task A_handler_that_takes_too_long_is_cancelled_and_its_message_goes_back_as_it_was()
    {
        await using var test = await HoldingAsync(static options => options.ShutdownTimeout = TimeSpan.Zero);
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        var before = Assert.Single(await test.QueuedAsync());
        await test.StartAsync();
        await _gate.Begun;

        await test.StopAsync().WaitAsync(WorkerTesting.Patience);

        Assert.True(_gate.Token.IsCancellationRequested);
        Assert.Empty(await test.RunningAsync());
        var back = Assert.Single(await test.QueuedAsync());
        Assert.Equal((before.Id, before.DueAt, 0, 0, "[]", 1L), (back.Id, back.DueAt, back.Attempt, back.Crashes, back.BackoffSchedule, back.Claim));
        Assert.Empty(await test.DeadLettersAsync());

        KvMessageContext? seen = null;
        await using var second = await database.CreateWorkerAsync(worker => worker.Handle<Job>((_, context, _) => Task.FromResult(seen = context)), beside: test);
        await second.SettleAsync();
        Assert.Equal(1, seen!.Attempt);
        second.AssertQueueEmpty();
    }

    /// <summary>Of a group, an end that comes behind the giving back of its message would find it gone, and the message would be handled again.</summary>
    [Fact]
    public async Task A_message_is_given_back_or_ended_whichever_begins_first()
    {
        await using var test = await HoldingAsync(static options => options.ShutdownTimeout = TimeSpan.Zero);
        await test.Store.Atomic().Enqueue(new Job(1)).Enqueue(new Job(2)).CommitAsync();
        await test.ClaimAsync();
        await _gate.Begun;
        var held = test.Worker().Running.ToList();

        Assert.True(held[0].TryEnd());
        Assert.False(held[0].TryRelease());
        Assert.True(held[1].TryRelease());
        Assert.False(held[1].TryEnd());
        _gate.Open();
        await test.IdleAsync();

        Assert.Equal([held[1].Message.Fence.Id], (await test.RunningAsync()).Select(static m => m.Id));
    }

    [Fact]
    public async Task The_message_of_a_handler_that_does_not_listen_goes_back_too()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => _gate.PassStubbornlyAsync(context, token)),
            options: static options => options.ShutdownTimeout = TimeSpan.Zero,
            logs: _logs);
        await test.Store.EnqueueAsync(new Job(1));
        await test.StartAsync();
        await _gate.Begun;
        var held = Assert.Single(test.Worker().Running);

        await test.StopAsync().WaitAsync(WorkerTesting.Patience);

        Assert.Empty(await test.RunningAsync());
        Assert.Equal(0, Assert.Single(await test.QueuedAsync()).Attempt);
        _gate.Open();
        await held.Ended.WaitAsync(WorkerTesting.Patience);
        Assert.Single(await test.QueuedAsync());
        Assert.Contains(_logs.Entries, static e => e.Event == 115);
    }

    [Fact]
    public async Task A_host_with_less_time_than_the_worker_strands_nothing()
    {
        await using var test = await HoldingAsync(static options => options.ShutdownTimeout = TimeSpan.FromMinutes(5));
        await test.Store.EnqueueAsync(new Job(1));
        await test.StartAsync();
        await _gate.Begun;

        await test.Worker().StopAsync(new CancellationToken(canceled: true)).WaitAsync(WorkerTesting.Patience);

        Assert.Empty(await test.RunningAsync());
        Assert.Equal(0, Assert.Single(await test.QueuedAsync()).Attempt);
    }

    [Fact]
    public async Task A_container_that_is_disposed_of_strands_nothing()
    {
        var test = await HoldingAsync(static options => options.ShutdownTimeout = TimeSpan.FromMinutes(5));
        await test.Store.EnqueueAsync(new Job(1));
        await test.StartAsync();
        await _gate.Begun;
        await using var beside = await database.CreateStoreAsync(connectionString: test.ConnectionString);

        await test.DisposeAsync();

        Assert.Empty(await beside.RunningAsync());
        Assert.Single(await beside.QueuedAsync());
    }

    [Fact]
    public async Task A_second_signal_ends_at_once_what_the_first_would_have_waited_for()
    {
        await using var test = await HoldingAsync(static options => options.ShutdownTimeout = TimeSpan.FromMinutes(5));
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await test.StartAsync();
        await _gate.Begun;
        var stopping = test.StopAsync();
        Assert.False(_gate.Token.IsCancellationRequested);

        test.Worker().Hurry();
        await stopping.WaitAsync(WorkerTesting.Patience);

        Assert.True(_gate.Token.IsCancellationRequested);
        Assert.Empty(await test.RunningAsync());
        Assert.Equal((0, "[]"), (Assert.Single(await test.QueuedAsync()).Attempt, (await test.QueuedAsync())[0].BackoffSchedule));
    }

    [Fact]
    public async Task A_worker_that_drains_keeps_the_leases_of_its_topics_until_the_last_handler_ends()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)).Topic<Job>(static o => o.Lease = TimeSpan.FromSeconds(1)), logs: _logs);
        await test.Store.EnqueueAsync(new Job(1));
        await test.StartAsync();
        await _gate.Begun;
        var stopping = test.StopAsync();

        var claimed = Assert.Single(await test.RunningAsync()).Deadline;
        var started = TimeProvider.System.GetTimestamp();
        while ((await test.RunningAsync())[0].Deadline < claimed + 1500)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < WorkerTesting.Patience, "The lease is not extended any more.");
        }

        Assert.False(_gate.Token.IsCancellationRequested);
        _gate.Open();
        await stopping.WaitAsync(WorkerTesting.Patience);
        test.AssertQueueEmpty();
    }

    private Task<KvTestStore> HoldingAsync(Action<KvWorkerOptions> options) =>
        database.CreateWorkerAsync(worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)), options: options, logs: _logs);
}

public sealed class SqliteShutdownTests(SqliteDatabase database) : ShutdownSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresShutdownTests(PostgresDatabase database) : ShutdownSpec(database), IClassFixture<PostgresDatabase>;
