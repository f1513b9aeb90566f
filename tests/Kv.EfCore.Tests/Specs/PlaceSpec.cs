using Kv.Messages;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>A message that comes back as it was has the place that it had, before all that came later.</summary>
public abstract class PlaceSpec(KvDatabase database)
{
    private const int Backlog = 50;
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);
    private static readonly TopicClaim[] Topics = [new("job", Backlog, Lease)];
    private readonly ManualTime _time = new();

    [Theory]
    [InlineData("recovered", true)]
    [InlineData("recovered", false)]
    [InlineData("given back", true)]
    [InlineData("given back", false)]
    public async Task What_comes_back_as_it_was_is_next_however_much_waits(string back, bool waited)
    {
        await using var test = await CreateAsync();
        var message = await HoldAsync(test, waited);
        var due = _time.Milliseconds();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await FillAsync(test);
        _time.Advance(Lease);

        if (back == "given back")
        {
            Assert.True(await test.Engine.Queue.RequeueAsync(new RequeueWork(message.Fence, null, message.Backoff, message.Attempt), CancellationToken.None));
            Assert.Equal(due, (await test.QueuedAsync())[0].DueAt);
        }

        var next = Assert.Single(await ClaimAsync(test, 1, recover: back == "recovered"));
        Assert.Equal((message.Fence.Id, back == "recovered" ? 1 : 0, 0), (next.Fence.Id, next.Crashes, next.Attempt));
        Assert.Equal(due, Assert.Single(await test.RunningAsync()).DueAt);
    }

    [Fact]
    public async Task A_worker_that_claims_a_backlog_takes_what_lapses_first()
    {
        await using var test = await CreateAsync();
        var message = await HoldAsync(test, waited: true);
        await FillAsync(test);
        _time.Advance(Lease);
        Assert.Equal(Backlog / 2, (await ClaimAsync(test, Backlog / 2)).Count);

        Assert.Equal(message.Fence.Id, (await ClaimAsync(test, 2, recover: true))[0].Fence.Id);
    }

    [Fact]
    public async Task More_urgent_messages_still_come_before_what_comes_back()
    {
        await using var test = await CreateAsync();
        var message = await HoldAsync(test, waited: true);
        await test.Store.EnqueueAsync(new Job(2), new() { Priority = -1 });
        _time.Advance(Lease);

        var both = await ClaimAsync(test, 2, recover: true);

        Assert.Equal([-1, 0], both.Select(static m => m.Priority));
        Assert.Equal(message.Fence.Id, both[1].Fence.Id);
    }

    [Fact]
    public async Task A_clock_that_was_set_back_does_not_hold_up_what_comes_back()
    {
        await using var test = await CreateAsync();
        var message = await HoldAsync(test, waited: true);
        _time.SetUtcNow(_time.GetUtcNow() - TimeSpan.FromHours(2));

        Assert.True(await test.Engine.Queue.RequeueAsync(new RequeueWork(message.Fence, null, message.Backoff, message.Attempt), CancellationToken.None));

        Assert.Equal(_time.Milliseconds(), Assert.Single(await test.QueuedAsync()).DueAt);
        Assert.Single(await ClaimAsync(test, 1));
    }

    [Fact]
    public async Task What_a_program_held_that_does_not_say_since_when_it_was_due_comes_back_as_due_now()
    {
        await using var test = await CreateAsync();
        var message = await HoldAsync(test, waited: true);
        await test.ExecuteAsync("update queue_running set ts = null");
        await FillAsync(test);
        _time.Advance(Lease);

        var all = await ClaimAsync(test, Backlog + 1, recover: true);

        Assert.Equal(message.Fence.Id, all[^1].Fence.Id);
        Assert.Equal(_time.Milliseconds(), (await test.RunningAsync()).Single(m => m.Id == message.Fence.Id).DueAt);
    }

    private Task<KvTestStore> CreateAsync() => database.CreateStoreAsync(_time);

    /// <summary>A message that somebody holds, either out of the queue or from the first.</summary>
    private static async Task<ClaimedMessage> HoldAsync(KvTestStore test, bool waited)
    {
        if (waited)
        {
            await test.Store.EnqueueAsync(new Job(1));
            return Assert.Single(await ClaimAsync(test, 1, owner: "doomed"));
        }

        var pipeline = test.Engine.Pipeline;
        ClaimWork? claim = null;
        pipeline.MessagesComing += ShareCommit;
        await test.Store.EnqueueAsync(new Job(1));
        pipeline.MessagesComing -= ShareCommit;
        Assert.Empty(await test.QueuedAsync());
        return Assert.Single(await claim!.Task);

        ClaimWork ShareCommit(IReadOnlyDictionary<string, int> coming) => claim = new ClaimWork(Topics, 1, "doomed") { SharesCommit = true };
    }

    private static async Task FillAsync(KvTestStore test)
    {
        var write = test.Store.Atomic();
        for (var i = 0; i < Backlog; i++)
        {
            write.Enqueue(new Job(i + 2));
        }

        await write.CommitAsync();
    }

    private static async Task<IReadOnlyList<ClaimedMessage>> ClaimAsync(KvTestStore test, int limit, bool recover = false, string owner = "other") =>
        await test.Engine.Queue.ClaimAsync(new ClaimWork([new TopicClaim("job", limit, Lease)], limit, owner) { Recover = recover }, CancellationToken.None);
}

public sealed class SqlitePlaceTests(SqliteDatabase database) : PlaceSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresPlaceTests(PostgresDatabase database) : PlaceSpec(database), IClassFixture<PostgresDatabase>;
