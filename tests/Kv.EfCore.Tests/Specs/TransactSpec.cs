using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class TransactSpec(KvDatabase database)
{
    [Fact]
    public async Task No_update_of_64_writers_is_lost()
    {
        await using var test = await database.CreateStoreAsync();

        await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => Task.Run(() => test.Store.TransactAsync(async (transaction, token) =>
        {
            var count = await transaction.GetAsync<int>(["n"], token);
            transaction.Writes.Set(["n"], count + 1);
        }).AsTask())));

        Assert.Equal(64, await test.Store.GetAsync<int>(["n"]));
    }

    [Fact]
    public async Task What_a_run_read_is_checked_when_it_commits_also_what_was_absent()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["there"], 1);
        Func<IKvStore, Task>[] rivals = [s => s.SetAsync(["there"], 2).AsTask(), s => s.SetAsync(["absent"], 1).AsTask(), s => s.DeleteAsync(["there"]).AsTask(), s => s.SetAsync(["unread"], 1).AsTask()];
        foreach (var (rival, runs) in rivals.Zip((int[])[2, 2, 2, 1]))
        {
            var ran = 0;
            var result = await test.Store.TransactAsync(async (transaction, token) =>
            {
                await transaction.GetManyAsync([["there"], ["absent"]], token);
                await transaction.GetAsync(["there"], token);
                if (++ran == 1)
                {
                    await rival(test.Store);
                }

                transaction.Writes.Set(["result"], ran);
                return $"run {ran}";
            });

            Assert.Equal(runs, ran);
            Assert.Equal($"run {ran}", result);
            Assert.Equal(ran, await test.Store.GetAsync<int>(["result"]));
        }
    }

    [Fact]
    public async Task The_first_read_of_a_key_counts()
    {
        await using var test = await database.CreateStoreAsync();
        var ran = 0;

        await test.Store.TransactAsync(async (transaction, token) =>
        {
            var first = await transaction.GetAsync<int>(["n"], token);
            if (++ran == 1)
            {
                await test.Store.SetAsync(["n"], 5, cancellationToken: token);
            }

            transaction.Writes.Set(["n"], first + await transaction.GetAsync<int>(["n"], token));
        });

        Assert.Equal(2, ran);
        Assert.Equal(10, await test.Store.GetAsync<int>(["n"]));
    }

    [Fact]
    public async Task A_rival_that_always_wins_ends_it_with_a_conflict()
    {
        await using var test = await database.CreateStoreAsync(options: static options => options.CommandTimeout = TimeSpan.FromMilliseconds(500));
        var ran = 0;

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.TransactAsync(async (transaction, token) =>
        {
            await transaction.GetAsync(["n"], token);
            await test.Store.SetAsync(["n"], ++ran, cancellationToken: token);
            transaction.Writes.Set(["mine"], 1);
        }).AsTask());

        Assert.Equal(KvErrorKind.Conflict, error.Kind);
        Assert.StartsWith("Other writers came between for 0.5 seconds; the last time at [\"n\"]. Nothing was written.", error.Message, StringComparison.Ordinal);
        Assert.Null(await test.Store.GetAsync(["mine"]));
    }

    [Fact]
    public async Task What_the_block_throws_comes_out_and_nothing_is_written()
    {
        await using var test = await database.CreateStoreAsync();

        await Assert.ThrowsAsync<TimeZoneNotFoundException>(() => test.Store.TransactAsync((transaction, _) =>
        {
            transaction.Writes.Set(["n"], 1);
            throw new TimeZoneNotFoundException();
        }).AsTask());

        Assert.Empty(await test.KeysAsync());
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task A_block_that_commits_the_writes_itself_is_refused_and_what_it_writes_happens_once(bool joins, bool swallows)
    {
        await using var test = await database.CreateStoreAsync();
        await using var context = test.CreateContext();
        InvalidOperationException? refusal = null;

        var transacting = test.Store.TransactAsync(async (transaction, token) =>
        {
            transaction.Writes.Sum(["n"], 1);
            try
            {
                await (joins ? transaction.Writes.CommitAsync(context, token).AsTask() : transaction.Writes.CommitAsync(token).AsTask());
            }
            catch (InvalidOperationException error) when (swallows)
            {
                refusal = error;
            }
        }).AsTask();
        refusal = swallows ? refusal : await Assert.ThrowsAsync<InvalidOperationException>(() => transacting);
        await (swallows ? transacting : Task.CompletedTask);

        Assert.StartsWith("This write was lent by TransactAsync, which commits it itself;", refusal!.Message, StringComparison.Ordinal);
        Assert.Equal(swallows ? 1UL : 0, await test.Store.GetAsync<ulong>(["n"]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_transaction_that_is_kept_refuses_everything_after_its_block(bool fails)
    {
        await using var test = await database.CreateStoreAsync();
        KvTransaction? kept = null;
        var transacting = test.Store.TransactAsync((transaction, _) =>
        {
            kept = transaction;
            transaction.Writes.Set(["n"], 1);
            return fails ? throw new TimeZoneNotFoundException() : Task.CompletedTask;
        }).AsTask();
        await (fails ? Assert.ThrowsAsync<TimeZoneNotFoundException>(() => transacting) : transacting);

        Assert.StartsWith(
            "Nothing can be added to this write: it belongs to a TransactAsync that has ended.",
            Assert.Throws<InvalidOperationException>(() => kept!.Writes.Set(["n"], 2)).Message, StringComparison.Ordinal);
        Assert.Contains("has ended", (await Assert.ThrowsAsync<InvalidOperationException>(() => kept!.Writes.CommitAsync().AsTask())).Message, StringComparison.Ordinal);
        foreach (var reading in (Func<Task>[])[() => kept!.GetAsync(["n"]).AsTask(), () => kept!.GetAsync<int>(["n"]).AsTask(), () => kept!.GetManyAsync([["n"]]).AsTask()])
        {
            Assert.StartsWith("The transaction cannot read", (await Assert.ThrowsAsync<InvalidOperationException>(reading)).Message, StringComparison.Ordinal);
        }

        Assert.Equal(fails ? 0 : 1, await test.Store.GetAsync<int>(["n"]));
    }

    [Fact]
    public async Task A_transaction_of_an_earlier_run_is_over_when_the_block_runs_again()
    {
        await using var test = await database.CreateStoreAsync();
        List<KvTransaction> runs = [];
        List<string> refusals = [];

        await test.Store.TransactAsync(async (transaction, token) =>
        {
            await transaction.GetAsync(["n"], token);
            runs.Add(transaction);
            if (runs.Count == 1)
            {
                await test.Store.SetAsync(["n"], 1, cancellationToken: token);
            }
            else
            {
                refusals.Add(Assert.Throws<InvalidOperationException>(() => runs[0].Writes.Enqueue("lost")).Message);
            }

            transaction.Writes.Enqueue("m");
        });

        Assert.Contains("has ended", Assert.Single(refusals), StringComparison.Ordinal);
        await using var context = test.CreateContext();
        Assert.Single(context.QueuedMessages);
    }

    [Fact]
    public async Task A_block_that_returns_no_task_is_told_so()
    {
        await using var test = await database.CreateStoreAsync();

        Task none = null!;

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => test.Store.TransactAsync((transaction, _) =>
        {
            transaction.Writes.Set(["n"], 1);
            return none;
        }).AsTask());

        Assert.StartsWith("The block of TransactAsync returned null instead of a Task", error.Message, StringComparison.Ordinal);
        Assert.Empty(await test.KeysAsync());
    }
}

public sealed class SqliteTransactTests(SqliteDatabase database) : TransactSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresTransactTests(PostgresDatabase database) : TransactSpec(database), IClassFixture<PostgresDatabase>;
