using Kv.Commits;
using Kv.Diagnostics;
using Kv.Messages;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Writes that say how durable they are. What a power cut leaves of them is each database's own matter.</summary>
public abstract class DurabilitySpec(KvDatabase database)
{
    [Fact]
    public async Task Writes_of_either_durability_are_seen_by_all_and_keep_one_order()
    {
        await using var test = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);

        var versions = await Task.WhenAll(Enumerable.Range(0, 64).Select(async i =>
        {
            var store = i % 2 == 0 ? test.Store : other.Store;
            var durability = i % 3 == 0 ? KvDurability.Full : KvDurability.Relaxed;
            var written = await store.Atomic().Sum(["sum"], 1).Set(["n", i], i).CommitAsync(durability);
            Assert.Equal(i, await store.GetAsync<int>(["n", i]));
            return written.Versionstamp;
        }));

        Assert.Equal(64, versions.Distinct().Count());
        Assert.Equal(64UL, await other.Store.GetAsync<ulong>(["sum"]));
        var last = (await other.Store.GetAsync(["sum"]))!.Versionstamp;
        Assert.Equal(versions.Max(), last);
    }

    [Fact]
    public async Task A_relaxed_write_that_is_refused_may_be_committed_again_and_one_that_was_committed_may_not()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);
        var write = test.Store.Atomic().Check(["k"], null).Set(["k"], 2);

        Assert.False((await write.CommitAsync(KvDurability.Relaxed)).Succeeded);
        await test.Store.DeleteAsync(["k"]);
        Assert.True((await write.CommitAsync(KvDurability.Relaxed)).Succeeded);
        await Assert.ThrowsAsync<InvalidOperationException>(() => write.CommitAsync(KvDurability.Full).AsTask());
    }

    [Fact]
    public async Task A_durability_that_there_is_not_is_refused_before_anything_is_written()
    {
        await using var test = await database.CreateStoreAsync();
        var write = test.Store.Atomic().Set(["k"], 1);

        var refused = await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => write.CommitAsync((KvDurability)7).AsTask());

        Assert.Contains("use Full or Relaxed", refused.Message, StringComparison.Ordinal);
        Assert.Empty(await test.KeysAsync());
        Assert.True((await write.CommitAsync(KvDurability.Relaxed)).Succeeded);
    }

    [Fact]
    public async Task A_flush_writes_nothing_that_can_be_read_and_tells_no_watcher_of_a_change()
    {
        await using var test = await database.CreateStoreAsync();
        var before = await test.Store.SetAsync(["k"], 1);

        await test.Store.FlushAsync();
        await test.Store.Scope(["tenant", 1]).FlushAsync();

        Assert.Equal([["k"]], await test.KeysAsync());
        Assert.Equal(before, (await test.Store.GetAsync(["k"]))!.Versionstamp);
        Assert.Equal(before.Version, await test.VersionAsync());
    }

    [Theory]
    [InlineData(FailPoints.BeforeCommit)]
    [InlineData(FailPoints.AfterCommit)]
    public async Task A_flush_that_is_interrupted_is_run_again(string point)
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);
        var hits = 0;
        test.FailPoints.OnHit = hit => hit == point && ++hits == 1 ? throw new IOException("The connection is gone.") : default(ValueTask);

        await test.Store.FlushAsync();

        Assert.Equal(2, hits);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(FailPoints.AfterCommit)]
    public async Task A_flush_tells_the_version_up_to_which_all_is_durable(string? fault)
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);
        var hits = 0;
        test.FailPoints.OnHit = hit => hit == fault && ++hits == 1 ? throw new IOException("The connection is gone.") : default(ValueTask);
        var flush = UpdateWork.Flush(test.Engine.Driver.Sql);

        Assert.True(await test.Engine.Pipeline.SubmitAsync(flush, CancellationToken.None));

        Assert.Equal(await test.VersionAsync(), flush.Version);
    }

    [Fact]
    public async Task A_process_knows_to_be_durable_what_it_committed_as_full_and_flushed_for_a_follower()
    {
        await using var test = await database.CreateWithFeedAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        var start = await test.NowAsync();
        await using var changes = test.Store.ChangesAsync(start).GetAsyncEnumerator();

        var full = await test.Store.Atomic().Set(["k"], 1).CommitAsync(KvDurability.Full);
        await changes.NextAsync();
        Assert.Equal(full.Versionstamp.Version, Durable());

        await test.Store.Atomic().Set(["k"], 2).CommitAsync(KvDurability.Relaxed);
        Assert.Equal(full.Versionstamp.Version, Durable());
        var relaxed = await changes.NextAsync();
        Assert.Equal(relaxed.Versionstamp.Version, Durable());

        var others = await other.Store.Atomic().Set(["k"], 3).CommitAsync(KvDurability.Full);
        Assert.Equal(others.Versionstamp, (await changes.NextAsync()).Versionstamp);
        Assert.Equal(others.Versionstamp.Version, Durable());
        Assert.Equal(others.Versionstamp.Version, await test.VersionAsync());

        long Durable() => test.Engine.Signals.Seen.Current.Durable;
    }

    [Fact]
    public void A_group_is_as_durable_as_the_member_that_asks_for_most()
    {
        Assert.Equal(KvDurability.Relaxed, Of(KvDurability.Full, Write(KvDurability.Relaxed), Write(KvDurability.Relaxed)));
        Assert.Equal(KvDurability.Full, Of(KvDurability.Full, Write(KvDurability.Relaxed), Write(null)));
        Assert.Equal(KvDurability.Full, Of(KvDurability.Relaxed, Write(null), Write(KvDurability.Full)));
        Assert.Equal(KvDurability.Relaxed, Of(KvDurability.Relaxed, Write(null), Complete()));
        Assert.Equal(KvDurability.Full, Of(KvDurability.Full, Write(KvDurability.Relaxed), Complete()));
        Assert.Equal(KvDurability.Relaxed, Of(KvDurability.Full, Write(KvDurability.Relaxed), Claim()));
        Assert.Equal(KvDurability.Full, Of(KvDurability.Full, Claim()));
        Assert.Equal(KvDurability.Relaxed, Of(KvDurability.Relaxed, Claim()));
        Assert.Equal(KvDurability.Relaxed, Of(KvDurability.Relaxed, Update(null)));
        Assert.Equal(KvDurability.Full, Of(KvDurability.Full, Update(null), Write(KvDurability.Relaxed)));
        Assert.Equal(KvDurability.Full, Of(KvDurability.Relaxed, Update(KvDurability.Full), Write(KvDurability.Relaxed), Claim()));

        static AtomicWork Write(KvDurability? durability) => new(new AtomicWrite()) { Durability = durability };
        static Work Update(KvDurability? durability) => new UpdateWork("", []) { Durability = durability };
        static Work Complete() => new CompleteWork(new Fence("id", "owner", 1));
        static Work Claim() => new ClaimWork([], 0, "owner");
        static KvDurability Of(KvDurability usual, params Work[] members)
        {
            var group = new CommitGroup();
            Array.ForEach(members, group.Add);
            return group.DurabilityOr(usual);
        }
    }
}

public sealed class SqliteDurabilityTests(SqliteDatabase database) : DurabilitySpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresDurabilityTests(PostgresDatabase database) : DurabilitySpec(database), IClassFixture<PostgresDatabase>;
