using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Of the messages of a topic with a unique key, one waits or runs.</summary>
public abstract class UniqueSpec(KvDatabase database)
{
    private static readonly KvEnqueueOptions Keep = new() { UniqueKey = "u" };
    private static readonly KvEnqueueOptions Replace = Keep with { IfDuplicate = KvDuplicatePolicy.Replace };
    private static readonly KvEnqueueOptions Refuse = Keep with { IfDuplicate = KvDuplicatePolicy.Refuse };
    private readonly ManualTime _time = new();
    private readonly Gate _gate = new();
    private readonly List<int> _seen = [];

    [Fact]
    public async Task What_is_kept_is_the_message_that_is_there_and_the_write_takes_effect()
    {
        await using var test = await WorkingAsync();
        var first = await EnqueueAsync(test, 1, Keep);

        var result = await test.Store.Atomic().Set(["a"], 1).Enqueue(new Job(2), Keep).Enqueue(new Job(3)).CommitAsync();

        Assert.Equal(first, result.MessageIds[0]);
        Assert.Equal([first, result.MessageIds[1]], (await test.QueuedAsync()).Select(static m => m.Id));
        Assert.Equal(1, await test.Store.GetAsync<int>(["a"]));
        await test.SettleAsync();
        Assert.Equal([1, 3], _seen.Order());
    }

    [Fact]
    public async Task What_is_refused_leaves_nothing_of_its_write_and_says_what_is_there()
    {
        await using var test = await WorkingAsync();
        var first = await EnqueueAsync(test, 1, Keep);

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.Atomic().Set(["a"], 1).Enqueue(new Job(3)).Enqueue(new Job(2), Refuse).CommitAsync().AsTask());

        Assert.Equal(KvErrorKind.Duplicate, error.Kind);
        Assert.Contains("'u'", error.Message, StringComparison.Ordinal);
        Assert.Contains(first, error.Message, StringComparison.Ordinal);
        Assert.Null(await test.Store.GetAsync(["a"]));
        Assert.Equal(first, Assert.Single(await test.QueuedAsync()).Id);
    }

    [Fact]
    public async Task A_refusal_harms_no_write_that_shares_its_transaction()
    {
        await using var test = await WorkingAsync();
        await EnqueueAsync(test, 1, Keep);

        var writes = Enumerable.Range(0, 50).Select(i => i % 2 == 0
            ? (Task)Assert.ThrowsAsync<KvException>(() => test.Store.EnqueueAsync(new Job(2), Refuse).AsTask())
            : test.Store.SetAsync(["k", (long)i], i).AsTask()).ToList();
        await Task.WhenAll(writes);

        Assert.Equal(25, await test.Store.CountAsync(KvRange.Prefix(["k"])));
        Assert.Single(await test.QueuedAsync());
    }

    [Fact]
    public async Task What_replaces_a_waiting_message_comes_with_its_own_payload_and_time()
    {
        await using var test = await WorkingAsync();
        await EnqueueAsync(test, 1, Keep with { Delay = TimeSpan.FromHours(1) });

        var second = await EnqueueAsync(test, 2, Replace with { Delay = TimeSpan.FromMinutes(1) });

        var row = Assert.Single(await test.QueuedAsync());
        Assert.Equal((second, _time.Milliseconds() + 60_000), (row.Id, row.DueAt));
        Assert.Equal(second, await EnqueueAsync(test, 3, Keep));
        _time.Advance(TimeSpan.FromMinutes(1));
        await test.SettleAsync();
        Assert.Equal([2], _seen);
        await AssertFreeAsync(test);
    }

    [Fact]
    public async Task What_replaces_a_running_message_comes_after_it_in_their_group_and_has_the_key()
    {
        await using var test = await WorkingAsync((job, context, token) => job.Number == 1 ? _gate.PassAsync(context, token) : Task.CompletedTask);
        await EnqueueAsync(test, 1, Replace with { GroupKey = "g" });
        await test.ClaimAsync();
        await _gate.Begun;

        var second = await EnqueueAsync(test, 2, Replace with { GroupKey = "g" });
        await test.ClaimAsync();
        Assert.Equal([1], _seen);
        _gate.Open();
        await test.IdleAsync();

        Assert.Equal(second, Assert.Single(await test.QueuedAsync()).Id);
        Assert.Equal(second, await EnqueueAsync(test, 3, Keep));
        await test.SettleAsync();
        Assert.Equal([1, 2], _seen);
        await AssertFreeAsync(test);
    }

    [Fact]
    public async Task What_replaces_the_head_of_a_group_goes_to_its_end()
    {
        await using var test = await WorkingAsync();
        await EnqueueAsync(test, 1, Replace with { GroupKey = "g" });
        await EnqueueAsync(test, 2, new() { GroupKey = "g" });
        await EnqueueAsync(test, 3, Replace with { GroupKey = "g" });

        await test.SettleAsync();

        Assert.Equal([2, 3], _seen);
        await AssertFreeAsync(test);
    }

    [Theory]
    [InlineData(KvDuplicatePolicy.Keep)]
    [InlineData(KvDuplicatePolicy.Refuse)]
    public async Task The_key_is_taken_while_the_message_runs_and_free_when_it_is_done(KvDuplicatePolicy ifDuplicate)
    {
        await using var test = await WorkingAsync((job, context, token) => job.Number == 1 ? _gate.PassAsync(context, token) : Task.CompletedTask);
        var first = await EnqueueAsync(test, 1, Keep);
        await test.ClaimAsync();
        await _gate.Begun;

        await AssertTakenAsync(test, first, ifDuplicate);
        _gate.Open();
        await test.IdleAsync();

        Assert.NotEqual(first, await EnqueueAsync(test, 3, Keep with { IfDuplicate = ifDuplicate }));
        await test.SettleAsync();
        Assert.Equal([1, 3], _seen);
        await AssertFreeAsync(test);
    }

    [Fact]
    public async Task The_key_stays_taken_while_the_message_waits_for_its_retry()
    {
        await using var test = await WorkingAsync(static (_, context, _) => context.Attempt == 1 ? throw new InvalidOperationException("Once.") : Task.CompletedTask);
        var first = await EnqueueAsync(test, 1, Keep with { BackoffSchedule = [TimeSpan.FromMinutes(1)] });
        await test.SettleAsync();

        await AssertTakenAsync(test, first, KvDuplicatePolicy.Keep);
        await AssertTakenAsync(test, first, KvDuplicatePolicy.Refuse);
        _time.Advance(TimeSpan.FromMinutes(1));
        await test.SettleAsync();

        await AssertFreeAsync(test);
    }

    [Fact]
    public async Task The_key_stays_taken_for_its_time_after_the_end()
    {
        await using var test = await WorkingAsync();
        var first = await EnqueueAsync(test, 1, Keep with { UniqueFor = TimeSpan.FromMinutes(10) });
        await test.SettleAsync();
        await test.AssertEmptyAsync();

        _time.Advance(TimeSpan.FromMinutes(10) - TimeSpan.FromMilliseconds(1));
        await AssertTakenAsync(test, first, KvDuplicatePolicy.Keep);
        await AssertTakenAsync(test, first, KvDuplicatePolicy.Refuse);
        _time.Advance(TimeSpan.FromMilliseconds(1));

        await EnqueueAsync(test, 2, Refuse);
        await test.SettleAsync();
        Assert.Equal([1, 2], _seen);
    }

    [Fact]
    public async Task A_message_that_takes_longer_than_its_time_has_the_key_to_its_end()
    {
        await using var test = await WorkingAsync();
        var first = await EnqueueAsync(test, 1, Keep with { UniqueFor = TimeSpan.FromMinutes(1), Delay = TimeSpan.FromHours(1) });
        _time.Advance(TimeSpan.FromMinutes(30));

        await AssertTakenAsync(test, first, KvDuplicatePolicy.Keep);
        _time.Advance(TimeSpan.FromMinutes(30));
        await test.SettleAsync();

        await AssertFreeAsync(test);
    }

    [Fact]
    public async Task Within_its_time_a_message_that_is_done_can_be_replaced()
    {
        await using var test = await WorkingAsync();
        await EnqueueAsync(test, 1, Keep with { UniqueFor = TimeSpan.FromMinutes(10) });
        await test.SettleAsync();

        var second = await EnqueueAsync(test, 2, Replace);
        Assert.Equal(second, await EnqueueAsync(test, 3, Keep));
        await test.SettleAsync();

        Assert.Equal([1, 2], _seen);
        await AssertFreeAsync(test);
    }

    [Theory]
    [InlineData(KvDuplicatePolicy.Keep, 1)]
    [InlineData(KvDuplicatePolicy.Replace, 2)]
    public async Task Two_in_one_write_are_one(KvDuplicatePolicy ifDuplicate, int survivor)
    {
        await using var test = await WorkingAsync();
        KvEnqueueOptions options = Keep with { IfDuplicate = ifDuplicate };

        var ids = (await test.Store.Atomic().Enqueue(new Job(1), options).Enqueue(new Job(2), options).CommitAsync()).MessageIds;

        Assert.Equal(ids[survivor - 1], Assert.Single(await test.QueuedAsync()).Id);
        Assert.Equal(survivor == 1, ids[0] == ids[1]);
        await test.SettleAsync();
        Assert.Equal([survivor], _seen);
        await AssertFreeAsync(test);
    }

    [Fact]
    public async Task Two_in_one_write_that_are_to_be_refused_leave_nothing()
    {
        await using var test = await WorkingAsync();

        await Assert.ThrowsAsync<KvException>(() => test.Store.Atomic().Enqueue(new Job(1), Refuse).Enqueue(new Job(2), Refuse).CommitAsync().AsTask());

        await test.AssertEmptyAsync();
        await AssertFreeAsync(test);
    }

    [Fact]
    public async Task The_same_key_in_another_topic_is_another_key()
    {
        await using var test = await WorkingAsync();
        await EnqueueAsync(test, 1, Refuse);
        await EnqueueAsync(test, 2, Refuse with { Topic = "other" });
        await EnqueueAsync(test, 3, Refuse with { UniqueKey = "U" });

        Assert.Equal(3, (await test.QueuedAsync()).Count);
    }

    [Theory]
    [InlineData(KvDuplicatePolicy.Keep)]
    [InlineData(KvDuplicatePolicy.Replace)]
    [InlineData(KvDuplicatePolicy.Refuse)]
    public async Task However_many_enqueue_at_once_there_is_one_message(KvDuplicatePolicy ifDuplicate)
    {
        await using var test = await WorkingAsync();
        await using var second = await database.CreateStoreAsync(_time, connectionString: test.ConnectionString);
        await using var third = await database.CreateStoreAsync(_time, connectionString: test.ConnectionString);
        KvTestStore[] stores = [test, second, third];

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 90).Select(i => Task.Run(async () =>
        {
            try
            {
                return Assert.Single((await stores[i % 3].Store.Atomic().Enqueue(new Job(i), Keep with { IfDuplicate = ifDuplicate }).CommitAsync()).MessageIds);
            }
            catch (KvException error) when (error.Kind == KvErrorKind.Duplicate)
            {
                return null;
            }
        })));

        var id = Assert.Single(await test.QueuedAsync()).Id;
        Assert.Equal(
            ifDuplicate switch { KvDuplicatePolicy.Keep => 90, _ => 1 },
            outcomes.Count(outcome => outcome == id));
        Assert.Equal(ifDuplicate == KvDuplicatePolicy.Refuse ? 89 : 0, outcomes.Count(static outcome => outcome is null));
        await test.SettleAsync();
        Assert.Single(_seen);
        await AssertFreeAsync(test);
    }

    [Fact]
    public async Task A_dead_letter_and_a_cancelled_message_free_the_key()
    {
        await using var test = await WorkingAsync(static (_, _, _) => throw new InvalidOperationException("Never."));
        await EnqueueAsync(test, 1, Keep with { BackoffSchedule = [] });
        await test.SettleAsync();
        Assert.Single(await test.DeadLettersAsync());

        var second = await EnqueueAsync(test, 2, Refuse);
        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(second));

        await AssertFreeAsync(test);
        await EnqueueAsync(test, 3, Refuse);
    }

    [Fact]
    public async Task What_was_replaced_and_ends_does_not_free_the_key_of_another()
    {
        await using var test = await WorkingAsync((job, context, token) => job.Number == 1 ? _gate.PassAsync(context, token) : Task.CompletedTask);
        await EnqueueAsync(test, 1, Keep with { BackoffSchedule = [] });
        await test.ClaimAsync();
        await _gate.Begun;
        var second = await EnqueueAsync(test, 2, Replace with { Delay = TimeSpan.FromHours(1) });
        _gate.Open();
        await test.IdleAsync();

        await AssertTakenAsync(test, second, KvDuplicatePolicy.Refuse);
        Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(second));
        await AssertFreeAsync(test);
    }

    [Fact]
    public async Task A_message_that_is_enqueued_in_a_transaction_that_is_rolled_back_has_no_key()
    {
        await using var test = await WorkingAsync();
        await using (var context = test.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            await test.Store.Atomic().Enqueue(new Job(1), Refuse).CommitAsync(context);
            await transaction.RollbackAsync();
        }

        await AssertFreeAsync(test);
        await EnqueueAsync(test, 2, Refuse);
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
        await EnqueueAsync(test, 1, Refuse);

        await test.SettleAsync();

        Assert.Equal([1, 2], _seen);
        await AssertFreeAsync(test);
    }

    private static async Task<string> EnqueueAsync(KvTestStore test, int number, KvEnqueueOptions options) =>
        Assert.Single((await test.Store.Atomic().Enqueue(new Job(number), options).CommitAsync()).MessageIds);

    private static async Task AssertTakenAsync(KvTestStore test, string by, KvDuplicatePolicy ifDuplicate)
    {
        if (ifDuplicate == KvDuplicatePolicy.Keep)
        {
            Assert.Equal(by, await EnqueueAsync(test, -1, Keep));
            return;
        }

        var error = await Assert.ThrowsAsync<KvException>(() => EnqueueAsync(test, -1, Refuse));
        Assert.Equal(KvErrorKind.Duplicate, error.Kind);
    }

    private static async Task AssertFreeAsync(KvTestStore test) =>
        Assert.Equal(0, await test.Store.CountAsync(KvRange.Prefix(["efkv", "unique"])));

    private Task<KvTestStore> WorkingAsync(Func<Job, KvMessageContext, CancellationToken, Task>? handle = null) => database.CreateWorkerAsync(
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
