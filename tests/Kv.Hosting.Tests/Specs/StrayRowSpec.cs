using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Whatever rows other programs put into the queue's tables, good messages beside them are handled, and what others left comes back.</summary>
public abstract class StrayRowSpec(KvDatabase database)
{
    private const string Copied =
        "data, backoff_schedule, keys_if_undelivered, topic, type, encoding, enqueued_at, trace, attempt, crashes, claim, priority, group_key, group_limit, rate_key, rate_turn, unique_key, unique_until, topic_retries, first_error, last_error, cancelled, checkpoint, checkpoint_encoding";

    private static readonly string[] Numbers =
    [
        "ts", "encoding", "enqueued_at", "attempt", "crashes", "claim", "priority", "group_limit", "rate_turn", "unique_until", "topic_retries", "cancelled", "checkpoint_encoding", "state", "version",
    ];

    private static readonly string[] RunningNumbers =
    [
        "deadline", "ts", "encoding", "enqueued_at", "attempt", "crashes", "claim", "priority", "group_limit", "rate_turn", "unique_until", "topic_retries", "cancelled", "checkpoint_encoding", "progress",
    ];

    private static readonly HashSet<string> Wide = new(StringComparer.Ordinal) { "ts", "deadline", "enqueued_at", "claim", "rate_turn", "unique_until", "version", "progress" };

    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly System.Collections.Concurrent.ConcurrentQueue<int> _handled = new();

    public static TheoryData<string> Columns => [.. Numbers];

    public static TheoryData<string> RunningColumns => [.. RunningNumbers];

    protected ManualTime Time => _time;

    protected IReadOnlyCollection<int> Handled => _handled;

    [Theory]
    [MemberData(nameof(Columns))]
    public async Task A_number_at_the_end_of_its_column_or_beyond_stops_no_other_message(string column)
    {
        await using var test = await WorkerAsync();
        foreach (var value in Values(column))
        {
            await BesideAsync(test, () => PutAsync(test, 1, $"{column} = {value}"), $"{column} = {value}", isDue: column != "ts" || !IsFarAhead(value));
        }
    }

    [Theory]
    [MemberData(nameof(RunningColumns))]
    public async Task A_number_at_the_end_of_a_column_of_what_runs_stops_no_other_message_and_no_orphan(string column)
    {
        await using var test = await WorkerAsync();
        foreach (var value in Values(column))
        {
            await BesideAsync(test, () => OrphanAsync(test, 1, $"{column} = {value}"), $"{column} = {value}", isDue: true);
        }
    }

    [Theory]
    [InlineData("two wait")]
    [InlineData("three wait")]
    [InlineData("one waits and one lapsed")]
    [InlineData("one waits at the place of one that lapsed")]
    [InlineData("one waits and one runs")]
    public async Task Messages_that_have_an_id_in_common_stop_no_other_and_none_is_lost(string rows)
    {
        await using var test = await WorkerAsync();
        await BesideAsync(
            test,
            async () =>
            {
                await PutAsync(test, 1, "id = 'twin'");
                switch (rows)
                {
                    case "two wait":
                        await PutAsync(test, 2, "id = 'twin', ts = ts - 1");
                        break;
                    case "three wait":
                        await PutAsync(test, 2, "id = 'twin', ts = ts - 1");
                        await PutAsync(test, 3, "id = 'twin', ts = ts - 2");
                        break;
                    case "one waits and one lapsed":
                        await OrphanAsync(test, 2, "id = 'twin', ts = ts - 7");
                        break;
                    case "one waits at the place of one that lapsed":
                        await test.ExecuteAsync("update queue set ts = 5 where id = 'twin'");
                        await OrphanAsync(test, 2, "id = 'twin', ts = 5");
                        break;
                    default:
                        await OrphanAsync(test, 2, $"id = 'twin', deadline = {_time.Milliseconds() + 10_000}, owner = 'another'");
                        break;
                }
            },
            rows,
            isDue: true);
        _time.Advance(TimeSpan.FromSeconds(40));
        await SettleAsync(test);

        // Each is handled, or a letter with the reason: none twice.
        var letters = await test.DeadLettersAsync();
        int[] all = [.. _handled.Where(static n => n < 10), .. letters.Select(static letter => letter.As<Job>()!.Number)];
        Assert.Equal(Enumerable.Range(1, rows == "three wait" ? 3 : 2), all.Order());
        Assert.Single(_handled, static n => n < 10);
        Assert.All(letters, static letter => Assert.Contains("twin", letter.Reason, StringComparison.Ordinal));
        Assert.Contains(_logs.Entries, static e => e.Event == 260);

        // And replayed, each is a message like any other.
        Assert.Equal(letters.Count, await test.Queue().ReplayAllAsync());
        await SettleAsync(test);
        Assert.Equal(Enumerable.Range(1, rows == "three wait" ? 3 : 2), _handled.Where(static n => n < 10).Order());
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_message_that_comes_while_another_of_its_id_is_handled_stops_none()
    {
        var gate = new Gate();
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (job, context, token) =>
            {
                if (job!.Number == 1)
                {
                    await gate.PassAsync(context, token);
                }

                _handled.Enqueue(job.Number);
            }),
            _time,
            logs: _logs);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        var id = (await gate.Begun).Id;

        await PutAsync(test, 2, $"id = '{id}'");
        await test.Store.EnqueueAsync(new Job(3));
        await test.ClaimAsync();
        await test.ClaimAsync();
        gate.Open();
        await SettleAsync(test);

        Assert.Equal([1, 3], _handled.Order());
        Assert.Equal(2, Assert.Single(await test.DeadLettersAsync()).As<Job>()!.Number);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_message_that_is_released_to_a_position_where_another_of_its_id_is_goes_beside_it()
    {
        var runs = 0;
        KvTestStore? test = null;
        test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (job, context, _) =>
            {
                if (job!.Number == 1 && runs++ == 0)
                {
                    await PutAsync(test!, 2, $"id = '{context.Id}', ts = {_time.Milliseconds() + 1000}, state = 1, group_key = 'g'");
                    await PutAsync(test!, 3, "state = 1, group_key = 'g'");
                    context.Snooze(TimeSpan.FromSeconds(1));
                    return;
                }

                _handled.Enqueue(job.Number);
            }),
            _time,
            logs: _logs);
        await using var owned = test;
        await test.Store.EnqueueAsync(new Job(1));
        await SettleAsync(test);
        _time.Advance(TimeSpan.FromSeconds(61));
        await SettleAsync(test);

        Assert.Contains(1, _handled);
        Assert.Equal([1, 2, 3], _handled.Concat((await test.DeadLettersAsync()).Select(static l => l.As<Job>()!.Number)).Order());
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_message_that_waits_for_a_slot_of_no_message_group_is_handled()
    {
        await using var test = await WorkerAsync();
        await BesideAsync(test, () => PutAsync(test, 1, "state = 1"), "state = 1", isDue: true);
        await BesideAsync(test, () => PutAsync(test, 2, "state = 2, group_limit = 1"), "state = 2", isDue: true);
        await BesideAsync(
            test,
            async () =>
            {
                await PutAsync(test, 3, "state = 2");
                await PutAsync(test, 4, "state = 2");
            },
            "two of state 2",
            isDue: true);

        Assert.Equal([1, 2, 3, 4], _handled.Where(static n => n < 10).Order());
    }

    [Fact]
    public async Task A_message_in_a_state_that_there_is_not_is_a_dead_letter_with_its_reason_and_releases_its_unique_key()
    {
        await using var test = await WorkerAsync();
        await test.Store.EnqueueAsync(new Job(1), new() { UniqueKey = "u", Delay = TimeSpan.FromHours(1) });
        await test.ExecuteAsync("update queue set state = 7");

        await SettleAsync(test);

        var letter = Assert.Single(await test.DeadLettersAsync());
        Assert.Equal(1, letter.As<Job>()!.Number);
        Assert.Contains("state 7", letter.Reason, StringComparison.Ordinal);
        Assert.Contains(_logs.Entries, static e => e.Event == 260);
        await test.Store.EnqueueAsync(new Job(2), new() { UniqueKey = "u", IfDuplicate = KvDuplicatePolicy.Refuse });
        Assert.True(await test.Queue().ReplayAsync(letter));
        await SettleAsync(test);
        Assert.Equal([1, 2], _handled.Order());
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task A_lease_that_ends_in_a_million_years_is_ended()
    {
        await using var test = await WorkerAsync();
        await OrphanAsync(test, 1, "deadline = 9223372036854775807, owner = 'another'");
        await SettleAsync(test);
        _time.Advance(TimeSpan.FromSeconds(31));
        await SettleAsync(test);

        Assert.Equal([1], _handled);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task Waits_without_an_end_end()
    {
        var attempts = 0;
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, _) => throw new InvalidOperationException($"No {attempts++}.")), _time, logs: _logs);
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await test.ExecuteAsync("update queue set backoff_schedule = {0}", $"[1000000000000000{string.Concat(Enumerable.Repeat(",1", 100_000))}]");
        await test.SettleAsync();
        for (var i = 0; i < 10; i++)
        {
            _time.Advance(KvLimits.MaxBackoffInterval);
            await test.SettleAsync();
        }

        Assert.Equal(1 + KvLimits.MaxBackoffIntervals, attempts);
        Assert.Single(await test.DeadLettersAsync());
    }

    protected Task<KvTestStore> WorkerAsync() => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((job, _, _) =>
        {
            _handled.Enqueue(job!.Number);
            return Task.CompletedTask;
        }),
        _time,
        logs: _logs);

    /// <summary>Puts a bad row beside good ones and an orphan, and has the worker run.</summary>
    /// <param name="test">The worker.</param>
    /// <param name="put">Puts the bad row in: a message with a number below 10.</param>
    /// <param name="what">What it is, for a test that fails.</param>
    /// <param name="isDue">Whether the row is to end somewhere: handled, or as a letter.</param>
    protected async Task BesideAsync(KvTestStore test, Func<Task> put, string what, bool isDue)
    {
        var before = _handled.Count(static n => n >= 10);
        await test.Store.EnqueueAsync(new Job(10));
        await OrphanAsync(test, 11);
        await put();
        await test.Store.EnqueueAsync(new Job(12));
        await test.Store.EnqueueAsync(new Job(13), new() { Delay = TimeSpan.FromSeconds(45) });

        // Whoever looks sees them all.
        _ = await test.Queue().GetStatsAsync();
        _ = await test.Queue().ListRunningAsync();
        _ = await test.Queue().PeekAsync("job");

        await SettleAsync(test);
        _time.Advance(TimeSpan.FromSeconds(45));
        await SettleAsync(test);
        _time.Advance(TimeSpan.FromSeconds(45));
        await SettleAsync(test);

        Assert.True(_handled.Count(static n => n >= 10) == before + 4, $"With {what}: of 10, 11, 12 and 13 {string.Join(", ", _handled.Where(static n => n >= 10).Skip(before))} were handled.");
        var stats = await test.Queue().GetStatsAsync();
        var left = stats.Sum(static s => s.Due + s.Blocked + s.Running);
        Assert.True(!isDue || left + stats.Sum(static s => s.Delayed) == 0, $"With {what}: {string.Join("; ", stats)} is left.");
        await test.ExecuteAsync("delete from queue");
        await test.ExecuteAsync("delete from queue_running");
    }

    protected async Task SettleAsync(KvTestStore test)
    {
        for (var i = 0; i < 4; i++)
        {
            // A round that finds nothing more does not wait for what the one before has begun.
            await test.SettleAsync();
            await test.IdleAsync();
            test.Worker().Heartbeat.Beat();
            _time.Advance(TimeSpan.FromSeconds(1));
        }
    }

    /// <summary>A waiting message with values that no store gives it.</summary>
    protected static async Task PutAsync(KvTestStore test, int number, string values)
    {
        await test.Store.EnqueueAsync(new Job(number), new() { Topic = "putting", BackoffSchedule = [] });
        await test.ExecuteAsync($"update queue set topic = 'job', {values} where topic = 'putting'");
    }

    /// <summary>A message that is held by nobody that lives, with values that no store gives it.</summary>
    protected async Task OrphanAsync(KvTestStore test, int number, string values = "note = 'orphan'")
    {
        await test.Store.EnqueueAsync(new Job(number), new() { Topic = "putting", BackoffSchedule = [] });
        await test.ExecuteAsync(
            $"insert into queue_running (deadline, ts, owner, id, {Copied}) select {_time.Milliseconds() - 1000}, ts, 'another', id, {Copied} from queue where topic = 'putting'");
        await test.ExecuteAsync("delete from queue where topic = 'putting'");
        await test.ExecuteAsync($"update queue_running set topic = 'job', {values} where topic = 'putting'");
    }

    private static bool IsFarAhead(string number) => double.TryParse(number, System.Globalization.CultureInfo.InvariantCulture, out var value) && value > 1e15;

    protected virtual IEnumerable<string> Values(string column)
    {
        var (least, most) = Wide.Contains(column) ? (long.MinValue, long.MaxValue) : (int.MinValue, int.MaxValue);
        return new[] { least, least + 1, -1, 0, 1, 2, most - 1, most }.Select(static n => n.ToString(System.Globalization.CultureInfo.InvariantCulture));
    }
}

public sealed class SqliteStrayRowTests(SqliteDatabase database) : StrayRowSpec(database), IClassFixture<SqliteDatabase>
{
    private static readonly string[] Odd = ["5000000000", "-9223372036854775808", "9223372036854775807", "0.5", "1.5", "1e300", "-1e300", "'abc'", "''", "x'ff00fe'", "x''"];

    public static TheoryData<string> Texts =>
    [
        "id", "data", "backoff_schedule", "keys_if_undelivered", "topic", "type", "trace", "group_key", "rate_key", "unique_key", "first_error", "last_error", "checkpoint",
    ];

    [Theory]
    [MemberData(nameof(Texts))]
    public async Task A_value_of_another_class_stops_no_other_message(string column)
    {
        await using var test = await WorkerAsync();
        foreach (var value in (string[])["x'ff00fe'", "x'6a6f62'", "x''", "''", "5", "0.5", "'a' || char(0) || 'b'"])
        {
            // Of another topic, a message waits for its worker.
            var isDue = column != "topic" || value == "x'6a6f62'";
            await BesideAsync(test, () => PutAsync(test, 1, $"{column} = {value}"), $"{column} = {value}", isDue);
            await BesideAsync(test, () => OrphanAsync(test, 1, $"{column} = {value}"), $"running {column} = {value}", isDue);
        }
    }

    [Fact]
    public async Task A_message_group_whose_key_is_no_text_goes_on()
    {
        await using var test = await WorkerAsync();
        await PutAsync(test, 1, "group_key = x'67', state = 1, version = 1");
        await PutAsync(test, 2, "group_key = x'67', state = 1, version = 2");

        for (var i = 0; i < 3; i++)
        {
            await SettleAsync(test);
            Time.Advance(TimeSpan.FromSeconds(61));
        }

        Assert.Equal([1, 2], Handled.Order());
        await test.AssertEmptyAsync();
    }

    [Theory]
    [InlineData("ts = null")]
    [InlineData("progress = null, note = null, trace = null, checkpoint = null")]
    public async Task What_may_be_absent_stops_nothing(string values)
    {
        await using var test = await WorkerAsync();
        await BesideAsync(test, () => OrphanAsync(test, 1, values), values, isDue: true);
    }

    protected override IEnumerable<string> Values(string column) => base.Values(column).Concat(Odd);
}

public sealed class PostgresStrayRowTests(PostgresDatabase database) : StrayRowSpec(database), IClassFixture<PostgresDatabase>;
