using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>The write that a callback of <c>CompleteAsync</c> gets is lent to it.</summary>
public abstract class LentWriteSpec(KvDatabase database)
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_completion_beside_another_one_is_refused(bool joins)
    {
        List<string> refusals = [];
        await using var kv = await HandlingAsync(async (context, token) =>
        {
            await using var own = context.Services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();
            await context.CompleteAsync(
                write =>
                {
                    Func<Task> second = joins
                        ? () => context.CompleteAsync(own, cancellationToken: token).AsTask()
                        : () => context.CompleteAsync(static w => w.Sum(["eff"], 1), token).AsTask();
                    refusals.Add(Assert.ThrowsAsync<InvalidOperationException>(second).GetAwaiter().GetResult().Message);
                    write.Sum(["eff"], 1);
                },
                token);
        });
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        Assert.Contains("in flight", Assert.Single(refusals), StringComparison.Ordinal);
        Assert.Equal(1UL, await kv.Store.GetAsync<ulong>(["eff"]));
        kv.AssertQueueEmpty();
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task A_write_that_CompleteAsync_lends_cannot_be_committed_and_is_over_with_its_callback(
        bool joins, bool commitsIntoContext)
    {
        List<string> refusals = [];
        KvAtomic? kept = null;
        await using var kv = await HandlingAsync(async (context, token) =>
        {
            await using var own = context.Services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();
            if (joins)
            {
                await own.Database.BeginTransactionAsync(token);
            }

            Action<KvAtomic> build = write =>
            {
                kept = write.Sum(["eff"], 1).Enqueue(new Job(2), new() { Topic = "next" });
                Refuse(commitsIntoContext ? () => write.CommitAsync(own, token).AsTask() : () => write.CommitAsync(token).AsTask());
            };
            await (joins ? context.CompleteAsync(own, build, token) : context.CompleteAsync(build, token));
            if (joins)
            {
                await own.Database.CurrentTransaction!.CommitAsync(token);
            }

            Refuse(() => kept!.CommitAsync(token).AsTask());
            Refuse(() => Task.FromResult(kept!.Set(["late"], 1)));
        });
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        Assert.StartsWith("This write was lent by CompleteAsync, which commits it itself;", refusals[0], StringComparison.Ordinal);
        Assert.All(
            refusals.Skip(1),
            static text => Assert.Contains("it belongs to a CompleteAsync that has ended", text, StringComparison.Ordinal));
        Assert.Equal(3, refusals.Count);
        Assert.Equal(1UL, await kv.Store.GetAsync<ulong>(["eff"]));
        Assert.Equal("next", kv.AssertEnqueued<Job>().Topic);

        void Refuse(Func<Task> act) => refusals.Add(Assert.ThrowsAsync<InvalidOperationException>(act).GetAwaiter().GetResult().Message);
    }

    [Fact]
    public async Task A_callback_that_is_asynchronous_is_refused_and_what_it_does_later_changes_nothing()
    {
#pragma warning disable MA0147, MA0155 // An asynchronous callback without anything to wait for is what is refused here.
        InvalidOperationException? refusal = null;
        var (go, gone) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var kv = await HandlingAsync(async (context, token) =>
        {
            refusal = await Assert.ThrowsAsync<InvalidOperationException>(() => context.CompleteAsync(AddLater, token).AsTask());
            go.SetResult();
            await gone.Task;
        });
        await kv.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.FromMinutes(1)] });

        await kv.DrainAsync();

        Assert.StartsWith(
            "The callback of CompleteAsync is asynchronous, and nothing waits for it", refusal!.Message, StringComparison.Ordinal);
        Assert.Null(await kv.Store.GetAsync(["eff"]));
        Assert.Equal(1, kv.AssertEnqueued<Job>().FailedAttempts);

        async void AddLater(KvAtomic write)
        {
            write.Sum(["eff"], 1);
            await go.Task;
            gone.SetResult();
            write.Sum(["eff"], 1);
        }
#pragma warning restore MA0147, MA0155
    }

    private Task<KvTestHost> HandlingAsync(Func<KvMessageContext, CancellationToken, Task> handle) =>
        database.StartAsync(app => app.Handle<Job>((_, context, token) => handle(context, token)));
}

public sealed class SqliteLentWriteTests(SqliteDatabase database) : LentWriteSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresLentWriteTests(PostgresDatabase database) : LentWriteSpec(database), IClassFixture<PostgresDatabase>;
