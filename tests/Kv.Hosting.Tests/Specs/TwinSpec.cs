using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Messages that have an id in common, which no store gives out: they stop no other, and none is lost.</summary>
public abstract class TwinSpec(KvDatabase database)
{
    private StrayWorker Strays { get; } = new(database);

    [Theory]
    [InlineData("two wait")]
    [InlineData("three wait")]
    [InlineData("one waits and one lapsed")]
    [InlineData("one waits at the place of one that lapsed")]
    [InlineData("one waits and one runs")]
    public async Task Messages_that_have_an_id_in_common_stop_no_other_and_none_is_lost(string rows)
    {
        await using var test = await Strays.CreateAsync();
        await Strays.BesideAsync(
            test,
            async () =>
            {
                await test.PutAsync(1, "id = 'twin'");
                switch (rows)
                {
                    case "two wait":
                        await test.PutAsync(2, "id = 'twin', ts = ts - 1");
                        break;
                    case "three wait":
                        await test.PutAsync(2, "id = 'twin', ts = ts - 1");
                        await test.PutAsync(3, "id = 'twin', ts = ts - 2");
                        break;
                    case "one waits and one lapsed":
                        await test.OrphanAsync(2, Strays.Time, "id = 'twin', ts = ts - 7");
                        break;
                    case "one waits at the place of one that lapsed":
                        await test.ExecuteAsync("update queue set ts = 5 where id = 'twin'");
                        await test.OrphanAsync(2, Strays.Time, "id = 'twin', ts = 5");
                        break;
                    default:
                        var deadline = Strays.Time.Milliseconds() + 10_000;
                        await test.OrphanAsync(2, Strays.Time, $"id = 'twin', deadline = {deadline}, owner = 'another'");
                        break;
                }
            },
            rows,
            isDue: true);
        Strays.Time.Advance(TimeSpan.FromSeconds(40));
        await Strays.SettleAsync(test);

        // Each is handled, or a letter with the reason: none twice.
        var letters = await test.DeadLettersAsync();
        int[] all = [.. Strays.Handled.Where(static n => n < 10), .. letters.Select(static letter => letter.As<Job>()!.Number)];
        Assert.Equal(Enumerable.Range(1, rows == "three wait" ? 3 : 2), all.Order());
        Assert.Single(Strays.Handled, static n => n < 10);
        Assert.All(letters, static letter => Assert.Contains("twin", letter.Reason, StringComparison.Ordinal));
        Assert.Contains(Strays.Logs.Entries, static e => e.Event == 260);

        // And replayed, each is a message like any other.
        Assert.Equal(letters.Count, await test.Queue().ReplayAllAsync());
        await Strays.SettleAsync(test);
        Assert.Equal(Enumerable.Range(1, rows == "three wait" ? 3 : 2), Strays.Handled.Where(static n => n < 10).Order());
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_message_that_comes_while_another_of_its_id_is_handled_stops_none()
    {
        var gate = new Gate();
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (job, context, token) =>
            {
                if (job!.Number == 1)
                {
                    await gate.PassAsync(context, token);
                }

                Strays.Handled.Enqueue(job.Number);
            }),
            Strays.Time,
            logs: Strays.Logs);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        var id = (await gate.Begun).Id;

        await test.PutAsync(2, $"id = '{id}'");
        await test.Store.EnqueueAsync(new Job(3));
        await test.ClaimAsync();
        await test.ClaimAsync();
        gate.Open();
        await Strays.SettleAsync(test);

        Assert.Equal([1, 3], Strays.Handled.Order());
        Assert.Equal(2, Assert.Single(await test.DeadLettersAsync()).As<Job>()!.Number);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_message_that_is_released_to_a_position_where_another_of_its_id_is_goes_beside_it()
    {
        var runs = 0;
        KvTestStore? test = null;
        test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (job, context, _) =>
            {
                if (job!.Number == 1 && runs++ == 0)
                {
                    await test!.PutAsync(2, $"id = '{context.Id}', ts = {Strays.Time.Milliseconds() + 1000}, state = 1, group_key = 'g'");
                    await test!.PutAsync(3, "state = 1, group_key = 'g'");
                    context.Snooze(TimeSpan.FromSeconds(1));
                    return;
                }

                Strays.Handled.Enqueue(job.Number);
            }),
            Strays.Time,
            logs: Strays.Logs);
        await using var owned = test;
        await test.Store.EnqueueAsync(new Job(1));
        await Strays.SettleAsync(test);
        Strays.Time.Advance(TimeSpan.FromSeconds(61));
        await Strays.SettleAsync(test);

        Assert.Contains(1, Strays.Handled);
        Assert.Equal([1, 2, 3], Strays.Handled.Concat((await test.DeadLettersAsync()).Select(static l => l.As<Job>()!.Number)).Order());
        test.AssertQueueEmpty();
    }
}

public sealed class SqliteTwinTests(SqliteDatabase database) : TwinSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresTwinTests(PostgresDatabase database) : TwinSpec(database), IClassFixture<PostgresDatabase>;
