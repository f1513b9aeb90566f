using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>What a single call says of what it did.</summary>
public abstract class ResultSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task An_enqueue_gives_the_id_by_which_its_message_is_found()
    {
        await using var test = await database.CreateStoreAsync(_time);

        var first = await test.Store.EnqueueAsync(new Job(1), new KvEnqueueOptions { UniqueKey = "one" });
        var second = await test.Store.EnqueueAsync(new Job(2), new KvEnqueueOptions { UniqueKey = "one" });

        Assert.True(first.IsNew);
        Assert.Equal((first.MessageId, false), (second.MessageId, second.IsNew));
        Assert.Equal(first.MessageId, (await test.Queue().GetAsync(first.MessageId))!.Id);
        Assert.True(second.Versionstamp > first.Versionstamp);
    }

    [Fact]
    public async Task Any_number_of_messages_is_enqueued_in_order_in_as_few_commits_as_the_limits_allow()
    {
        await using var test = await database.CreateStoreAsync(_time, KvLimits.Deno);

        var ids = await test.Store.EnqueueManyAsync(Enumerable.Range(0, 2_100).Select(static i => new Job(i)));

        var queued = (await test.QueuedAsync()).ToDictionary(static m => m.Id);
        Assert.Equal(2_100, queued.Count);
        Assert.Equal(
            Enumerable.Range(0, 2_100), ids.Select(id => System.Text.Json.JsonSerializer.Deserialize<Job>(queued[id].Data)!.Number));
        Assert.Equal(3, queued.Values.DistinctBy(static m => m.Version).Count());
        Assert.Empty(await test.Store.EnqueueManyAsync(Array.Empty<Job>()));
    }

    [Fact]
    public async Task Messages_that_are_too_large_for_one_write_together_go_in_several()
    {
        await using var test = await database.CreateStoreAsync(_time, KvLimits.Deno);

        var ids = await test.Store.EnqueueManyAsync(Enumerable.Range(0, 20).Select(static i => new string((char)('a' + i), 60_000)));

        Assert.Equal(ids, (await test.QueuedAsync()).OrderBy(static m => m.Data[1]).Select(static m => m.Id));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Many_messages_of_which_a_later_one_fails_say_how_far_they_came(bool cancelled)
    {
        await using var test = await database.CreateStoreAsync(_time, KvLimits.Deno);
        using var cancel = new CancellationTokenSource();

        var error = await Assert.ThrowsAsync<KvPartlyEnqueuedException>(
            () => test.Store.EnqueueManyAsync(Messages(), null, cancel.Token).AsTask());

        Assert.Equal(1_000, error.MessageIds.Count);
        Assert.Equal(
            error.MessageIds.Order(StringComparer.Ordinal),
            (await test.QueuedAsync()).Select(static m => m.Id).Order(StringComparer.Ordinal));
        Assert.Equal(cancelled, error.InnerException is OperationCanceledException);

        IEnumerable<Job> Messages()
        {
            for (var i = 0; i < 1_500; i++)
            {
                yield return new Job(i);
            }

            if (!cancelled)
            {
                throw new InvalidOperationException("The source has ended.");
            }

            cancel.Cancel();
        }
    }

    [Fact]
    public async Task What_fails_before_anything_is_enqueued_is_thrown_as_it_is()
    {
        await using var test = await database.CreateStoreAsync(_time);

        await Assert.ThrowsAsync<ArgumentNullException>(() => test.Store.EnqueueManyAsync<Job>([new(1), null!]).AsTask());

        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task Of_many_sums_each_says_what_the_counter_had_after_it()
    {
        await using var test = await database.CreateStoreAsync(_time);

        var sums = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => Task.Run(() => test.Store.SumAsync(["n"], 1).AsTask())));

        Assert.Equal(Enumerable.Range(1, 200).Select(static i => (ulong)i), sums.Order());
        Assert.Equal(ulong.MaxValue, await test.Store.SumAsync(["n"], ulong.MaxValue - 200));
    }

    [Fact]
    public async Task A_sum_gives_an_expiry_to_the_counter_that_it_begins_and_to_no_other()
    {
        await using var test = await database.CreateStoreAsync(_time);

        Assert.Equal(1ul, await test.Store.SumAsync(["n"], 1, TimeSpan.FromMinutes(1)));
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(2ul, await test.Store.SumAsync(["n"], 1, TimeSpan.FromMinutes(1)));
        _time.Advance(TimeSpan.FromSeconds(31));
        Assert.Null(await test.Store.GetAsync(["n"]));
        Assert.Equal(1ul, await test.Store.SumAsync(["n"], 1));
        _time.Advance(TimeSpan.FromDays(1));

        Assert.Equal(1ul, await test.Store.GetAsync<ulong>(["n"]));
    }

    [Fact]
    public async Task A_touch_says_whether_there_was_an_entry()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.SetAsync(["there"], 1);

        Assert.True(await test.Store.TouchAsync(["there"], TimeSpan.FromMinutes(1)));
        Assert.False(await test.Store.TouchAsync(["absent"], null));
        _time.Advance(TimeSpan.FromMinutes(2));

        Assert.False(await test.Store.TouchAsync(["there"], null));
    }
}

public sealed class SqliteResultTests(SqliteDatabase database) : ResultSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresResultTests(PostgresDatabase database) : ResultSpec(database), IClassFixture<PostgresDatabase>;
