using Kv.Diagnostics;
using Kv.TestKit;

namespace Kv.Tests.Specs;

public abstract class AtomicSpec(KvDatabase database)
{
    [Fact]
    public async Task A_write_that_fails_halfway_leaves_nothing_behind()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["count"], "not a number");

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.Atomic().Set(["a"], 1).Sum(["count"], 1).Set(["b"], 2).CommitAsync().AsTask());

        Assert.Equal(KvErrorKind.Type, error.Kind);
        Assert.Null(await test.Store.GetAsync(["a"]));
        Assert.Null(await test.Store.GetAsync(["b"]));
    }

    [Fact]
    public async Task All_orders_of_good_and_failing_mutations_leave_nothing_behind()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().Set(["text"], "t").Set(["one"], 1UL).Set(["range", 1], 1).CommitAsync();
        var before = await SnapshotAsync(test);
        Func<KvAtomic, KvAtomic>[] good =
        [
            a => a.Set(["new"], 1), a => a.Set(["text"], "u"), a => a.Delete(["one"]), a => a.DeleteRange(KvRange.Prefix(["range"])), a => a.Sum(["one"], 1),
            a => a.SetVersionstamped(["log"], 1), a => a.Touch(["one"], TimeSpan.FromHours(1)), a => a.Enqueue("message"),
        ];
        Func<KvAtomic, KvAtomic>[] failing =
        [
            a => a.Sum(["text"], 1), a => a.Min(["text"], 1), a => a.Max(["text"], 1), a => a.SumWithin(["text"], 1), a => a.SumWithin(["low"], -1, max: 5),
        ];

        foreach (var bad in failing)
        {
            foreach (var (first, second) in good.Zip(good[1..].Append(good[0])))
            {
                foreach (var steps in (Func<KvAtomic, KvAtomic>[][])[[bad, first, second], [first, bad, second], [first, second, bad]])
                {
                    // What fails must not depend on the good ones: none of them touches "text" but as text, or "low".
                    var atomic = steps.Aggregate(test.Store.Atomic(), static (atomic, step) => step(atomic));
                    await Assert.ThrowsAsync<KvException>(() => atomic.CommitAsync().AsTask());
                }
            }
        }

        Assert.Equal(before, await SnapshotAsync(test));
    }

    [Fact]
    public async Task A_check_passes_only_while_the_key_is_as_it_was_read()
    {
        await using var test = await database.CreateStoreAsync();

        var first = await test.Store.Atomic().Check(["k"], null).Set(["k"], 1).CommitAsync();
        var second = await test.Store.Atomic().Check(["k"], first.Versionstamp).Set(["k"], 2).CommitAsync();
        var stale = await test.Store.Atomic().Check(["k"], first.Versionstamp).Set(["k"], 3).CommitAsync();
        var absent = await test.Store.Atomic().Check(["k"], null).Set(["k"], 4).CommitAsync();

        Assert.True(first.Succeeded);
        Assert.True(second.Succeeded);
        Assert.False(stale.Succeeded);
        Assert.False(absent.Succeeded);
        Assert.Equal(2, await test.Store.GetAsync<int>(["k"]));
        Assert.Throws<InvalidOperationException>(() => stale.Versionstamp);
    }

    [Theory]
    [InlineData("0001")]
    [InlineData("0100")]
    [InlineData("ffff")]
    public async Task A_check_compares_all_ten_bytes_of_a_versionstamp(string order)
    {
        await using var test = await database.CreateStoreAsync();
        await using var context = test.CreateContext();
        var written = await test.Store.SetAsync(["k"], 1);
        var other = KvVersionstamp.Parse(written.ToString()[..16] + order);

        var result = await test.Store.Atomic().Check(["k"], written).Check(["k"], other).Check(["absent"], other).Set(["k"], 2).CommitAsync();
        await using var transaction = await context.Database.BeginTransactionAsync();
        var joined = await test.Store.Atomic().Check(["k"], other).Set(["k"], 2).CommitAsync(context);

        Assert.Equal([new KvFailedCheck(1, ["k"], written), new KvFailedCheck(2, ["absent"], null)], result.FailedChecks);
        Assert.Equal(new KvFailedCheck(0, ["k"], written), Assert.Single(joined.FailedChecks));
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
    }

    [Theory]
    [InlineData("ffffffffffffffff0000")]
    [InlineData("80000000000000010000")]
    [InlineData("00000000000000000000")]
    public async Task A_versionstamp_that_no_store_gives_out_matches_nothing(string stamp)
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);

        var result = await test.Store.Atomic().Check(["k"], KvVersionstamp.Parse(stamp)).Check(["absent"], KvVersionstamp.Parse(stamp)).Set(["k"], 2).CommitAsync();

        Assert.Equal([0, 1], result.FailedChecks.Select(static check => check.Index));
    }

    [Theory]
    [InlineData(7, 2)]
    [InlineData(9, 2)]
    [InlineData(1, 0)]
    [InlineData(1, 9)]
    public async Task A_value_that_Deno_could_not_read_is_not_written_and_stays_as_it_is(int size, int encoding)
    {
        await using var test = await database.CreateStoreAsync();
        await test.InsertAsync(KvKey.Create(["odd"]).Encoded, new byte[size], encoding);
        var value = (await test.Store.GetAsync(["odd"]))!.Value;

        foreach (var write in (Action<KvAtomic>[])[a => a.Set(["copy"], value), a => a.SetVersionstamped(["copy"], value)])
        {
            Assert.StartsWith("The value of [\"copy\"] cannot be written. ", Assert.Throws<ArgumentException>(() => write(test.Store.Atomic())).Message, StringComparison.Ordinal);
        }

        Assert.StartsWith("The message cannot be enqueued. ", Assert.Throws<ArgumentException>(() => test.Store.Atomic().Enqueue(value, new() { Topic = "t" })).Message, StringComparison.Ordinal);
        Assert.Equal(value, (await test.Store.GetAsync(["odd"]))!.Value);
        Assert.Equal([["odd"]], await test.KeysAsync());
    }

    [Fact]
    public async Task Every_failed_check_is_named_with_what_is_there()
    {
        await using var test = await database.CreateStoreAsync();
        var a = await test.Store.SetAsync(["a"], 1);
        var b = await test.Store.SetAsync(["b"], 1);

        var result = await test.Store.Atomic()
            .Check(["a"], a).Check(["a"], null).Check(["b"], a).Check(["none"], b).Check(["none"], null)
            .Set(["a"], 2).CommitAsync();

        Assert.Equal([new(1, ["a"], a), new(2, ["b"], b), new(3, ["none"], null)], result.FailedChecks);
        Assert.Equal(1, await test.Store.GetAsync<int>(["a"]));
    }

    [Fact]
    public async Task Checks_see_the_state_before_the_write()
    {
        await using var test = await database.CreateStoreAsync();

        var result = await test.Store.Atomic().Set(["k"], 1).Check(["k"], null).Delete(["k"]).Set(["k"], 2).CommitAsync();

        Assert.True(result.Succeeded);
        Assert.Equal(2, await test.Store.GetAsync<int>(["k"]));
    }

    [Fact]
    public async Task One_commit_has_one_versionstamp_and_later_ones_are_greater()
    {
        await using var test = await database.CreateStoreAsync();
        var last = default(KvVersionstamp);
        for (var i = 0; i < 10; i++)
        {
            var result = await test.Store.Atomic().Set(["a"], i).Sum(["b"], 1).Max(["c"], 7).CommitAsync();
            var entries = await test.Store.GetManyAsync([["a"], ["b"], ["c"]]);

            Assert.All(entries, e => Assert.Equal(result.Versionstamp, e!.Versionstamp));
            Assert.True(result.Versionstamp > last);
            last = result.Versionstamp;
        }
    }

    [Fact]
    public async Task A_commit_that_changes_nothing_takes_a_version_and_a_refused_one_does_not()
    {
        await using var test = await database.CreateStoreAsync();
        var first = await test.Store.SetAsync(["k"], 1);

        var empty = (await test.Store.Atomic().CommitAsync()).Versionstamp;
        var delete = await test.Store.DeleteAsync(["none"]);
        var version = await test.VersionAsync();
        Assert.False((await test.Store.Atomic().Check(["k"], null).CommitAsync()).Succeeded);
        await Assert.ThrowsAsync<KvException>(() => test.Store.Atomic().Sum(["k"], 1).CommitAsync().AsTask());

        Assert.True(first < empty && empty < delete);
        Assert.Equal(delete, KvVersionstamp.FromVersion(version));
        Assert.Equal(version, await test.VersionAsync());
    }

    [Fact]
    public async Task Writes_that_share_a_commit_have_outcomes_of_their_own()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["text"], "t");
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var commits = 0;
        test.FailPoints.OnHit = async point =>
        {
            if (point == FailPoints.BeforeCommit && Interlocked.Increment(ref commits) == 1)
            {
                await held.Task.WaitAsync(Rows.Patience, TimeProvider.System);
            }
        };
        var leader = Task.Run(() => test.Store.SetAsync(["leader"], 1).AsTask());
        await using var watch = test.Store.WatchAsync([["leader"]]).GetAsyncEnumerator();
        await watch.NextAsync();

        // While the first commit is held, these wait; when it is done they are one group.
        var sums = Enumerable.Range(0, 60).Select(_ => Task.Run(() => test.Store.Atomic().Sum(["n"], 1).CommitAsync().AsTask())).ToArray();
        var failing = Enumerable.Range(0, 20).Select(i => Task.Run(() => test.Store.Atomic().Set(["f", i], 1).Sum(["text"], 1).CommitAsync().AsTask())).ToArray();
        var refused = Enumerable.Range(0, 20).Select(i => Task.Run(() => test.Store.Atomic().Check(["text"], null).Set(["r", i], 1).CommitAsync().AsTask())).ToArray();
        held.SetResult();
        await leader;

        var versions = (await Task.WhenAll(sums)).Select(static r => r.Versionstamp).ToArray();
        Assert.Equal(60, versions.Distinct().Count());
        foreach (var task in failing)
        {
            Assert.Equal(KvErrorKind.Type, (await Assert.ThrowsAsync<KvException>(() => task)).Kind);
        }

        Assert.All(await Task.WhenAll(refused), static r => Assert.Equal(0, Assert.Single(r.FailedChecks).Index));
        Assert.Equal(60UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Equal(versions.Max(), (await test.Store.GetAsync(["n"]))!.Versionstamp);
        Assert.Equal([["leader"], ["n"], ["text"]], await test.KeysAsync());
    }

    [Fact]
    public async Task A_write_that_waits_can_be_given_up_and_one_that_runs_cannot()
    {
        await using var test = await database.CreateStoreAsync();
        var (reached, held) = (new TaskCompletionSource(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        test.FailPoints.OnHit = async point =>
        {
            if (point == FailPoints.BeforeCommit)
            {
                reached.TrySetResult();
                await held.Task.WaitAsync(Rows.Patience, TimeProvider.System);
            }
        };
        using var first = new CancellationTokenSource();
        using var second = new CancellationTokenSource();

        var running = Task.Run(() => test.Store.SetAsync(["running"], 1, cancellationToken: first.Token).AsTask());
        await reached.Task.WaitAsync(Rows.Patience, TimeProvider.System);
        var waiting = test.Store.SetAsync(["waiting"], 1, cancellationToken: second.Token).AsTask();
        await first.CancelAsync();
        await second.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        held.SetResult();
        await running;
        Assert.Equal([["running"]], await test.KeysAsync());
    }

    [Fact]
    public async Task Disposal_lets_the_commit_that_runs_finish()
    {
        var test = await database.CreateStoreAsync();
        var (reached, held) = (new TaskCompletionSource(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        test.FailPoints.OnHit = async point =>
        {
            if (point == FailPoints.BeforeCommit)
            {
                reached.TrySetResult();
                await held.Task.WaitAsync(Rows.Patience, TimeProvider.System);
            }
        };

        var running = Task.Run(() => test.Store.SetAsync(["k"], 1).AsTask());
        await reached.Task.WaitAsync(Rows.Patience, TimeProvider.System);
        var waiting = test.Store.SetAsync(["late"], 1).AsTask();
        var store = test.Store;

        // The first thing that disposal waits for may be the sweeper, and until then the pipeline is open: so the pipeline itself.
        var disposal = test.Engine.Pipeline.DisposeAsync().AsTask();
        Assert.False(disposal.IsCompleted);
        held.SetResult();
        await disposal;
        await running;
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
        await test.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => store.SetAsync(["later"], 1).AsTask());
        await using var again = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        Assert.Equal([["k"]], await again.KeysAsync());
    }

    [Fact]
    public async Task A_defect_on_the_way_to_a_commit_fails_those_whom_it_concerns_and_nobody_after_them()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["before"], 1);
        test.Engine.Pipeline.MessagesComing += static _ => throw new NotSupportedException("A defect.");

        await Assert.ThrowsAsync<NotSupportedException>(() => test.Store.EnqueueAsync("message").AsTask().WaitAsync(Rows.Patience, TimeProvider.System));
        await test.Store.SetAsync(["after"], 1).AsTask().WaitAsync(Rows.Patience, TimeProvider.System);

        Assert.Equal([["after"], ["before"]], await test.KeysAsync());
    }

    private static async Task<string> SnapshotAsync(KvTestStore test)
    {
        await using var context = test.CreateContext();
        var rows = context.Entries.AsEnumerable().Select(static e => $"{Convert.ToHexString(e.Key)}={Convert.ToHexString(e.Value)}@{e.Version}!{e.ExpiresAt}");
        return $"{await test.VersionAsync()}: {string.Join(", ", rows.Order(StringComparer.Ordinal))}, {context.QueuedMessages.Count()} messages";
    }
}

public sealed class SqliteAtomicTests(SqliteDatabase database) : AtomicSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresAtomicTests(PostgresDatabase database) : AtomicSpec(database), IClassFixture<PostgresDatabase>;
