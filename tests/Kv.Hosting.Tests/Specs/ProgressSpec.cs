using System.Text;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

public abstract class ProgressSpec(KvDatabase database)
{
    private static readonly Action<KvWorkerBuilder> NoHandler = static _ => { };

    [Fact]
    public async Task Progress_and_note_are_seen_by_other_processes_while_the_handler_runs()
    {
        await using var kv = await database.StartAsync(NoHandler);
        await using var other = await database.CreateStoreAsync(kv.Time, connectionString: kv.Services.GetKvConnectionString());
        await using var delivery = await kv.BeginAsync(new Job(1));

        await delivery.Context.ReportProgressAsync(0.25, "Half of the half.");
        await delivery.Context.ReportProgressAsync(0.5);

        var info = (await other.Queue().GetAsync(delivery.Context.Id))!;
        Assert.Equal((0.5, "Half of the half."), (info.Progress, info.Note));
        Assert.Equal(0.5, Assert.Single(await other.Queue().ListRunningAsync()).Progress);
    }

    [Fact]
    public async Task What_cannot_be_reported_is_refused_and_nothing_is_written()
    {
        await using var kv = await database.StartAsync(NoHandler);
        await using var delivery = await kv.BeginAsync(new Job(1));

        foreach (var fraction in new[] { -0.01, 1.01, double.NaN, double.PositiveInfinity })
        {
            await Assert.ThrowsAsync<ArgumentException>(() => delivery.Context.ReportProgressAsync(fraction).AsTask());
        }

        foreach (var note in new[] { new string('n', 501), "a\0b", "\ud800", "x\udc00" })
        {
            await Assert.ThrowsAsync<ArgumentException>(() => delivery.Context.ReportProgressAsync(0.5, note).AsTask());
        }

        var info = Assert.Single(await kv.Queue.ListRunningAsync());
        Assert.Equal((null, null), (info.Progress, info.Note));
        Assert.Equal(KvOutcome.Completed, (await delivery.EndAsync()).Outcome);
        kv.AssertQueueEmpty();
    }

    [Theory]
    [InlineData(0, "")]
    [InlineData(1, "\ud83d\ude00 {0} ' \" \\")]
    public async Task The_bounds_of_progress_can_be_reported(double fraction, string note)
    {
        await using var kv = await database.StartAsync(NoHandler);
        await using var delivery = await kv.BeginAsync(new Job(1));

        await delivery.Context.ReportProgressAsync(fraction, note);

        var info = Assert.Single(await kv.Queue.ListRunningAsync());
        Assert.Equal((fraction, note), (info.Progress, info.Note));
    }

    [Theory]
    [InlineData("fails", KvOutcome.Retried)]
    [InlineData("snoozes", KvOutcome.Snoozed)]
    [InlineData("crashes", KvOutcome.Unfinished)]
    public async Task A_checkpoint_is_handed_to_the_next_attempt_however_this_one_ends(string ending, KvOutcome outcome)
    {
        List<Checkpoint?> seen = [];
        KvTestHost? host = null;
        await using var kv = host = await database.StartAsync(app => app.Handle<Job>(async (_, context, token) =>
        {
            seen.Add(context.GetCheckpoint<Checkpoint>());
            if (seen.Count > 1)
            {
                return;
            }

            await context.SaveCheckpointAsync(new Checkpoint(1, "first"), token);
            await context.SaveCheckpointAsync(new Checkpoint(7, "Füße"), token);
            switch (ending)
            {
                case "fails":
                    throw new InvalidOperationException("Not today.");
                case "snoozes":
                    context.Snooze(TimeSpan.Zero);
                    break;
                default:
                    await host!.KillWorkerAsync(token);
                    break;
            }
        }));
        await kv.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.Zero] });

        var ran = (await kv.DrainAsync()).Of<Job>();
        await kv.StartWorkerAsync();
        var again = (await kv.AdvanceAsync(TimeSpan.FromMinutes(2))).Of<Job>();

        Assert.Equal([outcome, KvOutcome.Completed], ran.Concat(again).Select(static run => run.Outcome));
        Assert.Equal([null, new Checkpoint(7, "Füße")], seen);
        kv.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_checkpoint_outlives_the_stop_of_its_worker()
    {
        var gate = new Gate();
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (_, context, token) =>
            {
                await context.SaveCheckpointAsync(41UL, token);
                await gate.PassAsync(context, token);
            }),
            options: static o => o.ShutdownTimeout = TimeSpan.Zero);
        await test.Store.EnqueueAsync(new Job(1));
        await test.StartAsync();
        await gate.Begun;
        await test.StopAsync();
        ulong? seen = null;
        await using var next = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, _) => Task.FromResult(seen = context.GetCheckpoint<ulong>())), beside: test);

        await next.SettleAsync();

        Assert.Equal(41UL, seen);
    }

    [Fact]
    public async Task A_checkpoint_that_is_too_large_is_refused_and_the_earlier_one_stays()
    {
        string? seen = null;
        await using var kv = await database.StartAsync(app =>
        {
            app.Services.Configure<KvStoreOptions>(KvLimits.Deno);
            app.Handle<Job>(async (_, context, token) =>
            {
                seen = context.GetCheckpoint<string>();
                if (context.Attempt == 1)
                {
                    await context.SaveCheckpointAsync("small", token);
                    await context.SaveCheckpointAsync(new string('x', 70_000), token);
                }
            });
        });
        await kv.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.FromMinutes(1)] });

        await kv.DrainAsync();
        Assert.Contains("MaxMessageSize", (await kv.WaitingAsync()).LastError!.Message, StringComparison.Ordinal);
        await kv.AdvanceAsync(TimeSpan.FromMinutes(1));

        Assert.Equal("small", seen);
    }

    [Fact]
    public async Task Who_lost_the_lease_can_neither_report_nor_save()
    {
        await using var kv = await database.StartAsync(NoHandler);
        await using var delivery = await kv.BeginAsync(new Job(1));
        await delivery.Context.SaveCheckpointAsync("mine");
        await delivery.Context.ReportProgressAsync(0.1, "mine");
        await kv.ExecuteAsync("update queue_running set claim = claim + 1, owner = 'another'");

        var report = await Assert.ThrowsAsync<KvException>(() => delivery.Context.ReportProgressAsync(0.9, "late").AsTask());
        var save = await Assert.ThrowsAsync<KvException>(() => delivery.Context.SaveCheckpointAsync("late").AsTask());

        Assert.Equal((KvErrorKind.LeaseLost, KvErrorKind.LeaseLost), (report.Kind, save.Kind));
        await using var context = kv.CreateContext();
        var row = await context.RunningMessages.SingleAsync();
        Assert.Equal((0.1, "mine", "\"mine\""), (row.Progress, row.Note, Encoding.UTF8.GetString(row.Checkpoint!)));
    }

    private sealed record Checkpoint(int Page, string Text);
}

public sealed class SqliteProgressTests(SqliteDatabase database) : ProgressSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresProgressTests(PostgresDatabase database) : ProgressSpec(database), IClassFixture<PostgresDatabase>;
