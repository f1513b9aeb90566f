using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>
/// Whatever rows other programs put into the queue's tables, good messages beside them are handled, and what others left comes back.
/// </summary>
public abstract class StrayRowSpec(KvDatabase database)
{
    private static readonly string[] Numbers =
    [
        "ts", "encoding", "enqueued_at", "attempt", "crashes", "claim", "priority", "group_limit", "rate_turn", "unique_until",
        "topic_retries", "cancelled", "checkpoint_encoding", "state", "version",
    ];

    private static readonly string[] RunningNumbers =
    [
        "deadline", "ts", "encoding", "enqueued_at", "attempt", "crashes", "claim", "priority", "group_limit", "rate_turn", "unique_until",
        "topic_retries", "cancelled", "checkpoint_encoding", "progress",
    ];

    private static readonly HashSet<string> Wide = new(StringComparer.Ordinal)
    {
        "ts", "deadline", "enqueued_at", "claim", "rate_turn", "unique_until", "version", "progress",
    };

    private protected StrayWorker Strays { get; } = new(database);

    public static TheoryData<string> Columns => [.. Numbers];

    public static TheoryData<string> RunningColumns => [.. RunningNumbers];

    [Theory]
    [MemberData(nameof(Columns))]
    public async Task A_number_at_the_end_of_its_column_or_beyond_stops_no_other_message(string column)
    {
        await using var test = await Strays.CreateAsync();
        foreach (var value in Values(column))
        {
            var values = $"{column} = {value}";
            await Strays.BesideAsync(test, () => test.PutAsync(1, values), values, isDue: column != "ts" || !IsFarAhead(value));
        }
    }

    [Theory]
    [MemberData(nameof(RunningColumns))]
    public async Task A_number_at_the_end_of_a_column_of_what_runs_stops_no_other_message_and_no_orphan(string column)
    {
        await using var test = await Strays.CreateAsync();
        foreach (var value in Values(column))
        {
            var values = $"{column} = {value}";
            await Strays.BesideAsync(test, () => test.OrphanAsync(1, Strays.Time, values), values, isDue: true);
        }
    }

    [Fact]
    public async Task A_message_in_a_state_that_there_is_not_is_a_dead_letter_with_its_reason_and_releases_its_unique_key()
    {
        await using var test = await Strays.CreateAsync();
        await test.Store.EnqueueAsync(new Job(1), new() { UniqueKey = "u", Delay = TimeSpan.FromHours(1) });
        await test.ExecuteAsync("update queue set state = 7");

        await Strays.SettleAsync(test);

        var letter = Assert.Single(await test.DeadLettersAsync());
        Assert.Equal(1, letter.As<Job>()!.Number);
        Assert.Contains("state 7", letter.Reason, StringComparison.Ordinal);
        Assert.Contains(Strays.Logs.Entries, static e => e.Event == 260);
        await test.Store.EnqueueAsync(new Job(2), new() { UniqueKey = "u", IfDuplicate = KvDuplicatePolicy.Refuse });
        Assert.True(await test.Queue().ReplayAsync(letter));
        await Strays.SettleAsync(test);
        Assert.Equal([1, 2], Strays.Handled.Order());
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task Waits_without_an_end_end()
    {
        var attempts = 0;
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, _) => throw new InvalidOperationException($"No {attempts++}.")),
            Strays.Time,
            logs: Strays.Logs);
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);
        await test.ExecuteAsync(
            "update queue set backoff_schedule = {0}", $"[1000000000000000{string.Concat(Enumerable.Repeat(",1", 100_000))}]");
        await test.SettleAsync();
        for (var i = 0; i < 10; i++)
        {
            Strays.Time.Advance(KvLimits.MaxBackoffInterval);
            await test.SettleAsync();
        }

        Assert.Equal(1 + KvLimits.MaxBackoffIntervals, attempts);
        Assert.Single(await test.DeadLettersAsync());
    }

    private static bool IsFarAhead(string number) =>
        double.TryParse(number, System.Globalization.CultureInfo.InvariantCulture, out var value) && value > 1e15;

    protected virtual IEnumerable<string> Values(string column)
    {
        var (least, most) = Wide.Contains(column) ? (long.MinValue, long.MaxValue) : (int.MinValue, int.MaxValue);
        return new[] { least, least + 1, -1, 0, 1, 2, most - 1, most }.Select(
            static n => n.ToString(System.Globalization.CultureInfo.InvariantCulture));
    }
}

public sealed class SqliteStrayRowTests(SqliteDatabase database) : StrayRowSpec(database), IClassFixture<SqliteDatabase>
{
    private static readonly string[] Odd =
        ["5000000000", "-9223372036854775808", "9223372036854775807", "0.5", "1.5", "1e300", "-1e300", "'abc'", "''", "x'ff00fe'", "x''"];

    public static TheoryData<string> Texts =>
    [
        "id", "data", "backoff_schedule", "keys_if_undelivered", "topic", "type", "trace", "group_key", "rate_key", "unique_key",
        "first_error", "last_error", "checkpoint",
    ];

    [Theory]
    [MemberData(nameof(Texts))]
    public async Task A_value_of_another_class_stops_no_other_message(string column)
    {
        await using var test = await Strays.CreateAsync();
        foreach (var value in (string[])["x'ff00fe'", "x'6a6f62'", "x''", "''", "5", "0.5", "'a' || char(0) || 'b'"])
        {
            // Of another topic, a message waits for its worker.
            var isDue = column != "topic" || value == "x'6a6f62'";
            var values = $"{column} = {value}";
            await Strays.BesideAsync(test, () => test.PutAsync(1, values), values, isDue);
            await Strays.BesideAsync(test, () => test.OrphanAsync(1, Strays.Time, values), $"running {values}", isDue);
        }
    }

    [Fact]
    public async Task A_message_group_whose_key_is_no_text_goes_on()
    {
        await using var test = await Strays.CreateAsync();
        await test.PutAsync(1, "group_key = x'67', state = 1, version = 1");
        await test.PutAsync(2, "group_key = x'67', state = 1, version = 2");

        for (var i = 0; i < 3; i++)
        {
            await Strays.SettleAsync(test);
            Strays.Time.Advance(TimeSpan.FromSeconds(61));
        }

        Assert.Equal([1, 2], Strays.Handled.Order());
        test.AssertQueueEmpty();
    }

    [Theory]
    [InlineData("ts = null")]
    [InlineData("progress = null, note = null, trace = null, checkpoint = null")]
    public async Task What_may_be_absent_stops_nothing(string values)
    {
        await using var test = await Strays.CreateAsync();
        await Strays.BesideAsync(test, () => test.OrphanAsync(1, Strays.Time, values), values, isDue: true);
    }

    protected override IEnumerable<string> Values(string column) => base.Values(column).Concat(Odd);
}

public sealed class PostgresStrayRowTests(PostgresDatabase database) : StrayRowSpec(database), IClassFixture<PostgresDatabase>;
