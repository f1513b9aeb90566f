using Kv.TestKit;
using static Kv.TestKit.UniqueMessages;

namespace Kv.Tests.Specs;

/// <summary>A message has its unique key from its enqueueing to its end, whatever a worker makes of it.</summary>
public abstract class UniqueSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly Gate _gate = new();
    private readonly List<int> _seen = [];

    [Fact]
    public async Task What_replaces_a_running_message_comes_after_it_in_their_group_and_has_the_key()
    {
        await using var test = await WorkingAsync(
            (job, context, token) => job.Number == 1 ? _gate.PassAsync(context, token) : Task.CompletedTask);
        await test.EnqueueUniqueAsync(1, Replace with { GroupKey = "g" });
        await test.ClaimAsync();
        await _gate.Begun;

        var second = await test.EnqueueUniqueAsync(2, Replace with { GroupKey = "g" });
        await test.ClaimAsync();
        Assert.Equal([1], _seen);
        _gate.Open();
        await test.IdleAsync();

        Assert.Equal(second, Assert.Single(await test.QueuedAsync()).Id);
        Assert.Equal(second, await test.EnqueueUniqueAsync(3, Keep));
        await test.SettleAsync();
        Assert.Equal([1, 2], _seen);
        await test.AssertFreeAsync();
    }

    [Theory]
    [InlineData(KvDuplicatePolicy.Keep)]
    [InlineData(KvDuplicatePolicy.Refuse)]
    public async Task The_key_is_taken_while_the_message_runs_and_free_when_it_is_done(KvDuplicatePolicy ifDuplicate)
    {
        await using var test = await WorkingAsync(
            (job, context, token) => job.Number == 1 ? _gate.PassAsync(context, token) : Task.CompletedTask);
        var first = await test.EnqueueUniqueAsync(1, Keep);
        await test.ClaimAsync();
        await _gate.Begun;

        await test.AssertTakenAsync(first, ifDuplicate);
        _gate.Open();
        await test.IdleAsync();

        Assert.NotEqual(first, await test.EnqueueUniqueAsync(3, Keep with { IfDuplicate = ifDuplicate }));
        await test.SettleAsync();
        Assert.Equal([1, 3], _seen);
        await test.AssertFreeAsync();
    }

    [Fact]
    public async Task The_key_stays_taken_while_the_message_waits_for_its_retry()
    {
        await using var test = await WorkingAsync(
            static (_, context, _) => context.Attempt == 1 ? throw new InvalidOperationException("Once.") : Task.CompletedTask);
        var first = await test.EnqueueUniqueAsync(1, Keep with { BackoffSchedule = [TimeSpan.FromMinutes(1)] });
        await test.SettleAsync();

        await test.AssertTakenAsync(first, KvDuplicatePolicy.Keep);
        await test.AssertTakenAsync(first, KvDuplicatePolicy.Refuse);
        _time.Advance(TimeSpan.FromMinutes(1));
        await test.SettleAsync();

        await test.AssertFreeAsync();
    }

    [Fact]
    public async Task A_dead_letter_and_a_cancelled_message_free_the_key()
    {
        await using var test = await WorkingAsync(static (_, _, _) => throw new InvalidOperationException("Never."));
        await test.EnqueueUniqueAsync(1, Keep with { BackoffSchedule = [] });
        await test.SettleAsync();
        Assert.Single(await test.DeadLettersAsync());

        var second = await test.EnqueueUniqueAsync(2, Refuse);
        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(second));

        await test.AssertFreeAsync();
        await test.EnqueueUniqueAsync(3, Refuse);
    }

    [Fact]
    public async Task What_was_replaced_and_ends_does_not_free_the_key_of_another()
    {
        await using var test = await WorkingAsync(
            (job, context, token) => job.Number == 1 ? _gate.PassAsync(context, token) : Task.CompletedTask);
        await test.EnqueueUniqueAsync(1, Keep with { BackoffSchedule = [] });
        await test.ClaimAsync();
        await _gate.Begun;
        var second = await test.EnqueueUniqueAsync(2, Replace with { Delay = TimeSpan.FromHours(1) });
        _gate.Open();
        await test.IdleAsync();

        await test.AssertTakenAsync(second, KvDuplicatePolicy.Refuse);
        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(second));
        await test.AssertFreeAsync();
    }

    [Fact]
    public async Task A_handler_that_enqueues_its_own_successor_takes_the_key_over()
    {
        await using var test = await WorkingAsync(static async (job, context, token) =>
        {
            if (job.Number == 1)
            {
                await context.CompleteAsync(static atomic => atomic.Enqueue(new Job(2), Refuse), token);
            }
        });
        await test.EnqueueUniqueAsync(1, Refuse);

        await test.SettleAsync();

        Assert.Equal([1, 2], _seen);
        await test.AssertFreeAsync();
    }

    private Task<KvTestStore> WorkingAsync(
        Func<Job, KvMessageContext, CancellationToken, Task>? handle = null) => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((job, context, token) =>
        {
            lock (_seen)
            {
                _seen.Add(job.Number);
            }

            return handle?.Invoke(job, context, token) ?? Task.CompletedTask;
        }),
        _time,
        logs: new LogCollector());
}

public sealed class SqliteUniqueTests(SqliteDatabase database) : UniqueSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresUniqueTests(PostgresDatabase database) : UniqueSpec(database), IClassFixture<PostgresDatabase>;
