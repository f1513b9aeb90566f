using System.Threading.Channels;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

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

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task What_a_context_commits_wakes_workers_of_its_own_process_and_of_others(bool sameProcess, bool plain)
    {
        await using var test = await StartAsync();
        await using var other = sameProcess ? null : await database.CreateStoreAsync(connectionString: test.ConnectionString);
        var options = new DbContextOptionsBuilder();
        database.Configure(options, test.ConnectionString);
        options.UseKv().UseApplicationServiceProvider((other ?? test).Services);
        await using var context = new DbContext(options.Options);
        for (var i = 0; i < 3; i++)
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            context.Kv().Enqueue(new Job(i), new() { GroupKey = plain ? null : "g" });
            await context.SaveChangesAsync();
            Assert.Equal(0, _seen.Reader.Count);
            await transaction.CommitAsync();
            await SeenAsync();
        }
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
