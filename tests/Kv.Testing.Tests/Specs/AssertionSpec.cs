using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>What a test expects of queue, dead letters and entries is said in a line, and a failure lists what is there.</summary>
public abstract class AssertionSpec(KvDatabase database)
{
    private readonly CancellationToken _token = TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_message_that_waits_is_found_by_content_and_due_time()
    {
        await using var kv = await database.StartAsync(static _ => { });
        await kv.Store.EnqueueAsync(new Mail("bob"), cancellationToken: _token);
        await kv.Store.EnqueueAsync(
            new Mail("ada"), new KvEnqueueOptions { Delay = TimeSpan.FromHours(1), Priority = 3, Topic = "post" }, _token);

        var found = kv.AssertEnqueued<Mail>(static mail => mail.To == "ada", due: kv.Now.AddHours(1));

        Assert.Equal((new Mail("ada"), "post", 3, 0), (found.Message, found.Topic, found.Priority, found.FailedAttempts));
        Assert.Equal("bob", kv.AssertEnqueued<Mail>().Message.To);
        kv.AssertNotEnqueued<OrderPlaced>();
        kv.AssertNotEnqueued<Mail>(static mail => mail.To == "eve");
    }

    [Fact]
    public async Task A_failure_lists_what_is_in_the_queue()
    {
        await using var kv = await database.StartAsync(static _ => { });
        Assert.Equal(
            "A message 'mail' was expected in the queue. The queue is empty.",
            Assert.Throws<KvTestException>(() => kv.AssertEnqueued<Mail>()).Message);
        await kv.Store.EnqueueAsync(new Mail("bob"), cancellationToken: _token);
        await kv.Store.EnqueueAsync(new OrderPlaced(1), new KvEnqueueOptions { Delay = TimeSpan.FromHours(1) }, _token);
        const string There = """
            What is there:
              mail on 'mail', due 2026-01-01 00:00:00: {"To":"bob"}
              order-placed on 'order-placed', due 2026-01-01 01:00:00: {"Id":1}
            """;

        var missing = Assert.Throws<KvTestException>(() => kv.AssertEnqueued<Mail>(static mail => mail.To == "ada", kv.Now.AddMinutes(1)));
        var early = Assert.Throws<KvTestException>(() => kv.AssertEnqueued<OrderPlaced>(due: kv.Now));
        var present = Assert.Throws<KvTestException>(() => kv.AssertNotEnqueued<Mail>());

        Assert.Equal($"A message 'mail' that matches, due 2026-01-01 00:01:00, was expected in the queue. {There}", missing.Message);
        Assert.Equal($"A message 'order-placed', due 2026-01-01 00:00:00, was expected in the queue. {There}", early.Message);
        Assert.Equal($"A message 'mail' was not expected in the queue. {There}", present.Message);
    }

    [Fact]
    public async Task A_dead_letter_is_found_and_a_failure_lists_all()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<OrderPlaced>(
            static (_, context, _) =>
            {
                context.DeadLetter("No such order.");
                return Task.CompletedTask;
            }));
        var none = Assert.Throws<KvTestException>(() => kv.AssertDeadLetter<Mail>());
        Assert.Contains("There are none.", none.Message, StringComparison.Ordinal);
        await kv.Store.EnqueueAsync(new OrderPlaced(5), cancellationToken: _token);
        var ran = await kv.DrainAsync(_token);

        Assert.Equal("No such order.", kv.AssertDeadLetter<OrderPlaced>(static order => order.Id == 5).Reason);
        Assert.Equal("No such order.", ran.Single<OrderPlaced>().Reason);
        var error = Assert.Throws<KvTestException>(() => kv.AssertDeadLetter<OrderPlaced>(static order => order.Id == 6));
        Assert.Equal(
            "A message 'order-placed' that matches was expected among the dead letters. What is there:\n"
            + "  order-placed on 'order-placed', 0 failed (No such order.): {\"Id\":5}",
            error.Message);
    }

    [Fact]
    public async Task A_queue_in_which_something_waits_or_runs_is_not_empty()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<OrderPlaced>(
            (TimeProvider time, CancellationToken token) => Task.Delay(TimeSpan.FromMinutes(5), time, token)));
        kv.AssertQueueEmpty();
        await kv.Store.EnqueueAsync(new OrderPlaced(1), cancellationToken: _token);
        await kv.DrainAsync(_token);
        var runs = Assert.Throws<KvTestException>(kv.AssertQueueEmpty);
        await kv.Store.EnqueueAsync(new Mail("ada"), cancellationToken: _token);

        var both = Assert.Throws<KvTestException>(kv.AssertQueueEmpty);

        Assert.Equal(
            "No message was expected to wait or run. What is there:\n  order-placed on 'order-placed', runs: {\"Id\":1}", runs.Message);
        Assert.EndsWith(
            "\n  mail on 'mail', due 2026-01-01 00:00:00: {\"To\":\"ada\"}\n  order-placed on 'order-placed', runs: {\"Id\":1}",
            both.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dead_letters_where_none_were_expected_are_listed()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<OrderPlaced>(
            static (_, context, _) =>
            {
                context.DeadLetter("No such order.");
                return Task.CompletedTask;
            }));
        await kv.Store.EnqueueAsync(new OrderPlaced(1), new KvEnqueueOptions { KeysIfUndelivered = [["undelivered"]] }, _token);
        await kv.DrainAsync(_token);
        kv.AssertNoDeadLetters();
        await kv.Store.EnqueueAsync(new OrderPlaced(5), cancellationToken: _token);
        await kv.DrainAsync(_token);

        var error = Assert.Throws<KvTestException>(kv.AssertNoDeadLetters);

        Assert.Equal(
            "No dead letter was expected. What is there:\n  order-placed on 'order-placed', 0 failed (No such order.): {\"Id\":5}",
            error.Message);
    }

    [Fact]
    public async Task A_range_is_compared_with_an_ordered_map()
    {
        await using var kv = await database.StartAsync(static _ => { });
        var range = KvRange.Prefix(["n"]);
        var expected = new SortedDictionary<KvKey, int> { [["n", 2]] = 20, [["n", 10]] = 100 };
        await kv.AssertRangeAsync(range, new Dictionary<KvKey, int>(), _token);
        await kv.Store.SetAsync(["n", 10], 100, cancellationToken: _token);
        await kv.Store.SetAsync(["n", 2], 20, cancellationToken: _token);
        await kv.Store.SetAsync(["m"], 1, cancellationToken: _token);
        await kv.AssertRangeAsync(range, expected, _token);

        await kv.Store.SetAsync(["n", 2], 21, cancellationToken: _token);
        await kv.Store.SetAsync(["n", 3], "three", cancellationToken: _token);
        await kv.Store.DeleteAsync(["n", 10], _token);
        var error = await Assert.ThrowsAsync<KvTestException>(() => kv.AssertRangeAsync(range, expected, _token));

        Assert.Equal(
            """
            The range is not as expected:
              ["n", 2] is 21, and not 20.
              ["n", 10] is missing.
              ["n", 3] is there, and was not expected.
            What is there:
              ["n", 2] = 21
              ["n", 3] = "three"
            """,
            error.Message);
    }

    [Fact]
    public async Task Counters_and_values_as_they_are_stored_are_compared_too()
    {
        await using var kv = await database.StartAsync(static _ => { });
        await kv.Store.SumAsync(["c"], 5, cancellationToken: _token);

        await kv.AssertRangeAsync(KvRange.All, new Dictionary<KvKey, ulong> { [["c"]] = 5 }, _token);
        await kv.AssertRangeAsync(KvRange.All, new Dictionary<KvKey, KvValue> { [["c"]] = KvValue.FromUInt64(5) }, _token);
        await Assert.ThrowsAsync<KvTestException>(
            () => kv.AssertRangeAsync(KvRange.All, new Dictionary<KvKey, ulong> { [["c"]] = 6 }, _token));
        await Assert.ThrowsAsync<KvTestException>(
            () => kv.AssertRangeAsync(KvRange.All, new Dictionary<KvKey, string> { [["c"]] = "5" }, _token));
    }

    [Fact]
    public async Task Two_deliveries_where_one_was_expected_are_listed()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<Mail>(static (_, _, _) => Task.CompletedTask));
        await kv.Store.EnqueueAsync(new Mail("ada"), cancellationToken: _token);
        await kv.Store.EnqueueAsync(new Mail("bob"), cancellationToken: _token);
        var ran = await kv.DrainAsync(_token);

        var error = Assert.Throws<KvTestException>(() => ran.Single<Mail>());

        Assert.Equal(
            """
            One delivery of 'mail' was expected, and there were 2. What ran:
              2026-01-01 00:00:00 mail on 'mail', attempt 1: Completed {"To":"ada"}
              2026-01-01 00:00:00 mail on 'mail', attempt 1: Completed {"To":"bob"}
            """,
            error.Message);
        Assert.Contains("there were 0", Assert.Throws<KvTestException>(() => ran.Single<OrderPlaced>()).Message, StringComparison.Ordinal);
    }
}

public sealed class SqliteAssertionTests(SqliteDatabase database) : AssertionSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresAssertionTests(PostgresDatabase database) : AssertionSpec(database), IClassFixture<PostgresDatabase>;
