using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>Messages that are due at a time, however far ahead.</summary>
public abstract class DueAtSpec(KvDatabase database)
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static TheoryData<string> Kinds => ["plain", "group", "concurrency", "unique", "rate", "many", "joined"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_message_is_handled_at_the_time_that_it_was_given_and_not_before(string kind)
    {
        await using var kv = await database.StartAsync(Handle);
        var due = Start.AddDays(400).AddMilliseconds(7);
        var id = await EnqueueAsync(kv.Services, kind, due);

        Assert.Equal(id, kv.AssertEnqueued<Tick>(due: due).Id);
        Assert.Empty((await kv.AdvanceAsync(due.AddMilliseconds(-1) - kv.Now)).Deliveries);
        var run = (await kv.AdvanceAsync(due - kv.Now)).Single<Tick>();

        Assert.Equal((KvOutcome.Completed, due, due), (run.Outcome, run.Message.At, run.At));
        kv.AssertQueueEmpty();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task The_clock_of_the_database_decides_and_the_time_stays_as_it_was_given(string kind)
    {
        await using var test = await database.CreateWorkerAsync(Handle);
        var due = DateTimeOffset.FromUnixTimeMilliseconds(TimeProvider.System.GetUtcNow().AddYears(3).ToUnixTimeMilliseconds());

        var id = await EnqueueAsync(test.Services, kind, due);

        Assert.Equal(due, (await test.Queue().GetAsync(id))!.DueAt);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_time_that_is_past_is_now(string kind)
    {
        foreach (var past in (DateTimeOffset[])[Start.AddDays(-3), DateTimeOffset.UnixEpoch.AddDays(3), DateTimeOffset.MinValue])
        {
            await using var kv = await database.StartAsync(Handle);
            var id = await EnqueueAsync(kv.Services, kind, past);

            Assert.Equal(id, kv.AssertEnqueued<Tick>(due: kv.Now).Id);
            Assert.Equal(KvOutcome.Completed, (await kv.DrainAsync()).Single<Tick>().Outcome);
        }
    }

    [Fact]
    public async Task A_part_of_a_millisecond_is_rounded_up()
    {
        await using var kv = await database.StartAsync(Handle);

        await kv.Store.EnqueueAsync(new Tick(default), new() { DueAt = Start.AddDays(40).AddTicks(1) });

        kv.AssertEnqueued<Tick>(due: Start.AddDays(40).AddMilliseconds(1));
    }

    [Fact]
    public async Task A_time_and_a_delay_together_are_refused()
    {
        await using var kv = await database.StartAsync(Handle);

        var error = await Assert.ThrowsAsync<ArgumentException>(
            () => kv.Store.EnqueueAsync(new Tick(default), new() { DueAt = Start, Delay = TimeSpan.FromSeconds(1) }).AsTask());

        Assert.Contains("leave one of them out", error.Message, StringComparison.Ordinal);
        kv.AssertQueueEmpty();
    }

    private static void Handle(KvWorkerBuilder app) => app.Handle<Tick>(static (_, _, _) => Task.CompletedTask);

    private static async Task<string> EnqueueAsync(IServiceProvider services, string kind, DateTimeOffset due)
    {
        var store = services.GetRequiredService<IKvStore>();
        var options = new KvEnqueueOptions { DueAt = due };
        options = kind switch
        {
            "group" => options with { GroupKey = "g" },
            "concurrency" => options with { ConcurrencyKey = "c", ConcurrencyLimit = 2 },
            "unique" => options with { UniqueKey = "u" },
            "rate" => options with { RateKey = "r" },
            _ => options,
        };
        switch (kind)
        {
            case "many":
                return Assert.Single(await store.EnqueueManyAsync([new Tick(due)], options));
            case "joined":
                await using (var context = services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext())
                {
                    await using var transaction = await context.Database.BeginTransactionAsync();
                    var result = await store.Atomic().Enqueue(new Tick(due), options).CommitAsync(context);
                    await transaction.CommitAsync();
                    return Assert.Single(result.MessageIds);
                }

            default:
                return (await store.EnqueueAsync(new Tick(due), options)).MessageId!;
        }
    }
}

public sealed class SqliteDueAtTests(SqliteDatabase database) : DueAtSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresDueAtTests(PostgresDatabase database) : DueAtSpec(database), IClassFixture<PostgresDatabase>;
