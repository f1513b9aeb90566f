using System.Collections.Concurrent;
using Kv.Diagnostics;
using Kv.Messages;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>No caller waits for the end of a message to be written, so it lets those go first whose commit it may share.</summary>
public abstract class EndSpec(KvDatabase database)
{
    private readonly Line _line = new();

    /// <summary>A pool that is busy elsewhere holds up the end alone.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("group")]
    public async Task It_shares_the_commit_of_whoever_writes_before_its_turn(string? group)
    {
        await using var test = await database.CreateWorkerAsync(static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask));
        var message = await ClaimAsync(test, group);
        var commits = CountCommits(test);

        var end = _line.Begin(() => test.Engine().Queue.CompleteAsync(message, CancellationToken.None));
        Assert.Equal(0, commits.Value);
        await test.Store.SetAsync(["next"], true);

        Assert.Equal(1, commits.Value);
        test.AssertQueueEmpty();
        _line.Run();
        Assert.True(await end.WaitAsync(WorkerTesting.Patience));
        Assert.Equal(1, commits.Value);
    }

    [Fact]
    public async Task It_is_written_when_its_turn_comes_and_nobody_else_writes()
    {
        await using var test = await database.CreateWorkerAsync(static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask));
        var message = await ClaimAsync(test, group: null);
        var commits = CountCommits(test);

        var end = _line.Begin(() => test.Engine().Queue.CompleteAsync(message, CancellationToken.None));
        _line.Run();

        Assert.True(await end.WaitAsync(WorkerTesting.Patience));
        Assert.Equal(1, commits.Value);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task Those_whose_turn_comes_together_share_a_commit()
    {
        await using var test = await database.CreateWorkerAsync(static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask));
        ClaimedMessage[] messages = [await ClaimAsync(test, group: null), await ClaimAsync(test, group: null), await ClaimAsync(test, group: null)];
        var commits = CountCommits(test);

        var ends = messages.Select(message => _line.Begin(() => test.Engine().Queue.CompleteAsync(message, CancellationToken.None))).ToList();
        _line.Run();

        Assert.All(await Task.WhenAll(ends).WaitAsync(WorkerTesting.Patience), Assert.True);
        Assert.Equal(1, commits.Value);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task One_that_others_took_along_leaves_those_that_came_after_it_their_own_turn()
    {
        await using var test = await database.CreateWorkerAsync(static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask));
        ClaimedMessage[] messages = [await ClaimAsync(test, group: null), await ClaimAsync(test, group: null)];
        var commits = CountCommits(test);
        var first = _line.Begin(() => test.Engine().Queue.CompleteAsync(messages[0], CancellationToken.None));
        await test.Store.SetAsync(["next"], true);
        var second = _line.Begin(() => test.Engine().Queue.CompleteAsync(messages[1], CancellationToken.None));

        _line.RunNext();
        Assert.True(await first.WaitAsync(WorkerTesting.Patience));
        Assert.Equal(1, commits.Value);
        _line.Run();

        Assert.True(await second.WaitAsync(WorkerTesting.Patience));
        Assert.Equal(2, commits.Value);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task One_that_waits_for_its_turn_when_the_store_is_disposed_of_fails_and_its_message_stays()
    {
        await using var beside = await database.CreateWorkerAsync(static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask));
        await using var test = await database.CreateWorkerAsync(static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask), beside: beside);
        var message = await ClaimAsync(test, group: null);
        var end = _line.Begin(() => test.Engine().Queue.CompleteAsync(message, CancellationToken.None));

        await test.Engine().Pipeline.DisposeAsync().AsTask().WaitAsync(WorkerTesting.Patience);
        _line.Run();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => end);
        Assert.Equal(message.Fence.Id, Assert.Single(await beside.RunningAsync()).Id);
    }

    private static async Task<ClaimedMessage> ClaimAsync(KvTestStore test, string? group)
    {
        await test.Store.EnqueueAsync(new Job(1), new KvEnqueueOptions { GroupKey = group });
        var claimed = await test.Engine().Queue.ClaimAsync(new ClaimWork([new TopicClaim("job", 1, TimeSpan.FromMinutes(1))], 1, "me"), CancellationToken.None);
        return Assert.Single(claimed);
    }

    private static Count CountCommits(KvTestStore test)
    {
        var count = new Count();
        test.FailPoints().OnHit = point =>
        {
            count.Value += point == FailPoints.BeforeCommit ? 1 : 0;
            return ValueTask.CompletedTask;
        };
        return count;
    }

    private sealed class Count
    {
        public int Value { get; set; }
    }

    /// <summary>Stands for the thread pool: what steps back into its line goes on when the test says.</summary>
    private sealed class Line : SynchronizationContext
    {
        private readonly ConcurrentQueue<Action> _waiting = [];

        public override void Post(SendOrPostCallback d, object? state) => _waiting.Enqueue(() => d(state));

        /// <summary>Begins what is to step back, and returns when it has.</summary>
        public Task<bool> Begin(Func<ValueTask<bool>> work)
        {
            var before = Current;
            SetSynchronizationContext(this);
            try
            {
                return work().AsTask();
            }
            finally
            {
                SetSynchronizationContext(before);
            }
        }

        public void RunNext()
        {
            Assert.True(_waiting.TryDequeue(out var next));
            next();
        }

        public void Run()
        {
            do
            {
                RunNext();
            }
            while (!_waiting.IsEmpty);
        }
    }
}

public sealed class SqliteEndTests(SqliteDatabase database) : EndSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresEndTests(PostgresDatabase database) : EndSpec(database), IClassFixture<PostgresDatabase>;
