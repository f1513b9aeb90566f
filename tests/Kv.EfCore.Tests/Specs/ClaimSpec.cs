using Kv.Messages;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Claims and the commits of other writes.</summary>
public abstract class ClaimSpec(KvDatabase database)
{
    [Fact]
    public async Task A_claim_takes_what_there_is_room_for_when_its_commit_begins()
    {
        await using var test = await database.CreateStoreAsync();
        var queue = test.Engine.Queue;
        await EnqueueAsync(test, 5);
        var (busy, go) = Block(test);
        var before = test.Store.SetAsync(["before"], true).AsTask();
        await busy;
        var room = 1;
        var claim = queue.ClaimAsync(
            new ClaimWork([], 0, "me") { Reserve = () => ([new TopicClaim("job", room, TimeSpan.FromMinutes(1))], room) },
            CancellationToken.None);

        room = 3;
        go();

        Assert.Equal(3, (await claim).Count);
        await before;
    }

    /// <summary>SQLite lets one write at a time, so there a claim waits for its turn like all others.</summary>
    [Fact]
    public async Task A_backlog_is_claimed_beside_other_writes_where_the_database_does_both()
    {
        await using var test = await database.CreateStoreAsync();
        var queue = test.Engine.Queue;
        await EnqueueAsync(test, 5);
        var (busy, go) = Block(test, onlyFirst: true);
        var before = test.Store.SetAsync(["before"], true).AsTask();
        await busy;

        var claim = queue.ClaimAsync(
            new ClaimWork([new TopicClaim("job", 3, TimeSpan.FromMinutes(1))], 3, "me") { IsOfBacklog = true },
            CancellationToken.None).AsTask();
        if (queue.ClaimsApart)
        {
            await claim.WaitAsync(Rows.Patience);
        }

        Assert.Equal(queue.ClaimsApart, claim.IsCompleted);
        Assert.False(before.IsCompleted);
        go();

        Assert.Equal(3, (await claim).Count);
        await before;
    }

    private static async Task EnqueueAsync(KvTestStore test, int messages)
    {
        var write = test.Store.Atomic();
        for (var i = 0; i < messages; i++)
        {
            write.Enqueue(new Job(i));
        }

        await write.CommitAsync();
    }

    /// <summary>Has the next commit wait until it is let go, and those that come beside it too, unless it is only the first.</summary>
    private static (Task Busy, Action Go) Block(KvTestStore test, bool onlyFirst = false)
    {
        var hits = 0;
        var busy = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        test.FailPoints.OnHit = _ =>
        {
            busy.TrySetResult();
            return onlyFirst && Interlocked.Increment(ref hits) > 1 ? ValueTask.CompletedTask : new ValueTask(go.Task);
        };
        return (busy.Task.WaitAsync(Rows.Patience), go.SetResult);
    }
}

public sealed class SqliteClaimTests(SqliteDatabase database) : ClaimSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresClaimTests(PostgresDatabase database) : ClaimSpec(database), IClassFixture<PostgresDatabase>;
