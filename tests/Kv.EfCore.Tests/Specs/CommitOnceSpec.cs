using Kv.Diagnostics;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

/// <summary>What a builder holds happens once: identity belongs to the commit, and what ended is refused.</summary>
public abstract class CommitOnceSpec(KvDatabase database)
{
    [Fact]
    public async Task A_write_that_is_committed_is_refused_a_second_time()
    {
        await using var test = await database.CreateStoreAsync();
        var write = test.Store.Atomic().Sum(["n"], 1).Enqueue("m");
        await write.CommitAsync();

        var again = await Assert.ThrowsAsync<InvalidOperationException>(() => write.CommitAsync().AsTask());
        var added = Assert.Throws<InvalidOperationException>(() => write.Set(["a"], 1));

        Assert.Equal(
            "This write cannot be committed: it is committed already, and a second commit would do everything twice. "
                + "For another write, begin with IKvStore.Atomic().",
            again.Message);
        Assert.StartsWith("Nothing can be added to this write: it is committed already", added.Message, StringComparison.Ordinal);
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Single(await IdsAsync(test));
    }

    [Fact]
    public async Task Each_member_of_a_write_that_is_committed_refuses()
    {
        await using var test = await database.CreateStoreAsync();
        var write = test.Store.Atomic().Set(["a"], 1);
        await write.CommitAsync();
        Action[] members =
        [
            () => write.Check(["a"], null), () => write.Set(["a"], 1), () => write.SetVersionstamped(["a"], 1), () => write.Delete(["a"]),
            () => write.DeleteRange(KvRange.Prefix([])), () => write.Sum(["a"], 1), () => write.SumWithin(["a"], 1),
            () => write.Min(["a"], 1), () => write.Max(["a"], 1), () => write.Merge(["a"], KvMerge.Append, 1),
            () => write.Touch(["a"], null), () => write.Enqueue("m"),
        ];

        foreach (var member in members)
        {
            Assert.Contains("IKvStore.Atomic()", Assert.Throws<InvalidOperationException>(member).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_write_that_joined_a_transaction_is_refused_in_the_next_one_also_after_a_rollback()
    {
        await using var test = await database.CreateStoreAsync();
        await using var context = test.CreateContext();
        var write = test.Store.Atomic().Sum(["n"], 1).Enqueue("m");
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            await write.CommitAsync(context);
            var again = await Assert.ThrowsAsync<InvalidOperationException>(() => write.CommitAsync(context).AsTask());
            Assert.Contains("Build it anew", again.Message, StringComparison.Ordinal);
            await transaction.RollbackAsync();
        }

        await using (await context.Database.BeginTransactionAsync())
        {
            var error = await Assert.ThrowsAsync<InvalidOperationException>(() => write.CommitAsync(context).AsTask());
            Assert.Contains("Build it anew in the new transaction", error.Message, StringComparison.Ordinal);
        }

        await Assert.ThrowsAsync<InvalidOperationException>(() => write.CommitAsync().AsTask());
        Assert.Null(await test.Store.GetAsync(["n"]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_write_of_unknown_outcome_is_refused_with_the_id_to_ask_for(bool joins)
    {
        await using var test = await database.CreateStoreAsync(options: static o => o.CommandTimeout = TimeSpan.FromSeconds(1));
        await test.Store.SetAsync(["before"], 1);
        await using var rival = test.CreateContext();
        var write = test.Store.Atomic().Sum(["n"], 1).Enqueue("m");
        test.FailPoints.OnHit = async point =>
        {
            if (point == FailPoints.AfterCommit)
            {
                test.FailPoints.OnHit = null;
                await rival.Database.BeginTransactionAsync();
                await rival.Database.ExecuteSqlRawAsync("update data_version set version = version");
                throw new IOException("The line is cut.");
            }
        };
        var unknown = await Assert.ThrowsAsync<KvCommitUnknownException>(() => write.CommitAsync().AsTask());
        await rival.Database.CommitTransactionAsync();

        await using var context = test.CreateContext();
        var again = await Assert.ThrowsAsync<InvalidOperationException>(
            () => joins ? write.CommitAsync(context).AsTask() : write.CommitAsync().AsTask());

        Assert.Contains($"{unknown.OperationId} ended with KvCommitUnknownException", again.Message, StringComparison.Ordinal);
        Assert.Contains("ResolveAsync", again.Message, StringComparison.Ordinal);
        var more = Assert.Throws<InvalidOperationException>(() => write.Enqueue("more"));
        Assert.Contains(unknown.OperationId.ToString(), more.Message, StringComparison.Ordinal);
        Assert.NotNull(await test.Store.ResolveAsync(unknown.OperationId));
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Single(await IdsAsync(test));
    }

    [Fact]
    public async Task While_a_commit_is_in_flight_the_write_refuses_everything()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["before"], 1);
        var (held, go) = (new TaskCompletionSource(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        test.FailPoints.OnHit = _ =>
        {
            held.TrySetResult();
            return new ValueTask(go.Task);
        };
        var write = test.Store.Atomic().Sum(["n"], 1).Enqueue("m");
        var first = write.CommitAsync().AsTask();
        await held.Task.WaitAsync(TimeSpan.FromSeconds(30));

        var second = await Assert.ThrowsAsync<InvalidOperationException>(() => write.CommitAsync().AsTask());
        var added = Assert.Throws<InvalidOperationException>(() => write.Enqueue("more"));
        test.FailPoints.OnHit = null;
        go.SetResult();

        Assert.True((await first).Succeeded);
        Assert.StartsWith(
            "This write cannot be committed: a commit of it is in flight. Await that first", second.Message, StringComparison.Ordinal);
        Assert.Contains("in flight", added.Message, StringComparison.Ordinal);
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Single(await IdsAsync(test));
    }

    [Fact]
    public async Task Of_many_commits_of_one_write_at_once_one_is_carried_out()
    {
        await using var test = await database.CreateStoreAsync();
        var write = test.Store.Atomic().Sum(["n"], 1).Enqueue("m");

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
        {
            try
            {
                return (await write.CommitAsync()).Succeeded;
            }
            catch (InvalidOperationException)
            {
                return false;
            }
        })));

        Assert.Single(outcomes, true);
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Single(await IdsAsync(test));
    }

    [Fact]
    public async Task After_failed_checks_the_write_can_be_committed_again_with_another_id()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);
        var write = test.Store.Atomic().Check(["k"], null).Enqueue("m");
        Assert.False((await write.CommitAsync()).Succeeded);
        await test.Store.DeleteAsync(["k"]);
        var between = (await test.Store.Atomic().Enqueue("between").CommitAsync()).MessageIds[0];

        var result = await write.Sum(["n"], 1).CommitAsync();

        // Ids rise, so one of the refused commit would come before.
        var id = Assert.Single(result.MessageIds);
        Assert.True(string.CompareOrdinal(between, id) < 0, $"{id} is not above {between}.");
        Assert.Equal([between, id], (await IdsAsync(test)).Order(StringComparer.Ordinal));
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["n"]));
    }

    [Fact]
    public async Task After_a_mutation_that_could_not_be_done_the_write_can_be_committed_again()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["n"], "text");
        await using var context = test.CreateContext();
        var write = test.Store.Atomic().Sum(["n"], 1).Enqueue("m");

        Assert.Equal(KvErrorKind.Type, (await Assert.ThrowsAsync<KvException>(() => write.CommitAsync().AsTask())).Kind);
        await using (await context.Database.BeginTransactionAsync())
        {
            Assert.Equal(KvErrorKind.Type, (await Assert.ThrowsAsync<KvException>(() => write.CommitAsync(context).AsTask())).Kind);
        }

        await test.Store.DeleteAsync(["n"]);
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            Assert.True((await write.CommitAsync(context)).Succeeded);
            await transaction.CommitAsync();
        }

        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Single(await IdsAsync(test));
    }

    [Fact]
    public async Task After_a_cancelled_wait_the_write_can_be_committed_again_and_its_first_commit_never_comes()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["before"], 1);
        var (held, go) = (new TaskCompletionSource(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        test.FailPoints.OnHit = _ =>
        {
            held.TrySetResult();
            return new ValueTask(go.Task);
        };
        var before = test.Store.SetAsync(["before"], 2).AsTask();
        await held.Task.WaitAsync(TimeSpan.FromSeconds(30));
        using var cancellation = new CancellationTokenSource();
        var write = test.Store.Atomic().Sum(["n"], 1).Enqueue("m");
        var waiting = write.CommitAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

        var second = write.CommitAsync().AsTask();
        test.FailPoints.OnHit = null;
        go.SetResult();
        await before;

        Assert.Equal((await second).MessageIds, await IdsAsync(test));
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["n"]));
    }

    [Fact]
    public async Task After_a_limit_or_a_missing_transaction_the_write_can_be_committed_once()
    {
        await using var test = await database.CreateStoreAsync(options: static o => o.MaxMutations = 2);
        await using var context = test.CreateContext();
        var many = test.Store.Atomic().Sum(["n"], 1).Sum(["n"], 1).Enqueue("m");
        var few = test.Store.Atomic().Sum(["n"], 1).Enqueue("m");

        await Assert.ThrowsAsync<ArgumentException>(() => many.CommitAsync().AsTask());
        await Assert.ThrowsAsync<ArgumentException>(() => many.CommitAsync().AsTask());
        await Assert.ThrowsAsync<InvalidOperationException>(() => few.CommitAsync(context).AsTask());
        await Assert.ThrowsAsync<ArgumentNullException>(() => few.CommitAsync((DbContext)null!).AsTask());

        Assert.Equal((await few.CommitAsync()).MessageIds, await IdsAsync(test));
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["n"]));
    }

    [Fact]
    public async Task After_an_error_of_the_database_in_a_transaction_the_write_can_be_committed_again()
    {
        await using var test = await database.CreateStoreAsync();
        await using var context = test.CreateContext();
        var write = test.Store.Atomic().Sum(["n"], 1).Enqueue("m");
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            await context.Database.ExecuteSqlRawAsync("alter table queue rename column data to elsewhere");
            await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(() => write.CommitAsync(context).AsTask());
            await transaction.RollbackAsync();
        }

        Assert.Equal((await write.CommitAsync()).MessageIds, await IdsAsync(test));
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["n"]));
    }

    [Fact]
    public async Task Messages_get_their_ids_when_they_are_committed()
    {
        await using var test = await database.CreateStoreAsync();
        var first = test.Store.Atomic().Enqueue("a").Enqueue("b");
        var second = test.Store.Atomic().Enqueue("c");

        var early = (await second.CommitAsync()).MessageIds;
        var late = (await first.CommitAsync()).MessageIds;

        Assert.Equal([.. early, .. late], ((string[])[.. early, .. late]).Order(StringComparer.Ordinal));
        Assert.Equal(3, ((string[])[.. early, .. late]).Distinct().Count());
    }

    [Fact]
    public async Task What_was_given_to_a_write_is_stored_as_it_was_then()
    {
        await using var test = await database.CreateStoreAsync();
        byte[] part = [1], bytes = [1], value = [1, 2], memory = [1];
        List<KvKey> keys = [["undelivered"]];
        List<TimeSpan> waits = [TimeSpan.FromSeconds(1)];
        var options = new KvEnqueueOptions { KeysIfUndelivered = keys, BackoffSchedule = waits };
        KvKey key = ["k", part];
        var write = test.Store.Atomic().Set(key, bytes).Set(["v"], new KvValue(value.AsSpan(), KvEncoding.Bytes))
            .Set(["m"], memory.AsMemory()).Enqueue(bytes, options);

        (part[0], bytes[0], value[0], memory[0], keys[0], waits[0]) = (9, 9, 9, 9, ["other"], TimeSpan.FromSeconds(9));
        keys.Add(["more"]);
        waits.Clear();
        await write.CommitAsync();

        Assert.Equal([1], await test.Store.GetAsync<byte[]>(["k", new byte[] { 1 }]));
        Assert.Equal([1, 2], await test.Store.GetAsync<byte[]>(["v"]));
        Assert.Equal([1], await test.Store.GetAsync<byte[]>(["m"]));
        await using var context = test.CreateContext();
        var message = await context.QueuedMessages.SingleAsync();
        Assert.Equal([1], message.Data);
        Assert.Equal("[1000]", message.BackoffSchedule);
        Assert.Equal($"[[{string.Join(',', KvKey.Create(["undelivered"]).Encoded.ToArray())}]]", message.KeysIfUndelivered);
    }

    [Fact]
    public async Task Keys_to_read_are_those_that_were_given()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().Set(["a"], 1).Set(["b"], 2).CommitAsync();
        List<KvKey> keys = [["a"], ["b"]];
        using var cancellation = new CancellationTokenSource();

        var reading = test.Store.GetManyAsync(keys, CancellationToken.None).AsTask();
        await using var watch = test.Store.WatchAsync(keys, cancellation.Token).GetAsyncEnumerator();
        keys.Reverse();
        keys.RemoveAt(0);

        Assert.Equal([["a"], ["b"]], (await reading).Select(static e => e!.Key));
        Assert.True(await watch.MoveNextAsync());
        Assert.Equal([["a"], ["b"]], watch.Current.Select(static e => e!.Key));
        await cancellation.CancelAsync();
    }

    private static async Task<List<string>> IdsAsync(KvTestStore test)
    {
        await using var context = test.CreateContext();
        return await context.QueuedMessages.Select(static m => m.Id).ToListAsync();
    }
}

public sealed class SqliteCommitOnceTests(SqliteDatabase database) : CommitOnceSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresCommitOnceTests(PostgresDatabase database) : CommitOnceSpec(database), IClassFixture<PostgresDatabase>;
