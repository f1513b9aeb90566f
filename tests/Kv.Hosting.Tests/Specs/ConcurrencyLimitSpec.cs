using Kv.Messages;
using Kv.Model;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Of the messages with a concurrency key, no more than the limit run at the same time.</summary>
public abstract class ConcurrencyLimitSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly List<int> _seen = [];

    [Fact]
    public async Task No_more_than_the_limit_run_at_once_over_several_workers()
    {
        await using var crew = await Crew.CreateAsync(database, workers: 3, together: 3, _time, static async (_, _) => await Task.Yield());
        for (var i = 0; i < 10; i++)
        {
            var write = crew.First.Store.Atomic();
            for (var j = 0; j < 10; j++)
            {
                var group = $"g{j % 2}";
                write.Enqueue(new Step(group, (10 * i) + j), Limited(group, 3) with { Delay = TimeSpan.FromSeconds(j % 3) });
            }

            await write.CommitAsync();
        }

        await crew.RunAsync(handled: 100, idle: () => _time.Advance(TimeSpan.FromSeconds(1)));

        Assert.Empty(crew.Crowded);
        crew.First.AssertQueueEmpty();
    }

    [Fact]
    public async Task As_many_as_the_limit_have_a_place_and_the_rest_wait_out_of_the_way()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var write = test.Store.Atomic();
        for (var i = 0; i < 5; i++)
        {
            write.Enqueue(new Job(i), Limited("a", 3));
        }

        await write.CommitAsync();
        await test.Store.EnqueueAsync(new Job(5), Limited("a", 3));
        await test.Store.EnqueueAsync(new Job(6), Limited("b", 3));

        Assert.Equal([0, 1, 2, 6], await NumbersAsync(test, MessageState.Ready));
        Assert.Equal([3, 4, 5], await NumbersAsync(test, MessageState.Blocked));
    }

    [Fact]
    public async Task A_place_that_is_left_goes_to_the_next()
    {
        List<Gate> gates = [new(), new(), new()];
        await using var test = await WorkingAsync((job, context, token) => gates[job.Number].PassAsync(context, token));
        await test.Store.Atomic().Enqueue(new Job(0), Limited("a", 2)).Enqueue(new Job(1), Limited("a", 2)).Enqueue(new Job(2), Limited("a", 2)).CommitAsync();
        await test.ClaimAsync();
        await gates[0].Begun;
        await gates[1].Begun;

        await test.ClaimAsync();
        Assert.Equal([2], await NumbersAsync(test, MessageState.Blocked));
        gates[1].Open();
        while (test.Worker().Running.Count > 1)
        {
            await Task.Yield();
        }

        Assert.Equal([2], await NumbersAsync(test, MessageState.Ready));
        gates.ForEach(static gate => gate.Open());
        await test.IdleAsync();
        await test.SettleAsync();
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task Delayed_ones_take_no_place_before_their_time_and_look_for_one_then()
    {
        await using var test = await WorkingAsync();
        await test.Store.Atomic()
            .Enqueue(new Job(1), Limited("a", 1) with { Delay = TimeSpan.FromMinutes(1) })
            .Enqueue(new Job(2), Limited("a", 1) with { Delay = TimeSpan.FromMinutes(2) })
            .Enqueue(new Job(3), Limited("a", 1))
            .CommitAsync();

        await test.SettleAsync();
        Assert.Equal([3], _seen);
        _time.Advance(TimeSpan.FromMinutes(5));
        await test.SettleAsync();

        Assert.Equal([3, 1, 2], _seen);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task Of_the_delayed_only_so_many_are_admitted_as_there_are_places()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var write = test.Store.Atomic();
        for (var i = 0; i < 6; i++)
        {
            write.Enqueue(new Job(i), Limited(i < 4 ? "a" : "b", 3) with { Delay = TimeSpan.FromSeconds(1) });
        }

        await write.Enqueue(new Job(6), Limited("a", 3)).CommitAsync();
        Assert.Equal([0, 1, 2, 3, 4, 5], await NumbersAsync(test, MessageState.Deferred));
        _time.Advance(TimeSpan.FromSeconds(1));
        var claimed = await test.Engine().Queue.ClaimAsync(
            new ClaimWork([new TopicClaim("job", 2, TimeSpan.FromSeconds(30))], 2, "me") { FindsSlots = true }, CancellationToken.None);

        Assert.Equal(2, claimed.Count);
        Assert.Equal([2, 3], await NumbersAsync(test, MessageState.Blocked));
        Assert.Empty(await NumbersAsync(test, MessageState.Deferred));
    }

    [Fact]
    public async Task Who_waits_for_a_retry_keeps_its_place()
    {
        await using var test = await WorkingAsync(static (job, context, _) => job.Number < 2 && context.Attempt == 1 ? throw new InvalidOperationException("Once.") : Task.CompletedTask);
        KvEnqueueOptions options = Limited("a", 2) with { BackoffSchedule = [TimeSpan.FromMinutes(1)] };
        await test.Store.Atomic().Enqueue(new Job(0), options).Enqueue(new Job(1), options).Enqueue(new Job(2), options).CommitAsync();

        await test.SettleAsync();
        Assert.Equal([0, 1], _seen.Order());
        Assert.Equal([2], await NumbersAsync(test, MessageState.Blocked));
        _time.Advance(TimeSpan.FromMinutes(1));
        await test.SettleAsync();

        Assert.Equal([0, 0, 1, 1, 2], _seen.Order());
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_limit_that_was_lowered_is_kept_by_those_who_come_with_it()
    {
        List<Gate> gates = [new(), new(), new(), new()];
        await using var test = await WorkingAsync((job, context, token) => gates[job.Number].PassAsync(context, token));
        await test.Store.Atomic().Enqueue(new Job(0), Limited("a", 3)).Enqueue(new Job(1), Limited("a", 3)).Enqueue(new Job(2), Limited("a", 3)).CommitAsync();
        await test.ClaimAsync();
        await Task.WhenAll(gates.Take(3).Select(static gate => gate.Begun));
        await test.Store.EnqueueAsync(new Job(3), Limited("a", 1));

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal([3], await NumbersAsync(test, MessageState.Blocked));
            gates[i].Open();
            while (test.Worker().Running.Count > 2 - i)
            {
                await Task.Yield();
            }
        }

        Assert.Equal([3], await NumbersAsync(test, MessageState.Ready));
        gates[3].Open();
        await test.SettleAsync();
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_limit_that_was_raised_is_used_as_places_are_left()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var first = Assert.Single((await test.Store.Atomic().Enqueue(new Job(0), Limited("a", 1)).CommitAsync()).MessageIds);
        await test.Store.EnqueueAsync(new Job(1), Limited("a", 1));
        await test.Store.Atomic().Enqueue(new Job(2), Limited("a", 1)).Enqueue(new Job(3), Limited("a", 3)).CommitAsync();

        // The one with the higher limit finds a place beside the first: a limit says nothing about order.
        Assert.Equal([0, 3], await NumbersAsync(test, MessageState.Ready));
        await test.Queue().CancelAsync(first);
        Assert.Equal([3], await NumbersAsync(test, MessageState.Ready));
        await test.Queue().CancelAsync((await test.QueuedAsync()).Single(static m => m.State == MessageState.Ready).Id);

        Assert.Equal([1], await NumbersAsync(test, MessageState.Ready));
        Assert.Equal([2], await NumbersAsync(test, MessageState.Blocked));
    }

    private static KvEnqueueOptions Limited(string key, int limit) => new() { ConcurrencyKey = key, ConcurrencyLimit = limit };

    private static async Task<IEnumerable<int>> NumbersAsync(KvTestStore test, MessageState state) => (await test.QueuedAsync())
        .Where(m => m.State == state).Select(static m => System.Text.Json.JsonSerializer.Deserialize<Job>(m.Data)!.Number).Order();

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

public sealed class SqliteConcurrencyLimitTests(SqliteDatabase database) : ConcurrencyLimitSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresConcurrencyLimitTests(PostgresDatabase database) : ConcurrencyLimitSpec(database), IClassFixture<PostgresDatabase>;
