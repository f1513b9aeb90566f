using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>Messages that are due at a time, however far ahead.</summary>
public abstract class DueAtSpec(KvDatabase database)
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly ManualTime _time = new();

    public static TheoryData<string> Kinds => ["plain", "group", "concurrency", "unique", "rate", "many", "joined"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_message_is_handled_at_the_time_that_it_was_given_and_not_before(string kind)
    {
        List<DateTimeOffset> handled = [];
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Tick>((tick, _, _) =>
            {
                handled.Add(tick.At);
                return Task.CompletedTask;
            }),
            _time);
        var due = Start.AddDays(400).AddMilliseconds(7);
        var id = await EnqueueAsync(test, kind, due);

        Assert.Equal(due, (await test.Services.GetRequiredService<IKvQueue>().GetAsync(id))!.DueAt);
        _time.SetUtcNow(due.AddMilliseconds(-1));
        await test.SettleAsync();
        Assert.Empty(handled);
        _time.SetUtcNow(due);
        await test.SettleAsync();

        Assert.Equal([due], handled);
        Assert.Empty(await test.QueuedAsync());
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task The_clock_of_the_database_decides_and_the_time_stays_as_it_was_given(string kind)
    {
        await using var test = await database.CreateWorkerAsync(worker => worker.Handle<Tick>(static (_, _, _) => Task.CompletedTask));
        var due = DateTimeOffset.FromUnixTimeMilliseconds(TimeProvider.System.GetUtcNow().AddYears(3).ToUnixTimeMilliseconds());

        var id = await EnqueueAsync(test, kind, due);

        Assert.Equal(due, (await test.Services.GetRequiredService<IKvQueue>().GetAsync(id))!.DueAt);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_time_that_is_past_is_now(string kind)
    {
        foreach (var past in (DateTimeOffset[])[Start.AddDays(-3), DateTimeOffset.UnixEpoch.AddDays(3), DateTimeOffset.MinValue])
        {
            var handled = 0;
            await using var test = await database.CreateWorkerAsync(
                worker => worker.Handle<Tick>((_, _, _) =>
                {
                    handled++;
                    return Task.CompletedTask;
                }),
                _time);
            var id = await EnqueueAsync(test, kind, past);

            Assert.Equal(_time.GetUtcNow(), (await test.Services.GetRequiredService<IKvQueue>().GetAsync(id))!.DueAt);
            await test.SettleAsync();
            Assert.Equal(1, handled);
        }
    }

    [Fact]
    public async Task A_part_of_a_millisecond_is_rounded_up()
    {
        await using var test = await database.CreateStoreAsync(_time);

        await test.Store.EnqueueAsync(new Tick(default), new() { DueAt = Start.AddDays(40).AddTicks(1) });

        Assert.Equal(Start.AddDays(40).AddMilliseconds(1).ToUnixTimeMilliseconds(), Assert.Single(await test.QueuedAsync()).DueAt);
    }

    [Fact]
    public async Task A_time_and_a_delay_together_are_refused()
    {
        await using var test = await database.CreateStoreAsync(_time);

        var error = await Assert.ThrowsAsync<ArgumentException>(
            () => test.Store.EnqueueAsync(new Tick(default), new() { DueAt = Start, Delay = TimeSpan.FromSeconds(1) }).AsTask());

        Assert.Contains("leave one of them out", error.Message, StringComparison.Ordinal);
        Assert.Empty(await test.QueuedAsync());
    }

    private static async Task<string> EnqueueAsync(KvTestStore test, string kind, DateTimeOffset due)
    {
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
                return Assert.Single(await test.Store.EnqueueManyAsync([new Tick(due)], options));
            case "joined":
                await using (var context = test.CreateContext())
                {
                    await using var transaction = await context.Database.BeginTransactionAsync();
                    var result = await test.Store.Atomic().Enqueue(new Tick(due), options).CommitAsync(context);
                    await transaction.CommitAsync();
                    return Assert.Single(result.MessageIds);
                }

            default:
                return (await test.Store.EnqueueAsync(new Tick(due), options)).MessageId!;
        }
    }
}

public sealed class SqliteDueAtTests(SqliteDatabase database) : DueAtSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresDueAtTests(PostgresDatabase database) : DueAtSpec(database), IClassFixture<PostgresDatabase>;
