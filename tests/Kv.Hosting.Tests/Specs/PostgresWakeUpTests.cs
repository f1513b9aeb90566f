using System.Diagnostics;
using Kv.Changes;
using Kv.TestKit;
using Npgsql;

namespace Kv.Tests.Specs;

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
        await using var test = await StartAsync(
            poll: TimeSpan.FromMilliseconds(50), hears: false, connectionString: await _database.CreateWithNotifyAsync("null;"));
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
        await using var test = await _database.CreateWorkerAsync(
            static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask));
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

        // A minute has two looks for what is due, and the sweeper's one.
        Assert.InRange(statements, 2 * Minutes, 3 * Minutes);

        // A loop that still works when the clock moves is not moved by it, and would wait for a moment that never comes: so both rest.
        async Task PassAsync(int minutes)
        {
            // The worker and the sweeper.
            const int Loops = 2;
            await time.WhenRestingAsync(Loops);
            for (var i = 0; i < 2 * minutes; i++)
            {
                time.Advance(TimeSpan.FromSeconds(30));
                await time.WhenRestingAsync(Loops);
            }
        }
    }

    private Task EndBackendsAsync(KvTestStore test) =>
        _database.Server.TerminateBackendsAsync(new NpgsqlConnectionStringBuilder(test.ConnectionString).Database!);
}
