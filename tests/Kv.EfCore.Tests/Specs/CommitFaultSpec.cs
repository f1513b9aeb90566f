using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Schema;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.Specs;

/// <summary>Commits that fail on the way: committed once, or not at all, or an exception that says "unknown" and can be resolved.</summary>
public abstract class CommitFaultSpec(KvDatabase database)
{
    [Theory]
    [InlineData(KvFault.CutCommit)]
    [InlineData(KvFault.CutAnswer)]
    public async Task A_write_whose_commit_was_interrupted_once_is_committed_once(KvFault fault)
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().Sum(["sum"], 1).CommitAsync();
        test.Faults.FailNext(fault);

        var result = await test.Store.Atomic().Sum(["sum"], 10).SetVersionstamped(["log"], "entry").CommitAsync();

        Assert.Equal(1, test.Faults.CountFailed(fault));
        Assert.Equal(11ul, await test.Store.GetAsync<ulong>(["sum"]));
        Assert.Equal(result.Versionstamp, (await test.Store.GetAsync(["sum"]))!.Versionstamp);
        Assert.Equal(["log", result.Versionstamp.ToString()], Assert.Single(await test.Store.ListKeysAsync(KvRange.Prefix(["log"])).ToListAsync()));
    }

    [Theory]
    [InlineData(KvFault.CutCommit)]
    [InlineData(KvFault.CutAnswer)]
    public async Task A_logger_that_throws_on_the_way_changes_no_answer(KvFault fault)
    {
        using var logs = new BrokenLogs();
        await using var test = await database.CreateStoreAsync(services: services => services.AddSingleton<ILoggerProvider>(logs));
        await test.Store.Atomic().Sum(["sum"], 1).CommitAsync();
        test.Faults.FailNext(fault);

        var result = await test.Store.Atomic().Sum(["sum"], 10).CommitAsync();

        Assert.Equal(11ul, await test.Store.GetAsync<ulong>(["sum"]));
        Assert.Equal(result.Versionstamp, (await test.Store.GetAsync(["sum"]))!.Versionstamp);
        Assert.Equal(1, test.Faults.CountFailed(fault));
        Assert.NotEqual(0, logs.Count);
    }

    [Theory]
    [InlineData(KvFault.CutCommit)]
    [InlineData(KvFault.CutAnswer)]
    public async Task A_message_whose_commit_was_interrupted_once_is_there_once(KvFault fault)
    {
        await using var test = await database.CreateStoreAsync();
        test.Faults.FailNext(fault);

        await test.Store.Atomic().Enqueue("hello").CommitAsync();

        Assert.Equal(1, test.Faults.CountFailed(fault));
        await using var context = test.CreateContext();
        Assert.Single(context.QueuedMessages);
    }

    [Theory]
    [InlineData(KvFault.CutCommit)]
    [InlineData(KvFault.CutAnswer)]
    public async Task An_interrupted_commit_leaves_no_lock_behind(KvFault fault)
    {
        await using var test = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString, options: static o => o.CommandTimeout = TimeSpan.FromSeconds(10));
        test.Faults.FailNext(fault);

        await test.Store.SetAsync(["a"], 1);
        await other.Store.SetAsync(["a"], 2);
        await test.Store.SetAsync(["b"], 3);

        Assert.Equal(1, test.Faults.CountFailed(fault));
        Assert.Equal(2, await test.Store.GetAsync<int>(["a"]));
        Assert.Equal(3, await other.Store.GetAsync<int>(["b"]));
    }

    [Fact]
    public async Task A_listing_of_a_snapshot_that_is_left_early_leaves_no_snapshot_behind()
    {
        await using var test = await database.CreateStoreAsync();
        for (var i = 0; i < 10; i++)
        {
            await test.Store.SetAsync(["a", i], i);
        }

        var first = await test.Store.ListAsync(KvRange.Prefix(["a"]), new KvListOptions { Snapshot = true, BatchSize = 2 }).FirstAsync();
        await test.Store.SetAsync(["a", 0], 100);

        Assert.Equal(0, first.As<int>());
        for (var i = 0; i < 2 * test.Engine.Driver.Readers; i++)
        {
            Assert.Equal(100, (await test.Store.GetManyAsync([["a", 0], ["a", 1]]))[0]!.As<int>());
        }
    }

    [Fact]
    public async Task A_write_that_was_found_uncommitted_can_never_be_committed_later()
    {
        await using var test = await database.CreateStoreAsync();
        var mark = new CommitMark(1L << 40, 5);

        Assert.Null(await test.Engine.Runner.ResolveAsync(mark, default));

        var late = test.Engine.Provider.CreateWriter(
            test.Engine.Driver,
            await new SessionFactory(test.CreateContext, test.Engine.Driver, SchemaCheck.OpenCurrentAsync, test.Engine.Options, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance).OpenAsync(SessionRole.Write, default),
            test.Engine.Clock, test.Engine.Options, new FailPoints());
        await using (late)
        {
            var group = new CommitGroup();
            group.Add(new AtomicWork(new AtomicWrite { Mutations = { new Mutation(MutationKind.Set, KvKey.Create(["late"]).Encoded.ToArray()) { Value = [1], Encoding = 3 } } }));
            await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(() => CommitAsync(late, group, mark));
            await late.TryRollbackAsync();

            Assert.Null(await test.Store.GetAsync(["late"]));
            Assert.Null(await test.Engine.Runner.ResolveAsync(mark, default));

            await CommitAsync(late, group, mark with { Sequence = 6 });
            Assert.NotNull(await test.Store.GetAsync(["late"]));
            Assert.NotNull(await test.Engine.Runner.ResolveAsync(mark with { Sequence = 6 }, default));
        }

        static async Task CommitAsync(CommitWriter writer, CommitGroup group, CommitMark mark)
        {
            var reads = await writer.BeginAsync(group, mark, default);
            var attempt = new CommitAttempt(group, reads);
            attempt.Evaluate();
            await writer.CommitAsync(group, reads, attempt.Effects);
        }
    }

    [Fact]
    public async Task A_write_that_was_refused_in_a_commit_of_unknown_outcome_is_not_unknown()
    {
        var group = new CommitGroup();
        var refused = new AtomicWork(new AtomicWrite { Checks = { new Check([2, 97, 0], KvVersionstamp.FromVersion(1)) } });
        var taken = new AtomicWork(new AtomicWrite { Mutations = { new Mutation(MutationKind.Set, [2, 98, 0]) } });
        group.Add(refused);
        group.Add(taken);
        var attempt = new CommitAttempt(group, new CommitReads { Now = 0, LastVersion = 2 });
        attempt.Evaluate();

        attempt.TellUnknown(new CommitMark(1, 1), new IOException("cut"));

        Assert.Equal(KvErrorKind.Unavailable, (await Assert.ThrowsAsync<KvException>(() => refused.Task)).Kind);
        await Assert.ThrowsAsync<KvCommitUnknownException>(() => taken.Task);
    }
}

public sealed class SqliteCommitFaultTests(SqliteDatabase database) : CommitFaultSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresCommitFaultTests(PostgresDatabase database) : CommitFaultSpec(database), IClassFixture<PostgresDatabase>;
