using Kv.Messages;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>What a worker takes first, and what holds up nothing else.</summary>
public abstract class PrioritySpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly List<int> _seen = [];

    [Fact]
    public async Task Urgent_ones_whose_time_has_not_come_hold_up_nobody()
    {
        await using var test = await WorkingAsync();
        await test.Store.Atomic()
            .Enqueue(new Job(3), new() { Priority = -100, Delay = TimeSpan.FromDays(1) })
            .Enqueue(new Job(2), new() { Priority = 7, Delay = TimeSpan.FromSeconds(1) })
            .Enqueue(new Job(1), new() { Priority = 50 }).CommitAsync();

        await test.SettleAsync();
        Assert.Equal([1], _seen);

        // The worker knows the earliest due time over all priorities.
        Assert.Equal(TimeSpan.FromSeconds(1), await test.Worker().RunRoundAsync(CancellationToken.None));
        _time.Advance(TimeSpan.FromSeconds(1));
        await test.SettleAsync();

        Assert.Equal([1, 2], _seen);
    }

    [Fact]
    public async Task No_topic_starves_however_urgent_the_backlog_of_another()
    {
        await using var test = await database.CreateWorkerAsync(
            worker =>
            {
                foreach (var topic in (string[])["a", "b", "c"])
                {
                    worker.HandleTopic(topic, (_, _) =>
                    {
                        lock (_seen)
                        {
                            _seen.Add(topic[0] - 'a');
                        }

                        return Task.CompletedTask;
                    });
                }
            },
            _time,
            static options => options.Concurrency = 4);
        for (var i = 0; i < 100; i++)
        {
            await test.Store.EnqueueAsync(new Job(i), new() { Topic = "a", Priority = -100 });
        }

        _time.Advance(TimeSpan.FromSeconds(1));
        await test.Store.Atomic().Enqueue(new Job(0), new() { Topic = "b" }).Enqueue(new Job(0), new() { Topic = "c", Priority = 100 })
            .CommitAsync();

        // Each topic is first in one round of three.
        for (var round = 0; round < 3; round++)
        {
            await test.ClaimAsync();
            await test.IdleAsync();
        }

        Assert.Contains(1, _seen);
        Assert.Contains(2, _seen);
        Assert.InRange(_seen.Count, 6, 12);
    }

    [Fact]
    public async Task A_worker_with_a_backlog_takes_what_lapses_as_soon_as_it_lapses()
    {
        var lease = TimeSpan.FromSeconds(30);
        await using var test = await WorkingAsync();
        await test.SettleAsync();
        await test.Store.EnqueueAsync(new Job(1));
        Assert.Single(
            await test.Engine().Queue.ClaimAsync(new ClaimWork([new TopicClaim("job", 1, lease)], 1, "doomed"), CancellationToken.None));
        await EnqueueAsync(test, 2, 50);
        _time.Advance(lease - TimeSpan.FromSeconds(1));
        await test.ClaimAsync();
        await test.IdleAsync();

        _time.Advance(TimeSpan.FromSeconds(1));
        await test.ClaimAsync();
        await test.IdleAsync();

        Assert.Equal([2, 1], _seen);
    }

    private static async Task EnqueueAsync(KvTestStore test, int first, int count)
    {
        var write = test.Store.Atomic();
        for (var i = 0; i < count; i++)
        {
            write.Enqueue(new Job(first + i));
        }

        await write.CommitAsync();
    }

    private Task<KvTestStore> WorkingAsync() => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((job, _, _) =>
        {
            _seen.Add(job.Number);
            return Task.CompletedTask;
        }),
        _time,
        static options => options.Concurrency = 1,
        logs: new LogCollector());
}

public sealed class SqlitePriorityTests(SqliteDatabase database) : PrioritySpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresPriorityTests(PostgresDatabase database) : PrioritySpec(database), IClassFixture<PostgresDatabase>;
