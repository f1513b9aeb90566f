using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>A store that fails as a test asks.</summary>
public abstract class FaultSpec(KvDatabase database)
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);
    private readonly CancellationToken _token = TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(KvFault.BeforeCommit)]
    [InlineData(KvFault.HalfCommit)]
    public async Task A_commit_that_fails_writes_nothing_and_the_next_one_succeeds(KvFault fault)
    {
        await using var kv = await database.StartAsync(static _ => { });
        await kv.Store.SetAsync(["a"], 1, cancellationToken: _token);
        kv.Faults.FailNth(2, fault);

        await kv.Store.SetAsync(["a"], 2, cancellationToken: _token);
        var error = await Assert.ThrowsAsync<KvException>(() => WriteAsync(kv));

        Assert.Equal(KvErrorKind.Unavailable, error.Kind);
        Assert.Contains($"KvFault.{fault}", error.Message, StringComparison.Ordinal);
        Assert.Equal(2, await kv.Store.GetAsync<int>(["a"], _token));
        kv.AssertNotEnqueued<Mail>();
        await WriteAsync(kv);
        Assert.Equal(3, await kv.Store.GetAsync<int>(["a"], _token));
        kv.AssertEnqueued<Mail>();
        Assert.Equal(1, kv.Faults.CountFailed(fault));
        Assert.Equal(4, kv.Faults.Count(fault));
    }

    [Fact]
    public async Task A_commit_whose_answer_is_lost_is_of_unknown_outcome_and_can_be_resolved()
    {
        await using var kv = await database.StartAsync(static _ => { });
        await kv.Store.SetAsync(["a"], 1, cancellationToken: _token);
        kv.Faults.FailNext(KvFault.AfterCommit);

        var unknown = await Assert.ThrowsAsync<KvCommitUnknownException>(() => WriteAsync(kv));

        Assert.NotNull(await kv.Store.ResolveAsync(unknown.OperationId, _token));
        Assert.Equal(3, await kv.Store.GetAsync<int>(["a"], _token));
        kv.AssertEnqueued<Mail>();
        await WriteAsync(kv);
    }

    [Theory]
    [InlineData(KvFault.CutCommit)]
    [InlineData(KvFault.CutAnswer)]
    public async Task A_connection_that_breaks_is_noticed_by_no_caller(KvFault fault)
    {
        await using var kv = await database.StartAsync(static _ => { });
        await kv.Store.SumAsync(["sum"], 1, cancellationToken: _token);
        kv.Faults.FailNext(fault);

        Assert.Equal(3ul, await kv.Store.SumAsync(["sum"], 2, cancellationToken: _token));

        Assert.Equal(1, kv.Faults.CountFailed(fault));
        Assert.Equal(3ul, await kv.Store.GetAsync<ulong>(["sum"], _token));
        Assert.Equal(fault == KvFault.CutCommit ? 3 : 2, kv.Faults.Count(fault));
    }

    [Fact]
    public async Task A_store_that_refuses_always_does_so_until_the_test_clears_it()
    {
        await using var kv = await database.StartAsync(static _ => { });
        kv.Faults.FailAlways(KvFault.BeforeCommit);
        for (var i = 0; i < 3; i++)
        {
            await Assert.ThrowsAsync<KvException>(() => WriteAsync(kv));
        }

        kv.Faults.Clear();
        await WriteAsync(kv);
        Assert.Equal((3, 4), (kv.Faults.CountFailed(KvFault.BeforeCommit), kv.Faults.Count(KvFault.BeforeCommit)));
    }

    [Fact]
    public async Task The_first_openings_fail_and_then_the_store_opens()
    {
        await using var kv = await database.StartAsync(static _ => { }, static options => options.Faults.FailNext(KvFault.Open, 2));

        for (var i = 0; i < 2; i++)
        {
            var error = await Assert.ThrowsAsync<KvException>(() => kv.Store.GetAsync(["a"], _token).AsTask());
            Assert.Equal(KvErrorKind.Unavailable, error.Kind);
        }

        Assert.Null(await kv.Store.GetAsync(["a"], _token));
        Assert.Equal(2, kv.Faults.CountFailed(KvFault.Open));
    }

    [Fact]
    public async Task A_listing_fails_after_as_many_rows_as_asked()
    {
        await using var kv = await database.StartAsync(static _ => { });
        await kv.Store.Atomic().Set(["a", 1], 1).Set(["a", 2], 2).Set(["a", 3], 3).CommitAsync(_token);
        kv.Faults.FailListing(2);

        List<int> seen = [];
        var error = await Assert.ThrowsAsync<KvException>(async () =>
        {
            await foreach (var entry in kv.Store.ListAsync(KvRange.Prefix(["a"]), cancellationToken: _token))
            {
                seen.Add(entry.As<int>());
            }
        });

        Assert.Equal(KvErrorKind.Unavailable, error.Kind);
        Assert.Equal([1, 2], seen);
        Assert.Equal(3, await kv.Store.ListAsync(KvRange.Prefix(["a"]), cancellationToken: _token).CountAsync(_token));
        Assert.Equal(2, kv.Faults.Count(KvFault.Listing));
    }

    [Fact]
    public async Task A_claim_that_is_lost_leaves_its_message_until_the_lease_lapses()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<Mail>(static (_, _, _) => Task.CompletedTask));
        await kv.Store.EnqueueAsync(new Mail("ada"), cancellationToken: _token);
        kv.Faults.FailNext(KvFault.Claim);

        Assert.Empty((await kv.DrainAsync(_token)).Deliveries);
        Assert.Empty((await kv.AdvanceAsync(Lease - TimeSpan.FromSeconds(2), _token)).Deliveries);
        var ran = (await kv.AdvanceAsync(Lease, _token)).Single<Mail>();

        Assert.Equal((KvOutcome.Completed, 1), (ran.Outcome, ran.Attempt));
        Assert.Equal(1, kv.Faults.CountFailed(KvFault.Claim));
        Assert.True(kv.Faults.Count(KvFault.Claim) > 1);
    }

    [Fact]
    public async Task An_acknowledgement_that_is_lost_has_the_message_come_again()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<Mail>(static (_, _, _) => Task.CompletedTask));
        await kv.Store.EnqueueAsync(new Mail("ada"), cancellationToken: _token);
        kv.Faults.FailNext(KvFault.Acknowledge);

        Assert.Equal(KvOutcome.Unfinished, (await kv.DrainAsync(_token)).Single<Mail>().Outcome);
        Assert.Equal(KvOutcome.Completed, (await kv.AdvanceAsync(2 * Lease, _token)).Single<Mail>().Outcome);
        Assert.Equal((1, 2), (kv.Faults.CountFailed(KvFault.Acknowledge), kv.Faults.Count(KvFault.Acknowledge)));
    }

    [Fact]
    public async Task Heartbeats_that_are_lost_lose_the_lease_of_what_waits()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<Mail>(
            static (Mail _, TimeProvider time, CancellationToken token) => Task.Delay(2 * Lease, time, token)));
        await kv.Store.EnqueueAsync(new Mail("ada"), cancellationToken: _token);
        await kv.DrainAsync(_token);
        kv.Faults.FailAlways(KvFault.Heartbeat);

        Assert.Contains((await kv.AdvanceAsync(1.9 * Lease, _token)).Of<Mail>(), static ran => ran.Outcome != KvOutcome.Running);

        kv.Faults.Clear(KvFault.Heartbeat);
        Assert.Contains((await kv.AdvanceAsync(3 * Lease, _token)).Of<Mail>(), static ran => ran.Outcome == KvOutcome.Completed);
        Assert.True(kv.Faults.CountFailed(KvFault.Heartbeat) >= 3);
    }

    [Fact]
    public async Task A_slow_commit_takes_the_clock_of_the_test()
    {
        await using var kv = await database.StartAsync(static _ => { });
        var start = kv.Now;
        kv.Faults.Slow(KvFault.HalfCommit, TimeSpan.FromSeconds(3));

        await WriteAsync(kv);
        Assert.Equal(start.AddSeconds(3), kv.Now);
        kv.Faults.Clear(KvFault.HalfCommit);
        await WriteAsync(kv);
        Assert.Equal(start.AddSeconds(3), kv.Now);
    }

    [Fact]
    public async Task A_handler_whose_commit_is_of_unknown_outcome_is_not_run_again_if_it_happened()
    {
        await using var kv = await database.StartAsync(static app => app.Handle<OrderPlaced>(static (order, context, token) =>
            context.CompleteAsync(write => write.Sum(["orders"], 1), token).AsTask()));
        await kv.Store.EnqueueAsync(new OrderPlaced(1), cancellationToken: _token);
        kv.Faults.FailNext(KvFault.AfterCommit);

        await kv.DrainAsync(_token);
        await kv.AdvanceAsync(3 * Lease, _token);

        Assert.Equal(1, kv.Faults.CountFailed(KvFault.AfterCommit));
        Assert.Equal(1ul, await kv.Store.GetAsync<ulong>(["orders"], _token));
    }

    [Fact]
    public async Task A_kind_that_is_none_and_numbers_below_one_are_refused()
    {
        await using var kv = await database.StartAsync(static _ => { });

        var unknown = Assert.Throws<ArgumentOutOfRangeException>(() => kv.Faults.FailNext((KvFault)99));
        Assert.Contains("KvFault", unknown.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => kv.Faults.FailNext(KvFault.Claim, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => kv.Faults.FailEvery(0, KvFault.Claim));
        Assert.Throws<ArgumentOutOfRangeException>(() => kv.Faults.FailListing(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => kv.Faults.Slow(KvFault.Claim, TimeSpan.FromSeconds(-1)));
    }

    private Task<KvCommitResult> WriteAsync(KvTestHost kv) =>
        kv.Store.Atomic().Set(["a"], 3).Enqueue(new Mail("ada")).CommitAsync(_token).AsTask();
}

public sealed class SqliteFaultTests(SqliteDatabase database) : FaultSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresFaultTests(PostgresDatabase database) : FaultSpec(database), IClassFixture<PostgresDatabase>;
