using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>A handler completes its message in a transaction of its own.</summary>
public abstract class JoinedCompletionSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_acknowledgement_joins_a_transaction_of_the_handlers_own(bool committed)
    {
        await using var kv = await JoiningAsync(async (context, own, transaction) =>
        {
            await own.Database.ExecuteSqlRawAsync("insert into orders (number) values (1)");
            var result = await context.CompleteAsync(
                own, static write => write.Set(["done"], true).Enqueue("next", new() { Topic = "next" }));
            Assert.True(result.Succeeded);
            if (committed)
            {
                await transaction.CommitAsync();
            }
        });
        await kv.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.FromMinutes(1)] });

        await kv.DrainAsync();

        await using var context = kv.CreateContext();
        Assert.Equal(
            committed ? 1 : 0,
            await context.Database.SqlQueryRaw<int>("select cast(count(*) as integer) as \"Value\" from orders").SingleAsync());
        Assert.Equal(committed, await kv.Store.GetAsync<bool>(["done"]));
        Assert.Empty(await kv.Queue.ListRunningAsync());
        var row = await context.QueuedMessages.SingleAsync();
        Assert.Equal(committed ? ("next", 0) : ("job", 1), (row.Topic, row.Attempt));
        Assert.Equal(committed, row.LastError is null);
        Assert.True(committed || row.LastError!.Contains("was not committed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_transaction_that_lost_the_lease_is_refused()
    {
        KvException? error = null;
        await using var kv = await JoiningAsync(async (context, own, _) =>
        {
            await own.Database.ExecuteSqlRawAsync("update queue_running set owner = 'another'");
            error = await Assert.ThrowsAsync<KvException>(
                () => context.CompleteAsync(own, static write => write.Set(["done"], true)).AsTask());
        });
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        Assert.Equal(KvErrorKind.LeaseLost, error!.Kind);
        Assert.Null(await kv.Store.GetAsync(["done"]));
    }

    [Fact]
    public async Task Checks_that_refuse_leave_the_message_to_the_handler_and_its_transaction_usable()
    {
        await using var kv = await JoiningAsync(async (context, own, transaction) =>
        {
            Assert.False((await context.CompleteAsync(own, static write => write.Check(["taken"], null))).Succeeded);
            Assert.True((await context.CompleteAsync(own, static write => write.Set(["done"], true))).Succeeded);
            await Assert.ThrowsAsync<InvalidOperationException>(() => context.CompleteAsync(own).AsTask());
            await transaction.CommitAsync();
        });
        await kv.Store.SetAsync(["taken"], 1);
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        Assert.True(await kv.Store.GetAsync<bool>(["done"]));
        kv.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_context_without_a_transaction_is_refused_and_the_message_is_not_completed()
    {
        await using var kv = await HandlingAsync(async context =>
        {
            await using var own = context.Services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();
            await context.CompleteAsync(own);
        });
        await kv.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await kv.DrainAsync();

        Assert.Contains("BeginTransactionAsync", kv.AssertDeadLetter<Job>().LastError!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_next_of_a_group_goes_on_when_a_handlers_own_transaction_is_committed()
    {
        var order = 0;
        List<(int Number, int Order)> seen = [];
        await using var kv = await JoiningAsync(async (context, own, transaction) =>
        {
            seen.Add((System.Text.Json.JsonSerializer.Deserialize<Job>(context.Payload.Bytes.Span)!.Number, order++));
            await context.CompleteAsync(own);
            await transaction.CommitAsync();
        });
        for (var i = 0; i < 3; i++)
        {
            await kv.Store.EnqueueAsync(new Job(i), new() { GroupKey = "g" });
        }

        await kv.DrainAsync();

        Assert.Equal([(0, 0), (1, 1), (2, 2)], seen);
        kv.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_handler_that_throws_after_committing_its_own_transaction_is_not_run_again()
    {
        await using var kv = await JoiningAsync(static async (context, own, transaction) =>
        {
            await context.CompleteAsync(own, static write => write.Sum(["count"], 1));
            await transaction.CommitAsync();
            throw new InvalidOperationException("Too late.");
        });
        await kv.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.Zero] });

        await kv.DrainAsync();

        Assert.Equal(1UL, await kv.Store.GetAsync<ulong>(["count"]));
        Assert.Contains(_logs.Entries, static e => e.Event == 125);
        kv.AssertQueueEmpty();
    }

    protected async Task Others_are_extended_while_a_transaction_is_open()
    {
        var (gate, other) = (new Gate(), new Gate());
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (job, context, token) =>
            {
                if (job.Number == 2)
                {
                    await other.PassAsync(context, token);
                    return;
                }

                await using var own = context.Services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();
                await using var transaction = await own.Database.BeginTransactionAsync(token);
                await context.CompleteAsync(own, cancellationToken: token);
                await gate.PassStubbornlyAsync(context, token);
                await transaction.CommitAsync(token);
            }),
            _time);
        await test.Store.EnqueueAsync(new Job(1));
        await test.Store.EnqueueAsync(new Job(2));
        await test.ClaimAsync();
        await gate.Begun;
        await other.Begun;

        _time.Advance(TimeSpan.FromSeconds(29));
        Assert.True(await Task.Run(test.Worker().Heartbeat.Beat).WaitAsync(TimeSpan.FromSeconds(10)));

        Assert.False(gate.Token.IsCancellationRequested);
        Assert.False(other.Token.IsCancellationRequested);
        Assert.Contains(_time.Milliseconds() + 28_500, (await test.RunningAsync()).Select(static m => m.Deadline));
        gate.Open();
        other.Open();
        await test.IdleAsync();
        test.AssertQueueEmpty();
    }

    private async Task<KvTestHost> JoiningAsync(Func<KvMessageContext, DbContext, IDbContextTransaction, Task> handle)
    {
        var kv = await HandlingAsync(async context =>
        {
            await using var own = context.Services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();
            await using var transaction = await own.Database.BeginTransactionAsync();
            await handle(context, own, transaction);
        });
        await kv.ExecuteAsync("create table orders (number integer)");
        return kv;
    }

    private Task<KvTestHost> HandlingAsync(Func<KvMessageContext, Task> handle) =>
        database.StartAsync(app => app.Handle<Job>((_, context, _) => handle(context)), logs: _logs);
}

public sealed class SqliteJoinedCompletionTests(SqliteDatabase database) : JoinedCompletionSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresJoinedCompletionTests(PostgresDatabase database)
    : JoinedCompletionSpec(database), IClassFixture<PostgresDatabase>
{
    // On SQLite an open transaction that has written keeps every other writer out, whatever it has written.
    [Fact]
    public Task A_handlers_open_transaction_keeps_no_lease_from_being_extended() => Others_are_extended_while_a_transaction_is_open();
}
