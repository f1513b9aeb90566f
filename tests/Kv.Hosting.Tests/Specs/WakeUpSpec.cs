using System.Diagnostics;
using System.Threading.Channels;
using Kv.Changes;
using Kv.TestKit;
using Npgsql;

namespace Kv.Tests.Specs;

/// <summary>A worker hears of messages that other processes put in. It polls once a minute, so no test here waits for that.</summary>
public abstract class WakeUpSpec(KvDatabase database)
{
    private readonly Channel<int> _seen = Channel.CreateUnbounded<int>();

    private protected LogCollector Logs { get; } = new();

    [Fact]
    public async Task A_message_of_another_process_wakes_the_worker_without_a_poll()
    {
        await using var test = await StartAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);

        for (var i = 0; i < 5; i++)
        {
            await other.Store.EnqueueAsync(new Job(i));
            await SeenAsync();
        }
    }

    [Fact]
    public async Task A_message_of_a_users_own_transaction_wakes_the_worker_when_it_is_committed_and_not_before()
    {
        await using var test = await StartAsync();
        await using var context = test.CreateContext();
        await using (var undone = await context.Database.BeginTransactionAsync())
        {
            await test.Store.Atomic().Enqueue(new Job(1)).CommitAsync(context);
            await undone.RollbackAsync();
        }

        var woken = 0;
        test.Engine().Signals.MessagesQueued += () => Interlocked.Increment(ref woken);
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            await test.Store.Atomic().Enqueue(new Job(2)).CommitAsync(context);
            Assert.Equal(0, woken);
            Assert.Equal(0, _seen.Reader.Count);
            await transaction.CommitAsync();
        }

        await SeenAsync();
        Assert.Equal(0, _seen.Reader.Count);
    }

    [Fact]
    public async Task A_message_that_a_process_puts_in_as_its_last_act_wakes_others()
    {
        await using var test = await StartAsync();
        var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);

        // The first is told at once; the second would be told a moment later, when the process is gone.
        await other.Store.EnqueueAsync(new Job(1));
        await other.Store.EnqueueAsync(new Job(2));
        await other.DisposeAsync();

        await SeenAsync();
        await SeenAsync();
    }

    [Fact]
    public async Task The_next_of_a_message_group_does_not_wait_for_a_poll()
    {
        await using var test = await StartAsync();
        var write = test.Store.Atomic();
        for (var i = 0; i < 20; i++)
        {
            write.Enqueue(new Job(i), new() { GroupKey = "g" });
        }

        await write.CommitAsync();
        for (var i = 0; i < 20; i++)
        {
            await SeenAsync();
        }
    }

    [Fact]
    public async Task The_next_of_a_message_group_goes_to_a_worker_of_another_process_without_a_poll()
    {
        var gate = new Gate();
        await using var other = await database.CreateWorkerAsync(worker => worker.Handle<Job>((_, context, token) => gate.PassAsync(context, token)), options: static o => o.Lease = TimeSpan.FromMinutes(5));
        await other.Store.Atomic().Enqueue(new Job(1), new() { GroupKey = "g" }).Enqueue(new Job(2), new() { GroupKey = "g" }).CommitAsync();
        await other.ClaimAsync();
        await gate.Begun;
        await using var test = await StartAsync(connectionString: other.ConnectionString);

        // A worker looks when it has connected, and when a lease lapses that it knows of: after these it has, and waits to be told.
        for (var i = 0; i < 5; i++)
        {
            await test.Store.EnqueueAsync(new Job(i));
            await SeenAsync();
            await test.IdleAsync();
        }

        gate.Open();

        await SeenAsync();
        await other.IdleAsync();
    }

    [Fact]
    public async Task A_topic_that_another_process_resumes_goes_on_without_a_poll()
    {
        await using var test = await StartAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await other.Queue().PauseAsync("job");
        await other.Store.EnqueueAsync(new Job(1));

        await other.Queue().ResumeAsync("job");

        await SeenAsync();
    }

    [Fact]
    public async Task The_end_of_a_pause_wakes_the_worker_of_another_process()
    {
        await using var test = await StartAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await other.Queue().PauseAsync("job", TimeSpan.FromMilliseconds(500));
        await other.Store.EnqueueAsync(new Job(1));

        // Whoever paused it is gone, and cannot tell anybody when it ends.
        await other.DisposeAsync();

        await SeenAsync();
    }

    [Fact]
    public async Task A_pause_that_is_shortened_by_another_process_ends_when_that_says()
    {
        await using var test = await StartAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await other.Queue().PauseAsync("job");
        await other.Store.EnqueueAsync(new Job(1));

        await other.Queue().PauseAsync("job", TimeSpan.FromMilliseconds(500));

        await SeenAsync();
    }

    [Fact]
    public async Task Without_notifications_messages_of_others_are_found_by_polling()
    {
        await using var test = await StartAsync(static o => o.Notifications = false, TimeSpan.FromMilliseconds(50), hears: false);
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString, options: static o => o.Notifications = false);

        await other.Store.EnqueueAsync(new Job(1));

        await SeenAsync();
    }

    protected Task SeenAsync() => _seen.Reader.ReadAsync().AsTask().WaitAsync(WorkerTesting.Patience);

    /// <summary>A worker that hears of commits, and counts the messages that it handles.</summary>
    protected async Task<KvTestStore> StartAsync(
        Action<KvStoreOptions>? options = null, TimeSpan? poll = null, bool hears = true, string? connectionString = null, TimeProvider? time = null, bool polls = true)
    {
        var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((job, _, token) => _seen.Writer.WriteAsync(job.Number, token).AsTask()),
            time,
            worker => worker.PollInterval = polls ? poll ?? TimeSpan.FromMinutes(1) : null,
            logs: Logs,
            storeOptions: options,
            connectionString: connectionString);
        await test.StartAsync();
        if (hears)
        {
            await test.WhenListeningAsync();
        }

        return test;
    }
}

public sealed class SqliteWakeUpTests(SqliteDatabase database) : WakeUpSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresWakeUpTests(PostgresDatabase database) : WakeUpSpec(database), IClassFixture<PostgresDatabase>
{
    private readonly PostgresDatabase _database = database;

    [Fact]
    public async Task A_worker_that_lost_its_connections_listens_again_and_misses_nothing()
    {
        await using var test = await StartAsync();
        await using var other = await _database.CreateStoreAsync(connectionString: test.ConnectionString);
        for (var i = 0; i < 3; i++)
        {
            await EndBackendsAsync(test);

            // Whether it is deaf by then or hears again, it learns of it.
            await other.Store.EnqueueAsync(new Job(i));
            await SeenAsync();
            await test.WhenListeningAsync();
            await other.Store.EnqueueAsync(new Job(i));
            await SeenAsync();
        }
    }

    [Fact]
    public async Task A_wish_to_cancel_is_heard_in_this_process_and_in_others()
    {
        await using var test = await StartAsync();
        await using var other = await _database.CreateStoreAsync(connectionString: test.ConnectionString);
        await other.Store.EnqueueAsync(new Job(1));
        await SeenAsync();
        var here = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var there = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        other.Engine().Signals.CancelRequested += () => here.TrySetResult();
        test.Engine().Signals.CancelRequested += () => there.TrySetResult();

        other.Engine().Signals.Wake(ChangeKinds.Cancel);

        await here.Task.WaitAsync(WorkerTesting.Patience);
        await there.Task.WaitAsync(WorkerTesting.Patience);
    }

    [Fact]
    public async Task A_message_that_another_process_cancels_is_cancelled_long_before_the_next_heartbeat()
    {
        var begun = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var test = await _database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (_, context, token) =>
            {
                await using var asked = token.Register(cancelled.SetResult);
                begun.SetResult(context.Id);
                await cancelled.Task;
            }),
            options: static worker => worker.Lease = TimeSpan.FromMinutes(10));
        await test.StartAsync();
        await test.WhenListeningAsync();
        await using var other = await _database.CreateStoreAsync(connectionString: test.ConnectionString);
        await other.Store.EnqueueAsync(new Job(1));

        Assert.Equal(KvCancelResult.Requested, await other.Queue().CancelAsync(await begun.Task.WaitAsync(WorkerTesting.Patience)));

        await cancelled.Task.WaitAsync(WorkerTesting.Patience);
    }

    [Fact]
    public async Task Where_notifications_do_not_come_through_the_store_says_so_once_and_the_worker_polls()
    {
        // What a program sees of a pooler of transactions: it listens and notifies without an error, and hears nothing.
        await using var test = await StartAsync(poll: TimeSpan.FromMilliseconds(50), hears: false, connectionString: await _database.CreateWithNotifyAsync("null;"));
        await using var other = await _database.CreateStoreAsync(connectionString: test.ConnectionString);
        await Logs.WaitForAsync(16, times: 1);

        await other.Store.EnqueueAsync(new Job(1));

        await SeenAsync();
        Assert.False(test.Engine().Queue.IsListening);
        Assert.Single(Logs.Entries, static entry => entry.Event == 16);
    }

    [Fact]
    public async Task An_idle_worker_that_hears_looks_twice_a_minute_and_one_that_does_not_each_second()
    {
        await using var test = await _database.CreateWorkerAsync(static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask));
        var changed = new SemaphoreSlim(0);
        test.Engine().Listener.ListeningChanged += () => changed.Release();
        Assert.Equal(TimeSpan.FromSeconds(1), await test.Worker().RunRoundAsync(CancellationToken.None));

        using var listening = test.Engine().Listener.Listen(watches: false);
        Assert.True(await changed.WaitAsync(WorkerTesting.Patience));
        Assert.Equal(TimeSpan.FromSeconds(30), await test.Worker().RunRoundAsync(CancellationToken.None));

        await EndBackendsAsync(test);
        Assert.True(await changed.WaitAsync(WorkerTesting.Patience));
        Assert.True(await changed.WaitAsync(WorkerTesting.Patience));
        Assert.Equal(TimeSpan.FromSeconds(30), await test.Worker().RunRoundAsync(CancellationToken.None));
    }

    [Fact]
    public async Task An_idle_process_that_hears_sends_a_few_statements_a_minute()
    {
        const int Minutes = 10;
        var time = new ManualTime();
        await using var test = await StartAsync(time: time, polls: false);

        // That it hears itself it makes sure of by the system's clock.
        test.Engine().Listener.ProbeInterval = TimeSpan.FromHours(1);
        await using (var other = await _database.CreateStoreAsync(time, connectionString: test.ConnectionString))
        {
            await other.Store.EnqueueAsync(new Job(1));
            await SeenAsync();
        }

        await test.IdleAsync();
        await PassAsync(minutes: 2);
        var name = new NpgsqlConnectionStringBuilder(test.ConnectionString).Database;
        var statements = 0;
        using var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name == "Npgsql",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity => Interlocked.Add(ref statements, activity.TagObjects.Any(tag => Equals(tag.Value, name)) ? 1 : 0),
        };
        ActivitySource.AddActivityListener(listener);

        await PassAsync(Minutes);

        // A minute has two looks for what is due, one for groups that stand still, and the sweeper's one.
        Assert.InRange(statements, 2 * Minutes, 4 * Minutes);

        // A loop that still works when the clock moves is not moved by it, and would wait for a moment that never comes: so both rest.
        async Task PassAsync(int minutes)
        {
            // The worker and the sweeper.
            const int Loops = 2;
            await time.WhenRestingAsync(Loops, WorkerTesting.Patience);
            for (var i = 0; i < 2 * minutes; i++)
            {
                time.Advance(TimeSpan.FromSeconds(30));
                await time.WhenRestingAsync(Loops, WorkerTesting.Patience);
            }
        }
    }

    private Task EndBackendsAsync(KvTestStore test) => _database.Server.TerminateBackendsAsync(new NpgsqlConnectionStringBuilder(test.ConnectionString).Database!);
}
