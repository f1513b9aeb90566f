using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>A message's context is good until its handler ends, or until the message is completed, and says so afterwards.</summary>
public abstract class HandlerEndSpec(KvDatabase database)
{
    public static TheoryData<string> Members =>
        ["complete", "join", "snooze", "retry in", "retry at", "dead letter", "progress", "checkpoint"];

    [Theory]
    [MemberData(nameof(Members))]
    public async Task After_the_handlers_end_its_context_says_that_it_has_ended(string member)
    {
        KvMessageContext? kept = null;
        await using var kv = await HandlingAsync(context =>
        {
            kept = context;
            throw new FormatException("Again.");
        });
        await kv.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.FromMinutes(1)] });
        await kv.DrainAsync();
        await using var own = kv.CreateContext();
        await own.Database.BeginTransactionAsync();

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => ActAsync(member, kept!, own));

        Assert.StartsWith(
            $"The handler of the message {kept!.Id} has ended, and its context with it", error.Message, StringComparison.Ordinal);
        await own.Database.RollbackTransactionAsync();
        Assert.Equal(1, kv.AssertEnqueued<Job>().FailedAttempts);
        Assert.Null(await kv.Store.GetAsync(["late"]));
    }

    [Theory]
    [MemberData(nameof(Members))]
    public async Task After_the_message_is_completed_its_context_says_that_it_is(string member)
    {
        InvalidOperationException? error = null;
        await using var kv = await HandlingAsync(async context =>
        {
            await context.CompleteAsync(static write => write.Sum(["done"], 1));
            await using var own = context.Services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();
            await own.Database.BeginTransactionAsync();
            error = await Assert.ThrowsAsync<InvalidOperationException>(() => ActAsync(member, context, own));
        });
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        Assert.Contains("is completed already", error!.Message, StringComparison.Ordinal);
        Assert.Equal(1UL, await kv.Store.GetAsync<ulong>(["done"]));
        Assert.Null(await kv.Store.GetAsync(["late"]));
        kv.AssertQueueEmpty();
    }

    [Theory]
    [InlineData("complete")]
    [InlineData("progress")]
    [InlineData("checkpoint")]
    public async Task While_the_handler_runs_a_lost_lease_is_told_as_such(string member)
    {
        KvException? error = null;
        await using var kv = await HandlingAsync(async context =>
        {
            await using var own = context.Services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();
            await own.Database.ExecuteSqlRawAsync("update queue_running set owner = 'another', claim = claim + 1");
            error = await Assert.ThrowsAsync<KvException>(() => ActAsync(member, context, own));
        });
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        Assert.Equal(KvErrorKind.LeaseLost, error!.Kind);
        Assert.Contains("its lease ran out", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("class")]
    [InlineData("delegate")]
    [InlineData("topic")]
    [InlineData("middleware")]
    public async Task A_handler_that_returns_no_task_fails_its_attempt_by_name(string kind)
    {
        await using var kv = await database.StartAsync(app => _ = kind switch
        {
            "class" => app.Handle<Job, NoTask>(),
            "delegate" => app.Handle<Job>(static (_, _, _) => NoTask.Given),
            "topic" => app.HandleTopic("job", static (_, _) => NoTask.Given),
            _ => app.Handle<Job>(static (_, _, _) => Task.CompletedTask).Use(static (_, _, _) => NoTask.Given),
        });
        await kv.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await kv.DrainAsync();

        var error = kv.AssertDeadLetter<Job>().LastError!;
        Assert.Equal(typeof(InvalidOperationException).FullName, error.Type);
        Assert.StartsWith(
            $"A {(kind == "middleware" ? kind : "handler")} of messages named 'job' on the topic 'job' returned null instead of a Task.",
            error.Message,
            StringComparison.Ordinal);
    }

    private static Task ActAsync(string member, KvMessageContext context, DbContext own)
    {
        switch (member)
        {
            case "complete":
                return context.CompleteAsync(static write => write.Set(["late"], 1)).AsTask();
            case "join":
                return context.CompleteAsync(own, static write => write.Set(["late"], 1)).AsTask();
            case "progress":
                return context.ReportProgressAsync(0.5, "half").AsTask();
            case "checkpoint":
                return context.SaveCheckpointAsync(1).AsTask();
            case "snooze":
                context.Snooze(TimeSpan.FromMinutes(5));
                break;
            case "retry in":
                context.RetryIn(TimeSpan.FromMinutes(5));
                break;
            case "retry at":
                context.RetryAt(context.EnqueuedAt);
                break;
            default:
                context.DeadLetter("Late.");
                break;
        }

        return Task.CompletedTask;
    }

    private Task<KvTestHost> HandlingAsync(Func<KvMessageContext, Task> handle) =>
        database.StartAsync(app => app.Handle<Job>((_, context, _) => handle(context)));

    private sealed class NoTask : IKvMessageHandler<Job>
    {
        public static Task Given { get; } = null!;

        public Task HandleAsync(Job message, KvMessageContext context, CancellationToken cancellationToken) => Given;
    }
}

public sealed class SqliteHandlerEndTests(SqliteDatabase database) : HandlerEndSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresHandlerEndTests(PostgresDatabase database) : HandlerEndSpec(database), IClassFixture<PostgresDatabase>;
