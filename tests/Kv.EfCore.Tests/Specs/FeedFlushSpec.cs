using Kv.Diagnostics;
using Kv.Feed;
using Kv.TestKit;
using Microsoft.Data.Sqlite;

namespace Kv.Tests.Specs;

/// <summary>What becomes of a follower whose flush meets the end of a process, of a connection, or of what was read.</summary>
public abstract class FeedFlushSpec(KvDatabase database)
{
    [Fact]
    public async Task A_follower_is_told_of_what_is_there_after_the_flush_and_not_of_what_was_lost_before()
    {
        await using var writer = await database.CreateWithFeedAsync();
        await using var test = await database.CreateStoreAsync(connectionString: writer.ConnectionString);
        var start = await writer.NowAsync();
        var lost = (await writer.Store.Atomic().Set(["lost"], 1).CommitAsync(KvDurability.Relaxed)).Versionstamp.Version;
        var gone = WhenFlushed(test, async () =>
        {
            await writer.ExecuteAsync($"delete from kv where version = {lost}");
            await writer.ExecuteAsync("delete from kv_changes");
        });
        await using var changes = test.Store.ChangesAsync(start).GetAsyncEnumerator();
        var next = changes.NextAsync();
        await gone.WaitAsync(Rows.Patience, TimeProvider.System);

        var kept = await writer.Store.SetAsync(["kept"], 1);

        Assert.Equal((kept, "kept="), (await next).Text());
    }

    [Fact]
    public async Task A_flush_whose_answer_is_lost_together_with_what_was_read_tells_nothing_of_it()
    {
        await using var writer = await database.CreateWithFeedAsync();
        await using var test = await database.CreateStoreAsync(connectionString: writer.ConnectionString);
        await writer.Store.SetAsync(["before"], 1);
        var start = await writer.NowAsync();
        var lost = (await writer.Store.Atomic().Set(["lost"], 1).CommitAsync(KvDurability.Relaxed)).Versionstamp.Version;
        var gone = WhenFlushed(
            test,
            async () =>
            {
                await writer.ExecuteAsync($"delete from kv where version = {lost}");
                await writer.ExecuteAsync($"delete from kv_changes where version = {lost}");
                await writer.ExecuteAsync($"update data_version set version = {lost - 1} where k = 0");
            },
            new IOException("The connection is gone."));
        await using var changes = test.Store.ChangesAsync(start).GetAsyncEnumerator();
        var next = changes.NextAsync();
        await gone.WaitAsync(Rows.Patience, TimeProvider.System);

        // The writer may notice first that the database has gone back, and raises the version then.
        await writer.Store.SetAsync(["new"], 1);

        var error = await Record.ExceptionAsync(() => next);
        Assert.True(error is KvChangesTooOldException or null, $"{error}");
        Assert.True(error is not null || (await next).Text().Changes == "new=");
    }

    [Fact]
    public async Task A_flush_of_another_database_than_was_read_makes_nothing_durable()
    {
        await using var test = await database.CreateWithFeedAsync();
        await test.Store.SetAsync(["k"], 1);
        var version = await test.VersionAsync();
        var flush = new FeedFlush(test.Engine.Pipeline, test.Engine.Driver.Sql, test.Engine.Signals.Seen);

        var error = await Assert.ThrowsAsync<KvException>(
            () => flush.RunAsync(new FeedState(version + 1, 0, IsFilled: true), CancellationToken.None).AsTask());

        Assert.Equal(KvErrorKind.Unavailable, error.Kind);
        Assert.Contains("as after a failover", error.Message, StringComparison.Ordinal);
        Assert.Equal(version, await flush.RunAsync(new FeedState(version, 0, IsFilled: true), CancellationToken.None));
        Assert.Equal(version, flush.Durable);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_follower_that_is_cancelled_or_whose_store_is_disposed_does_not_wait_for_its_flush(bool isCancelled)
    {
        await using var writer = await database.CreateWithFeedAsync();
        var test = await database.CreateStoreAsync(connectionString: writer.ConnectionString);
        var start = await writer.NowAsync();
        await writer.Store.Atomic().Set(["k"], 1).CommitAsync(KvDurability.Relaxed);
        var (reached, held) = (New(), New());
        test.FailPoints.OnHit = async hit =>
        {
            if (hit == FailPoints.BeforeCommit && reached.TrySetResult())
            {
                await held.Task;
            }
        };
        using var stop = new CancellationTokenSource();
        await using var changes = test.Store.ChangesAsync(start, cancellationToken: stop.Token).GetAsyncEnumerator(CancellationToken.None);
        var next = Task.Run(() => changes.MoveNextAsync().AsTask());
        await reached.Task.WaitAsync(Rows.Patience, TimeProvider.System);

        var disposed = isCancelled ? Task.CompletedTask : Task.Run(() => test.DisposeAsync().AsTask());
        await (isCancelled ? stop.CancelAsync() : Task.CompletedTask);

        Assert.False(await next.WaitAsync(Rows.Patience, TimeProvider.System));
        held.SetResult();
        await disposed;
        await test.DisposeAsync();
    }

    /// <summary>Has something happen when the first flush of a store was committed, before it is answered.</summary>
    /// <param name="test">The store.</param>
    /// <param name="happen">What happens.</param>
    /// <param name="error">What becomes of the answer; null for nothing.</param>
    /// <returns>Done when it has happened.</returns>
    private static Task WhenFlushed(KvTestStore test, Func<Task> happen, Exception? error = null)
    {
        var (hits, done) = (0, New());
        test.FailPoints.OnHit = async hit =>
        {
            if (hit == FailPoints.AfterCommit && Interlocked.Increment(ref hits) == 1)
            {
                await happen();
                done.SetResult();
                if (error is not null)
                {
                    throw error;
                }
            }
        };
        return done.Task;
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

public sealed class SqliteFeedFlushTests(SqliteDatabase database) : FeedFlushSpec(database), IClassFixture<SqliteDatabase>
{
    private readonly SqliteDatabase _database = database;

    [Fact]
    public async Task A_flush_that_shares_a_commit_of_which_no_one_can_tell_says_to_flush_again()
    {
        await using var test = await _database.CreateStoreAsync(options: static o => o.CommandTimeout = TimeSpan.FromSeconds(1));
        var (reached, held) = (new TaskCompletionSource(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var other = new SqliteConnection($"{test.ConnectionString};Pooling=False");
        await other.OpenAsync();
        var hits = 0;
        test.FailPoints.OnHit = async hit =>
        {
            switch (hit == FailPoints.AfterCommit ? ++hits : 0)
            {
                case 1:
                    reached.SetResult();
                    await held.Task;
                    break;
                case 2:
                    await new SqliteCommand("begin immediate", other).ExecuteNonQueryAsync();
                    throw new IOException("The connection is gone.");
            }
        };
        var first = Task.Run(() => test.Store.SetAsync(["x"], 1).AsTask());
        await reached.Task.WaitAsync(Rows.Patience, TimeProvider.System);
        var second = test.Store.SetAsync(["y"], 1).AsTask();
        var flush = test.Store.FlushAsync().AsTask();
        held.SetResult();

        var error = await Assert.ThrowsAsync<KvException>(() => flush);

        Assert.Equal(KvErrorKind.Unavailable, error.Kind);
        Assert.Contains("Flush again", error.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<KvCommitUnknownException>(() => second);
        await first;
    }
}

public sealed class PostgresFeedFlushTests(PostgresDatabase database) : FeedFlushSpec(database), IClassFixture<PostgresDatabase>;
