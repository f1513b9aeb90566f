using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

public abstract class ProgressSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly Gate _gate = new();

    [Fact]
    public async Task Progress_and_note_are_seen_by_other_processes_while_the_handler_runs()
    {
        await using var test = await HandlingAsync(static async context =>
        {
            await context.ReportProgressAsync(0.25, "Half of the half.");
            await context.ReportProgressAsync(0.5);
        });
        await using var other = await database.CreateStoreAsync(_time, connectionString: test.ConnectionString);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        var id = (await _gate.Begun).Id;

        var info = (await other.Queue().GetAsync(id))!;

        Assert.Equal((0.5, "Half of the half."), (info.Progress, info.Note));
        Assert.Equal(0.5, Assert.Single(await other.Queue().ListRunningAsync()).Progress);
        _gate.Open();
        await test.IdleAsync();
    }

    [Fact]
    public async Task What_cannot_be_reported_is_refused_and_nothing_is_written()
    {
        await using var test = await HandlingAsync(static async context =>
        {
            foreach (var fraction in new[] { -0.01, 1.01, double.NaN, double.PositiveInfinity })
            {
                await Assert.ThrowsAsync<ArgumentException>(() => context.ReportProgressAsync(fraction).AsTask());
            }

            foreach (var note in new[] { new string('n', 501), "a\0b", "\ud800", "x\udc00" })
            {
                await Assert.ThrowsAsync<ArgumentException>(() => context.ReportProgressAsync(0.5, note).AsTask());
            }
        });
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;

        var row = Assert.Single(await test.RunningAsync());
        Assert.Equal((null, null), (row.Progress, row.Note));
        _gate.Open();
        await test.IdleAsync();
        test.AssertQueueEmpty();
    }

    [Theory]
    [InlineData(0, "")]
    [InlineData(1, "\ud83d\ude00 {0} ' \" \\")]
    public async Task The_bounds_of_progress_can_be_reported(double fraction, string note)
    {
        await using var test = await HandlingAsync(context => context.ReportProgressAsync(fraction, note).AsTask());
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;

        var row = Assert.Single(await test.RunningAsync());

        Assert.Equal((fraction, note), (row.Progress, row.Note));
        _gate.Open();
        await test.IdleAsync();
    }

    [Theory]
    [InlineData("fails")]
    [InlineData("snoozes")]
    [InlineData("crashes")]
    public async Task A_checkpoint_is_handed_to_the_next_attempt_however_this_one_ends(string ending)
    {
        List<Checkpoint?> seen = [];
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (_, context, token) =>
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
                        await _gate.PassStubbornlyAsync(context, token);
                        break;
                }
            }),
            _time,
            logs: _logs);
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.Zero] });

        if (ending == "crashes")
        {
            await test.ClaimAsync();
            await _gate.Begun;
            _time.Advance(TimeSpan.FromSeconds(30));
            await test.ClaimAsync();
            _gate.Open();
            await test.IdleAsync();
        }

        await test.SettleAsync();

        Assert.Equal([null, new Checkpoint(7, "Füße")], seen);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_checkpoint_outlives_the_stop_of_its_worker()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (_, context, token) =>
            {
                await context.SaveCheckpointAsync(41UL, token);
                await _gate.PassAsync(context, token);
            }),
            options: static o => o.ShutdownTimeout = TimeSpan.Zero,
            logs: _logs);
        await test.Store.EnqueueAsync(new Job(1));
        await test.StartAsync();
        await _gate.Begun;
        await test.StopAsync();
        ulong? seen = null;
        await using var next = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, _) => Task.FromResult(seen = context.GetCheckpoint<ulong>())), beside: test, logs: _logs);

        await next.SettleAsync();

        Assert.Equal(41UL, seen);
    }

    [Fact]
    public async Task A_checkpoint_that_is_too_large_is_refused_and_the_earlier_one_stays()
    {
        string? seen = null;
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (_, context, token) =>
            {
                seen = context.GetCheckpoint<string>();
                if (context.Attempt == 1)
                {
                    await context.SaveCheckpointAsync("small", token);
                    await context.SaveCheckpointAsync(new string('x', 70_000), token);
                }
            }),
            _time,
            logs: _logs,
            storeOptions: KvLimits.Deno);
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.FromMinutes(1)] });

        await test.SettleAsync();
        Assert.Contains("MaxMessageSize", (await test.Queue().GetAsync(Assert.Single(await test.QueuedAsync()).Id))!.LastError!.Message, StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromMinutes(1));
        await test.SettleAsync();

        Assert.Equal("small", seen);
    }

    [Fact]
    public async Task Who_lost_the_lease_can_neither_report_nor_save()
    {
        List<KvErrorKind> errors = [];
        await using var test = await HandlingAsync(async context =>
        {
            await context.SaveCheckpointAsync("mine");
            await context.ReportProgressAsync(0.1, "mine");
            await using (var own = context.Services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext())
            {
                await own.Database.ExecuteSqlRawAsync("update queue_running set claim = claim + 1, owner = 'another'");
            }

            errors.Add((await Assert.ThrowsAsync<KvException>(() => context.ReportProgressAsync(0.9, "late").AsTask())).Kind);
            errors.Add((await Assert.ThrowsAsync<KvException>(() => context.SaveCheckpointAsync("late").AsTask())).Kind);
        });
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;

        var row = Assert.Single(await test.RunningAsync());
        Assert.Equal([KvErrorKind.LeaseLost, KvErrorKind.LeaseLost], errors);
        Assert.Equal((0.1, "mine", "\"mine\""), (row.Progress, row.Note, System.Text.Encoding.UTF8.GetString(row.Checkpoint!)));
        _gate.Open();
        await test.IdleAsync();
    }

    private Task<KvTestStore> HandlingAsync(Func<KvMessageContext, Task> handle) => database.CreateWorkerAsync(
        worker => worker.Handle<Job>(async (_, context, token) =>
        {
            await handle(context);
            await _gate.PassAsync(context, token);
        }),
        _time,
        logs: _logs);

    private sealed record Checkpoint(int Page, string Text);
}

public sealed class SqliteProgressTests(SqliteDatabase database) : ProgressSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresProgressTests(PostgresDatabase database) : ProgressSpec(database), IClassFixture<PostgresDatabase>;
