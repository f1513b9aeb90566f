using Kv.Diagnostics;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

/// <summary>Leases of a worker while its process or its database has much else to do.</summary>
public abstract class BusyLeaseSpec(KvDatabase database)
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly Gate _gate = new();

    [Fact]
    public async Task A_lease_is_kept_while_others_write_without_a_pause()
    {
        const int Writers = 4;
        const int OfALease = 1000;
        await using var test = await HoldingAsync();
        await test.Store.EnqueueAsync(new Job(1));
        await test.StartAsync();
        await _gate.Begun;
        var held = Assert.Single(test.Worker().Running);

        // The first one opens a connection, which takes as long as the machine likes.
        Assert.True(test.Worker().Heartbeat.Beat());

        // The clock goes by what the others write, so it is as slow as the machine: what counts is how many of them a heartbeat lets pass.
        var clock = new Lock();
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; i < OfALease * 5 / 2 / Writers; i++)
            {
                await test.Store.SetAsync(["busy", (long)writer], new string('x', 20_000));
                lock (clock)
                {
                    _time.Advance(Lease / OfALease);
                }

                Assert.True(held.Lease.IsTrusted, $"The lease is {held.Lease.SinceExtended} old after {i} writes of each.");
            }
        })));

        Assert.False(_gate.Token.IsCancellationRequested);
        _gate.Open();
        await test.IdleAsync();
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_heartbeat_has_its_turn_before_the_writes_that_come_after_it()
    {
        await using var test = await HoldingAsync();
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;
        Assert.True(test.Worker().Heartbeat.Beat());
        _time.Advance(Lease / 3);
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        List<long> deadlines = [];
        test.FailPoints().OnHit = async point =>
        {
            if (point == FailPoints.BeforeCommit && begun.TrySetResult())
            {
                await goOn.Task;
            }
            else if (point == FailPoints.BeforeCommit)
            {
                deadlines.Add(Assert.Single(await test.RunningAsync()).Deadline);
            }
        };

        var before = test.Store.SetAsync(["before"], 1).AsTask();
        await begun.Task.WaitAsync(WorkerTesting.Patience);
        var beat = new Thread(() => test.Worker().Heartbeat.Beat());
        beat.Start();

        // It stands in line, or has no need to: then it ends, whatever commit is held, and a thread that waits for the server is not in
        // line.
        var started = TimeProvider.System.GetTimestamp();
        while (beat.IsAlive && !(StandsInLine && beat.ThreadState.HasFlag(ThreadState.WaitSleepJoin)))
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < WorkerTesting.Patience, "The heartbeat does not wait.");
            await Task.Yield();
        }

        var after = test.Store.SetAsync(["after"], 1).AsTask();
        goOn.SetResult();
        await before;
        await after;
        beat.Join();

        Assert.Equal(_time.Milliseconds() + 28_500, Assert.Single(deadlines));
        _gate.Open();
        await test.IdleAsync();
    }

    [Fact]
    public async Task A_lease_that_is_partly_over_when_it_is_granted_is_extended_at_once()
    {
        await using var test = await HoldingAsync();
        await test.Store.EnqueueAsync(new Job(1));
        test.Worker().Heartbeat.Start();
        test.FailPoints().OnHit = point =>
        {
            _time.Advance(point == FailPoints.BeforeCommit ? Lease / 4 : TimeSpan.Zero);
            return ValueTask.CompletedTask;
        };

        await test.ClaimAsync();

        // No heartbeat is due: time stands still.
        var held = Assert.Single(test.Worker().Running);
        var started = TimeProvider.System.GetTimestamp();
        while (held.Lease.SinceExtended > TimeSpan.Zero)
        {
            Assert.True(
                TimeProvider.System.GetElapsedTime(started) < WorkerTesting.Patience, $"The lease is {held.Lease.SinceExtended} old.");
            await Task.Yield();
        }

        Assert.Equal(Lease / 4, held.Lease.SinceClaimed);
        Assert.Equal(_time.Milliseconds() + 28_500, Assert.Single(await test.RunningAsync()).Deadline);
        _gate.Open();
        await test.IdleAsync();
    }

    [Fact]
    public async Task A_handler_does_not_begin_with_the_rest_of_a_lease_until_that_is_extended()
    {
        var lease = TimeSpan.FromSeconds(3);
        var begun = new TaskCompletionSource<TimeSpan>(TaskCreationOptions.RunContinuationsAsynchronously);
        var isLocked = true;
        KvTestStore? store = null;
        await using var test = store = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, _) =>
            {
                Assert.False(Volatile.Read(ref isLocked), "The handler began while its lease could not be extended.");
                begun.TrySetResult(Assert.Single(store!.Worker().Running).Lease.SinceExtended);
                return Task.CompletedTask;
            }),
            _time,
            options => options.Lease = lease,
            logs: _logs);
        await test.Store.EnqueueAsync(new Job(1));
        test.Worker().Heartbeat.Start();
        await using var other = test.CreateContext();
        test.FailPoints().OnHit = async point =>
        {
            _time.Advance(point == FailPoints.BeforeCommit ? lease * 0.6 : TimeSpan.Zero);
            if (point == FailPoints.AfterCommit && other.Database.CurrentTransaction is null)
            {
                // The message's row, and on SQLite the file.
                await other.Database.BeginTransactionAsync();
                await other.Database.ExecuteSqlRawAsync("update queue_running set crashes = crashes");
            }
        };

        await test.ClaimAsync();
        test.FailPoints().OnHit = null;
        Assert.False(await Task.Run(test.Worker().Heartbeat.Beat).WaitAsync(WorkerTesting.Patience));
        Volatile.Write(ref isLocked, false);
        await other.Database.RollbackTransactionAsync();
        Assert.True(await Task.Run(test.Worker().Heartbeat.Beat).WaitAsync(WorkerTesting.Patience));

        Assert.Equal(TimeSpan.Zero, await begun.Task.WaitAsync(WorkerTesting.Patience));
        await test.IdleAsync();
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task Two_hundred_handlers_that_block_their_threads_keep_their_leases()
    {
        const int Count = 200;
        using var open = new ManualResetEventSlim();
        var (handled, told) = (0, 0);
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, token) =>
            {
                open.Wait(CancellationToken.None);
                Interlocked.Add(ref told, token.IsCancellationRequested ? 1 : 0);
                Interlocked.Increment(ref handled);
                return Task.CompletedTask;
            }),
            options: static o => (o.Concurrency, o.Lease) = (Count, TimeSpan.FromSeconds(2)),
            logs: _logs);
        var write = test.Store.Atomic();
        for (var i = 0; i < Count; i++)
        {
            write.Enqueue(new Job(i));
        }

        await write.CommitAsync();

        // On a thread of its own: the pool's are taken, and the test's own continuations wait with the rest.
        var leases = new Thread(() =>
        {
            using var never = new ManualResetEventSlim();
            never.Wait(TimeSpan.FromSeconds(5));
            open.Set();
        });
        leases.Start();
        await test.StartAsync();
        var started = TimeProvider.System.GetTimestamp();
        while (Volatile.Read(ref handled) < Count)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < WorkerTesting.Patience, "The handlers did not end.");
            await Task.Yield();
        }

        await test.IdleAsync();
        await test.StopAsync();

        Assert.Equal((Count, 0), (handled, told));
        Assert.DoesNotContain(_logs.Entries, static e => e.Event is 106 or 107);
        test.AssertQueueEmpty();
    }

    /// <summary>Whether a heartbeat waits for the commits of others.</summary>
    protected abstract bool StandsInLine { get; }

    private Task<KvTestStore> HoldingAsync() => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)),
        _time,
        static options => options.Lease = Lease,
        logs: _logs);
}

public sealed class SqliteBusyLeaseTests(SqliteDatabase database) : BusyLeaseSpec(database), IClassFixture<SqliteDatabase>
{
    protected override bool StandsInLine => true;
}

public sealed class PostgresBusyLeaseTests(PostgresDatabase database) : BusyLeaseSpec(database), IClassFixture<PostgresDatabase>
{
    protected override bool StandsInLine => false;
}
