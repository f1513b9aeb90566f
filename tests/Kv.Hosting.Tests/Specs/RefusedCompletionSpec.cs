using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>A completion that did not happen is a failed attempt, unless the handler says otherwise.</summary>
public abstract class RefusedCompletionSpec(KvDatabase database)
{
    private static readonly KvEnqueueOptions Twice = new() { BackoffSchedule = [TimeSpan.FromMinutes(1)] };

    private readonly LogCollector _logs = new();

    public static TheoryData<string> Refusals => ["checks", "range", "type", "limit", "value", "callback", "cancelled"];

    [Fact]
    public async Task A_handler_that_ignores_failed_checks_has_failed_its_attempt_and_the_error_names_them()
    {
        await using var kv = await HandlingAsync(static async (context, token) =>
            await context.CompleteAsync(
                static write => write
                    .Check(["nope"], KvVersionstamp.Parse("00000000000000050000")).Check(["there"], null).Sum(["eff"], 1),
                token));
        var there = await kv.Store.SetAsync(["there"], 1);
        await kv.Store.EnqueueAsync(new Job(1), Twice);

        await kv.DrainAsync();

        var waiting = kv.AssertEnqueued<Job>(due: kv.Now.AddMinutes(1));
        Assert.Equal(1, waiting.FailedAttempts);
        Assert.Equal(0UL, await kv.Store.GetAsync<ulong>(["eff"]));
        var error = (await kv.Queue.GetAsync(waiting.Id))!.LastError!;
        Assert.StartsWith(
            "CompleteAsync was refused, and the handler ended without completing the message: "
            + $"check 0 of [\"nope\"] found no entry; check 1 of [\"there\"] found versionstamp {there}.",
            error.Message,
            StringComparison.Ordinal);
        Assert.Contains(_logs.Entries, static e => e.Event == 104);

        await kv.AdvanceAsync(TimeSpan.FromMinutes(1));

        Assert.StartsWith("CompleteAsync was refused", kv.AssertDeadLetter<Job>().Reason, StringComparison.Ordinal);
        kv.AssertQueueEmpty();
    }

    [Theory]
    [MemberData(nameof(Refusals))]
    public Task A_completion_that_failed_and_was_swallowed_is_a_failed_attempt(string refusal) =>
        FailsAsync(refusal, joins: false, inMiddleware: false);

    [Theory]
    [MemberData(nameof(Refusals))]
    public Task A_completion_in_a_transaction_that_failed_and_was_swallowed_is_a_failed_attempt(string refusal) =>
        FailsAsync(refusal, joins: true, inMiddleware: false);

    [Theory]
    [InlineData("checks")]
    [InlineData("range")]
    public Task A_completion_of_middleware_that_failed_and_was_swallowed_is_a_failed_attempt(string refusal) =>
        FailsAsync(refusal, joins: false, inMiddleware: true);

    [Fact]
    public async Task A_handler_that_completes_after_a_refusal_has_completed()
    {
        await using var kv = await HandlingAsync(static async (context, token) =>
        {
            await RefusedAsync("checks", context, null, token);
            await RefusedAsync("range", context, null, token);
            Assert.True((await context.CompleteAsync(static write => write.Sum(["eff"], 1), token)).Succeeded);
        });
        await PrepareAsync(kv);
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        Assert.Equal(1UL, await kv.Store.GetAsync<ulong>(["eff"]));
        kv.AssertQueueEmpty();
        Assert.DoesNotContain(_logs.Entries, static e => e.Event is 104 or 105);
    }

    [Theory]
    [InlineData("snooze")]
    [InlineData("retry in")]
    [InlineData("retry at")]
    [InlineData("dead letter")]
    public async Task What_the_handler_says_after_a_refusal_counts(string decision)
    {
        await using var kv = await HandlingAsync(async (context, token) =>
        {
            await RefusedAsync("checks", context, null, token);
            Decide(decision, context);
        });
        await PrepareAsync(kv);
        await kv.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await kv.DrainAsync();

        await AssertDecidedAsync(kv, decision);
        if (decision.StartsWith("retry", StringComparison.Ordinal))
        {
            Assert.Contains("check 0 of [\"taken\"]", (await kv.WaitingAsync()).LastError!.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("snooze")]
    [InlineData("retry in")]
    [InlineData("retry at")]
    [InlineData("dead letter")]
    public async Task What_the_handler_says_counts_when_the_transaction_that_it_joined_is_rolled_back(string decision)
    {
        await using var kv = await HandlingAsync(async (context, token) =>
        {
            await using var own = context.Services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();
            await using var transaction = await own.Database.BeginTransactionAsync(token);
            Assert.True((await context.CompleteAsync(own, static write => write.Sum(["eff"], 1), token)).Succeeded);
            await transaction.RollbackAsync(token);
            Decide(decision, context);
        });
        await kv.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await kv.DrainAsync();

        await AssertDecidedAsync(kv, decision);
    }

    [Fact]
    public async Task A_completion_that_the_handler_does_not_wait_for_is_seen_through_before_the_attempt_is_judged()
    {
        await using var kv = await HandlingAsync(static (context, token) =>
        {
            _ = context.CompleteAsync(static write => write.Check(["taken"], null).Sum(["eff"], 1), token).AsTask();
            return Task.CompletedTask;
        });
        await PrepareAsync(kv);
        await kv.Store.EnqueueAsync(new Job(1), Twice);

        await kv.DrainAsync();

        Assert.Equal(1, kv.AssertEnqueued<Job>().FailedAttempts);
        await kv.Store.DeleteAsync(["taken"]);
        await kv.AdvanceAsync(TimeSpan.FromMinutes(1));
        Assert.Equal(1UL, await kv.Store.GetAsync<ulong>(["eff"]));
        Assert.DoesNotContain(_logs.Entries, static e => e.Event == 106);
        kv.AssertQueueEmpty();
    }

    private async Task FailsAsync(string refusal, bool joins, bool inMiddleware)
    {
        await using var kv = await database.StartAsync(
            worker =>
            {
                worker.Services.Configure<KvStoreOptions>(static options => options.MaxMutations = 5);
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
            logs: _logs);
        await PrepareAsync(kv);
        await kv.Store.EnqueueAsync(new Job(1), Twice);

        await kv.DrainAsync();

        Assert.Equal(1, kv.AssertEnqueued<Job>(due: kv.Now.AddMinutes(1)).FailedAttempts);
        Assert.NotNull((await kv.WaitingAsync()).LastError);
        Assert.Empty(await kv.Queue.ListRunningAsync());
        Assert.Null(await kv.Store.GetAsync(["eff"]));
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
            "limit" => static write => write
                .Sum(["eff"], 1).Sum(["eff"], 1).Sum(["eff"], 1).Sum(["eff"], 1).Sum(["eff"], 1).Sum(["eff"], 1),
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

    private static void Decide(string decision, KvMessageContext context)
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
                context.RetryAt(context.EnqueuedAt + TimeSpan.FromMinutes(5));
                break;
            default:
                context.DeadLetter("Enough.");
                break;
        }
    }

    private static async Task AssertDecidedAsync(KvTestHost kv, string decision)
    {
        Assert.Null(await kv.Store.GetAsync(["eff"]));
        Assert.Empty(await kv.Queue.ListRunningAsync());
        if (decision == "dead letter")
        {
            Assert.Equal("Enough.", kv.AssertDeadLetter<Job>().Reason);
            kv.AssertQueueEmpty();
            return;
        }

        Assert.Equal(decision == "snooze" ? 0 : 1, kv.AssertEnqueued<Job>(due: kv.Now.AddMinutes(5)).FailedAttempts);
    }

    private static Task<KvCommitResult> PrepareAsync(KvTestHost kv) =>
        kv.Store.Atomic().Set(["taken"], 1).Set(["text"], "t").Set(["low"], 0UL).CommitAsync().AsTask();

    private Task<KvTestHost> HandlingAsync(Func<KvMessageContext, CancellationToken, Task> handle) =>
        database.StartAsync(app => app.Handle<Job>((_, context, token) => handle(context, token)), logs: _logs);
}

public sealed class SqliteRefusedCompletionTests(SqliteDatabase database) : RefusedCompletionSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresRefusedCompletionTests(PostgresDatabase database)
    : RefusedCompletionSpec(database), IClassFixture<PostgresDatabase>;
