using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>A completion that did not happen is a failed attempt, unless the handler says otherwise.</summary>
public abstract class RefusedCompletionSpec(KvDatabase database)
{
    private static readonly KvEnqueueOptions Twice = new() { BackoffSchedule = [TimeSpan.FromMinutes(1)] };

    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();

    public static TheoryData<string> Refusals => ["checks", "range", "type", "limit", "value", "callback", "cancelled"];

    [Fact]
    public async Task A_handler_that_ignores_failed_checks_has_failed_its_attempt_and_the_error_names_them()
    {
        await using var test = await HandlingAsync(static async (context, token) =>
            await context.CompleteAsync(static write => write.Check(["nope"], KvVersionstamp.Parse("00000000000000050000")).Check(["there"], null).Sum(["eff"], 1), token));
        var there = await test.Store.SetAsync(["there"], 1);
        await test.Store.EnqueueAsync(new Job(1), Twice);

        await test.SettleAsync();

        var row = Assert.Single(await test.QueuedAsync());
        Assert.Equal((1, _time.Milliseconds() + 60_000), (row.Attempt, row.DueAt));
        Assert.Equal(0UL, await test.Store.GetAsync<ulong>(["eff"]));
        var error = (await test.Queue().GetAsync(row.Id))!.LastError!;
        Assert.StartsWith(
            $"CompleteAsync was refused, and the handler ended without completing the message: check 0 of [\"nope\"] found no entry; check 1 of [\"there\"] found versionstamp {there}.",
            error.Message, StringComparison.Ordinal);
        Assert.Contains(_logs.Entries, static e => e.Event == 104);

        _time.Advance(TimeSpan.FromMinutes(1));
        await test.SettleAsync();

        Assert.StartsWith("CompleteAsync was refused", Assert.Single(await test.DeadLettersAsync()).Reason, StringComparison.Ordinal);
        await test.AssertEmptyAsync();
    }

    [Theory]
    [MemberData(nameof(Refusals))]
    public Task A_completion_that_failed_and_was_swallowed_is_a_failed_attempt(string refusal) => FailsAsync(refusal, joins: false, inMiddleware: false);

    [Theory]
    [MemberData(nameof(Refusals))]
    public Task A_completion_in_a_transaction_that_failed_and_was_swallowed_is_a_failed_attempt(string refusal) => FailsAsync(refusal, joins: true, inMiddleware: false);

    [Theory]
    [InlineData("checks")]
    [InlineData("range")]
    public Task A_completion_of_middleware_that_failed_and_was_swallowed_is_a_failed_attempt(string refusal) => FailsAsync(refusal, joins: false, inMiddleware: true);

    [Fact]
    public async Task A_handler_that_completes_after_a_refusal_has_completed()
    {
        await using var test = await HandlingAsync(static async (context, token) =>
        {
            await RefusedAsync("checks", context, null, token);
            await RefusedAsync("range", context, null, token);
            Assert.True((await context.CompleteAsync(static write => write.Sum(["eff"], 1), token)).Succeeded);
        });
        await PrepareAsync(test);
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["eff"]));
        await test.AssertEmptyAsync();
        Assert.DoesNotContain(_logs.Entries, static e => e.Event is 104 or 105);
    }

    [Theory]
    [InlineData("snooze")]
    [InlineData("retry in")]
    [InlineData("retry at")]
    [InlineData("dead letter")]
    public async Task What_the_handler_says_after_a_refusal_counts(string decision)
    {
        await using var test = await HandlingAsync(async (context, token) =>
        {
            await RefusedAsync("checks", context, null, token);
            Decide(decision, context);
        });
        await PrepareAsync(test);
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await test.SettleAsync();

        await AssertDecidedAsync(test, decision);
        if (decision.StartsWith("retry", StringComparison.Ordinal))
        {
            var message = await test.Queue().GetAsync(Assert.Single(await test.QueuedAsync()).Id);
            Assert.Contains("check 0 of [\"taken\"]", message!.LastError!.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("snooze")]
    [InlineData("retry in")]
    [InlineData("retry at")]
    [InlineData("dead letter")]
    public async Task What_the_handler_says_counts_when_the_transaction_that_it_joined_is_rolled_back(string decision)
    {
        await using var test = await HandlingAsync(async (context, token) =>
        {
            await using var own = context.Services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();
            await using var transaction = await own.Database.BeginTransactionAsync(token);
            Assert.True((await context.CompleteAsync(own, static write => write.Sum(["eff"], 1), token)).Succeeded);
            await transaction.RollbackAsync(token);
            Decide(decision, context);
        });
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await test.SettleAsync();

        await AssertDecidedAsync(test, decision);
    }

    [Fact]
    public async Task A_completion_that_the_handler_does_not_wait_for_is_seen_through_before_the_attempt_is_judged()
    {
        await using var test = await HandlingAsync(static (context, token) =>
        {
            _ = context.CompleteAsync(static write => write.Check(["taken"], null).Sum(["eff"], 1), token).AsTask();
            return Task.CompletedTask;
        });
        await PrepareAsync(test);
        await test.Store.EnqueueAsync(new Job(1), Twice);

        await test.SettleAsync();

        Assert.Equal(1, Assert.Single(await test.QueuedAsync()).Attempt);
        await test.Store.DeleteAsync(["taken"]);
        _time.Advance(TimeSpan.FromMinutes(1));
        await test.SettleAsync();
        Assert.Equal(1UL, await test.Store.GetAsync<ulong>(["eff"]));
        Assert.DoesNotContain(_logs.Entries, static e => e.Event == 106);
        await test.AssertEmptyAsync();
    }

    private async Task FailsAsync(string refusal, bool joins, bool inMiddleware)
    {
        await using var test = await database.CreateWorkerAsync(
            worker =>
            {
                worker.Handle<Job>((_, context, token) => inMiddleware ? Task.CompletedTask : TryAsync(context, token));
                if (inMiddleware)
                {
                    worker.Use(async (context, next, token) =>
                    {
                        await next(context, token);
                        await TryAsync(context, token);
                    });
                }
            },
            _time,
            logs: _logs,
            storeOptions: static options => options.MaxMutations = 5);
        await PrepareAsync(test);
        await test.Store.EnqueueAsync(new Job(1), Twice);

        await test.SettleAsync();

        var row = Assert.Single(await test.QueuedAsync());
        Assert.Equal((1, _time.Milliseconds() + 60_000), (row.Attempt, row.DueAt));
        Assert.NotNull(row.LastError);
        Assert.Empty(await test.RunningAsync());
        Assert.Null(await test.Store.GetAsync(["eff"]));
        Assert.DoesNotContain(_logs.Entries, static e => e.Event == 106);

        async Task TryAsync(KvMessageContext context, CancellationToken token)
        {
            await using var own = await OwnAsync(context, joins, token);
            await RefusedAsync(refusal, context, own, token);
        }
    }

    /// <summary>A try to complete that does not, and whose answer is ignored.</summary>
    private static async Task RefusedAsync(string refusal, KvMessageContext context, DbContext? own, CancellationToken token)
    {
        using var cancelled = new CancellationTokenSource();
        if (refusal == "cancelled")
        {
            await cancelled.CancelAsync();
            token = cancelled.Token;
        }

        Action<KvAtomic> build = refusal switch
        {
            "checks" => static write => write.Check(["taken"], null).Sum(["eff"], 1),
            "range" => static write => write.Sum(["eff"], 1).SumWithin(["low"], -1),
            "type" => static write => write.Sum(["eff"], 1).Sum(["text"], 1),
            "limit" => static write => write.Sum(["eff"], 1).Sum(["eff"], 1).Sum(["eff"], 1).Sum(["eff"], 1).Sum(["eff"], 1).Sum(["eff"], 1),
            "value" => static write => write.Sum(["eff"], 1).Set(["large"], new byte[(1 << 20) + 1]),
            "callback" => static write =>
            {
                write.Sum(["eff"], 1);
                throw new FormatException("No.");
            }
            ,
            _ => static write => write.Sum(["eff"], 1),
        };
        try
        {
            Assert.False((await (own is null ? context.CompleteAsync(build, token) : context.CompleteAsync(own, build, token))).Succeeded);
        }
        catch (Exception error) when (error is KvException or ArgumentException or FormatException or OperationCanceledException)
        {
            // As a handler does that logs and goes on.
        }
    }

    private static async Task<DbContext?> OwnAsync(KvMessageContext context, bool wanted, CancellationToken token)
    {
        if (!wanted)
        {
            return null;
        }

        var own = context.Services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();
        await own.Database.BeginTransactionAsync(token);
        return own;
    }

    private void Decide(string decision, KvMessageContext context)
    {
        switch (decision)
        {
            case "snooze":
                context.Snooze(TimeSpan.FromMinutes(5));
                break;
            case "retry in":
                context.RetryIn(TimeSpan.FromMinutes(5));
                break;
            case "retry at":
                context.RetryAt(_time.GetUtcNow() + TimeSpan.FromMinutes(5));
                break;
            default:
                context.DeadLetter("Enough.");
                break;
        }
    }

    private async Task AssertDecidedAsync(KvTestStore test, string decision)
    {
        Assert.Null(await test.Store.GetAsync(["eff"]));
        Assert.Empty(await test.RunningAsync());
        if (decision == "dead letter")
        {
            Assert.Equal("Enough.", Assert.Single(await test.DeadLettersAsync()).Reason);
            Assert.Empty(await test.QueuedAsync());
            return;
        }

        var row = Assert.Single(await test.QueuedAsync());
        Assert.Equal((decision == "snooze" ? 0 : 1, _time.Milliseconds() + 300_000), (row.Attempt, row.DueAt));
    }

    private static Task<KvCommitResult> PrepareAsync(KvTestStore test) => test.Store.Atomic().Set(["taken"], 1).Set(["text"], "t").Set(["low"], 0UL).CommitAsync().AsTask();

    private Task<KvTestStore> HandlingAsync(Func<KvMessageContext, CancellationToken, Task> handle) =>
        database.CreateWorkerAsync(worker => worker.Handle<Job>((_, context, token) => handle(context, token)), _time, logs: _logs);
}

public sealed class SqliteRefusedCompletionTests(SqliteDatabase database) : RefusedCompletionSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresRefusedCompletionTests(PostgresDatabase database) : RefusedCompletionSpec(database), IClassFixture<PostgresDatabase>;
