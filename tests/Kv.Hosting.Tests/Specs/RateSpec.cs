using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>No more messages begin in a time than a topic's rates allow, over all workers.</summary>
public abstract class RateSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly List<(int Number, long At)> _seen = [];

    [Fact]
    public async Task So_many_begin_at_once_as_the_burst_and_the_rest_at_the_rate()
    {
        await using var test = await WorkingAsync(static topic => topic.Rate = new KvRate(10, TimeSpan.FromSeconds(1), burst: 3));
        await EnqueueAsync(test, 8);

        var start = _time.Milliseconds();
        await RunAsync(8, test);

        Assert.Equal([0, 0, 0, 100, 200, 300, 400, 500], _seen.Select(seen => seen.At - start));
        Assert.Equal(Enumerable.Range(0, 8), _seen.Select(static seen => seen.Number).Order());
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task Two_workers_share_the_rate()
    {
        await using var test = await WorkingAsync(static topic => topic.Rate = new KvRate(5, TimeSpan.FromSeconds(1), burst: 2));
        await using var other = await WorkingAsync(static topic => topic.Rate = new KvRate(5, TimeSpan.FromSeconds(1), burst: 2), test);
        await EnqueueAsync(test, 30);

        await RunAsync(30, test, other);

        AssertRate(_seen.Select(static seen => seen.At), interval: 200, burst: 2);
        Assert.Equal(28 * 200, _seen[^1].At - _seen[0].At);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task Each_key_has_a_rate_of_its_own_and_messages_without_one_have_none()
    {
        await using var test = await WorkingAsync(static topic => topic.RatePerKey = new KvRate(1, TimeSpan.FromSeconds(10)));
        var write = test.Store.Atomic();
        for (var i = 0; i < 9; i++)
        {
            write.Enqueue(new Job(i), new() { RateKey = (i % 3) switch { 0 => "a", 1 => "b", _ => null } });
        }

        await write.CommitAsync();
        var start = _time.Milliseconds();
        await RunAsync(9, test);

        Assert.Equal([0, 10_000, 20_000], Times(0));
        Assert.Equal([0, 10_000, 20_000], Times(1));
        Assert.Equal([0, 0, 0], Times(2));
        test.AssertQueueEmpty();

        IEnumerable<long> Times(int kind) => _seen.Where(seen => seen.Number % 3 == kind).Select(seen => seen.At - start);
    }

    [Fact]
    public async Task A_message_that_one_rate_keeps_waiting_uses_up_no_turn_of_the_other()
    {
        await using var test = await WorkingAsync(static topic =>
        {
            topic.Rate = new KvRate(1, TimeSpan.FromSeconds(1));
            topic.RatePerKey = new KvRate(2, TimeSpan.FromSeconds(20), burst: 2);
        });
        await test.Store.EnqueueAsync(new Job(0));
        await RunAsync(1, test);
        var start = _time.Milliseconds();
        await test.Store.Atomic().Enqueue(new Job(1), new() { RateKey = "a" }).Enqueue(new Job(2), new() { RateKey = "a" }).CommitAsync();

        await RunAsync(3, test);

        // Both of the key's turns are there for them; the topic has one a second.
        Assert.Equal([1000, 2000], _seen.Skip(1).Select(seen => seen.At - start));
    }

    [Fact]
    public async Task Many_keys_under_one_rate_of_the_topic_all_come_through()
    {
        await using var test = await WorkingAsync(static topic =>
        {
            topic.Rate = new KvRate(10, TimeSpan.FromSeconds(1), burst: 1);
            topic.RatePerKey = new KvRate(1, TimeSpan.FromSeconds(1));
        });
        var write = test.Store.Atomic();
        for (var i = 0; i < 40; i++)
        {
            write.Enqueue(new Job(i), new() { RateKey = $"k{i % 4}" });
        }

        await write.CommitAsync();
        await RunAsync(40, test);

        AssertRate(_seen.Select(static seen => seen.At), interval: 100, burst: 1);
        foreach (var key in _seen.GroupBy(static seen => seen.Number % 4))
        {
            AssertRate(key.Select(static seen => seen.At), interval: 1000, burst: 1);
        }

        // Four keys with one a second each need ten seconds at least.
        Assert.InRange(_seen[^1].At - _seen[0].At, 9_000, 15_000);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task Waiting_for_a_turn_costs_no_attempt_and_is_not_a_retry()
    {
        List<int> attempts = [];
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, _) =>
            {
                attempts.Add(context.Attempt);
                return Task.CompletedTask;
            }).Topic<Job>(static topic => topic.Rate = new KvRate(1, TimeSpan.FromMinutes(1))),
            _time);
        await test.Store.Atomic().Enqueue(new Job(0), WorkerTesting.Once).Enqueue(new Job(1), WorkerTesting.Once).CommitAsync();

        await test.SettleAsync();
        var row = Assert.Single(await test.QueuedAsync());
        Assert.Equal((_time.Milliseconds() + 60_000, _time.Milliseconds() + 60_000, 0, 0), (row.DueAt, row.RateToken, row.Attempt, row.Crashes));
        _time.Advance(TimeSpan.FromMinutes(1));
        await test.SettleAsync();

        Assert.Equal([1, 1], attempts);
        Assert.Empty(await test.DeadLettersAsync());
    }

    [Fact]
    public async Task After_a_time_in_which_nobody_worked_the_rate_is_kept()
    {
        await using var test = await WorkingAsync(static topic => topic.Rate = new KvRate(1, TimeSpan.FromSeconds(1), burst: 1));
        await EnqueueAsync(test, 10);
        await test.SettleAsync();
        Assert.Single(_seen);

        _time.Advance(TimeSpan.FromHours(1));
        await RunAsync(10, test);

        AssertRate(_seen.Select(static seen => seen.At), interval: 1000, burst: 1);
        Assert.Equal(8_000, _seen[^1].At - _seen[1].At);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_message_of_a_group_that_waits_for_its_turn_keeps_its_place()
    {
        await using var test = await WorkingAsync(static topic => topic.Rate = new KvRate(1, TimeSpan.FromSeconds(1)));
        var write = test.Store.Atomic();
        for (var i = 0; i < 4; i++)
        {
            write.Enqueue(new Job(i), new() { GroupKey = "g" });
        }

        await write.CommitAsync();
        await RunAsync(4, test);

        Assert.Equal([0, 1, 2, 3], _seen.Select(static seen => seen.Number));
        AssertRate(_seen.Select(static seen => seen.At), interval: 1000, burst: 1);
        test.AssertQueueEmpty();
    }

    [Fact]
    public void What_a_rate_cannot_be_is_refused_with_the_number_and_the_bounds()
    {
        Assert.Contains("0 messages", Assert.Throws<ArgumentException>(static () => new KvRate(0, TimeSpan.FromSeconds(1))).Message, StringComparison.Ordinal);
        Assert.Contains("1,000,000", Assert.Throws<ArgumentException>(static () => new KvRate(1_000_001, TimeSpan.FromDays(1))).Message, StringComparison.Ordinal);
        Assert.Contains("1 day", Assert.Throws<ArgumentException>(static () => new KvRate(1, TimeSpan.FromDays(2))).Message, StringComparison.Ordinal);
        Assert.Contains("microsecond", Assert.Throws<ArgumentException>(static () => new KvRate(1_000_000, TimeSpan.FromMilliseconds(10))).Message, StringComparison.Ordinal);
        Assert.Contains("burst is 11", Assert.Throws<ArgumentException>(static () => new KvRate(10, TimeSpan.FromSeconds(1), burst: 11)).Message, StringComparison.Ordinal);
        Assert.Contains("burst is 0", Assert.Throws<ArgumentException>(static () => new KvRate(10, TimeSpan.FromSeconds(1), burst: 0)).Message, StringComparison.Ordinal);
    }

    private static void AssertRate(IEnumerable<long> begun, long interval, int burst)
    {
        var times = begun.ToList();
        for (var i = 0; i < times.Count; i++)
        {
            for (var j = i; j < times.Count; j++)
            {
                Assert.True(j - i + 1 <= burst + ((times[j] - times[i]) / interval), $"{j - i + 1} began in {times[j] - times[i]} ms.");
            }
        }
    }

    private static async Task EnqueueAsync(KvTestStore test, int count)
    {
        var write = test.Store.Atomic();
        for (var i = 0; i < count; i++)
        {
            write.Enqueue(new Job(i));
        }

        await write.CommitAsync();
    }

    /// <summary>Lets the workers do what they can, and moves the clock to the next due time, until so many have begun.</summary>
    private async Task RunAsync(int count, params KvTestStore[] tests)
    {
        for (var step = 0; step < 20 * count && _seen.Count < count; step++)
        {
            var wait = TimeSpan.Zero;
            while (wait == TimeSpan.Zero)
            {
                var waits = await Task.WhenAll(tests.Select(static test => test.Worker().RunRoundAsync(CancellationToken.None)));
                await Task.WhenAll(tests.Select(static test => test.IdleAsync()));
                wait = waits.Min();
            }

            if (_seen.Count < count)
            {
                _time.Advance(wait);
            }
        }

        Assert.Equal(count, _seen.Count);
    }

    private Task<KvTestStore> WorkingAsync(Action<KvTopicOptions> topic, KvTestStore? beside = null) => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((job, _, _) =>
        {
            lock (_seen)
            {
                _seen.Add((job.Number, _time.Milliseconds()));
            }

            return Task.CompletedTask;
        }).Topic<Job>(topic),
        _time,
        static options => options.Concurrency = 4,
        beside);
}

public sealed class SqliteRateTests(SqliteDatabase database) : RateSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresRateTests(PostgresDatabase database) : RateSpec(database), IClassFixture<PostgresDatabase>;
