using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>A topic that is paused: what waits stays, what runs goes on.</summary>
public abstract class PauseSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly Gate _gate = new();

    [Fact]
    public async Task Messages_of_a_paused_topic_stay_and_what_runs_goes_on()
    {
        await using var test = await HoldingAsync();
        await using var other = await database.CreateStoreAsync(_time, connectionString: test.ConnectionString);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;

        await other.Queue().PauseAsync("job");
        await test.Store.EnqueueAsync(new Job(2));
        await test.ClaimAsync();
        Assert.Single(test.Worker().Running);
        Assert.False(_gate.Token.IsCancellationRequested);
        _gate.Open();
        await test.IdleAsync();
        await test.SettleAsync();
        Assert.Single(await test.QueuedAsync());

        await other.Queue().ResumeAsync("job");
        await test.SettleAsync();
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_pause_concerns_its_topic_alone()
    {
        await using var test = await HoldingAsync();
        await test.Queue().PauseAsync("other");
        await test.Queue().PauseAsync("");
        await test.Store.EnqueueAsync(new Job(1));
        _gate.Open();

        await test.SettleAsync();

        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_pause_with_a_duration_ends_by_itself_and_can_be_made_longer()
    {
        await using var test = await HoldingAsync();
        _gate.Open();
        await test.Queue().PauseAsync("job", TimeSpan.FromMinutes(1));
        await test.Queue().PauseAsync("job", TimeSpan.FromMinutes(2));
        await test.Store.EnqueueAsync(new Job(1));

        _time.Advance(TimeSpan.FromMinutes(2) - TimeSpan.FromMilliseconds(1));
        await test.SettleAsync();
        Assert.Single(await test.QueuedAsync());
        Assert.True(Assert.Single(await test.Queue().GetStatsAsync()).IsPaused);

        _time.Advance(TimeSpan.FromMilliseconds(1));
        await test.SettleAsync();
        test.AssertQueueEmpty();
        Assert.Empty(await test.Queue().GetStatsAsync());
    }

    [Fact]
    public async Task Resuming_wakes_the_worker_of_this_process_at_once()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)),
            options: static o => o.PollInterval = TimeSpan.FromMinutes(1),
            logs: _logs);
        await test.Queue().PauseAsync("job");
        await test.StartAsync();
        await test.Store.EnqueueAsync(new Job(1));

        await test.Queue().ResumeAsync("job");

        await _gate.Begun;
        _gate.Open();
        await test.StopAsync();
    }

    [Fact]
    public async Task Resuming_in_another_process_is_seen_when_the_worker_next_looks()
    {
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)),
            options: static o => o.PollInterval = TimeSpan.FromMilliseconds(50),
            logs: _logs);
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await other.Queue().PauseAsync("job");
        await test.StartAsync();
        await test.Store.EnqueueAsync(new Job(1));

        await other.Queue().ResumeAsync("job");
        await other.Queue().ResumeAsync("job");

        await _gate.Begun;
        _gate.Open();
        await test.StopAsync();
    }

    private Task<KvTestStore> HoldingAsync() =>
        database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)), _time, logs: _logs);
}

public sealed class SqlitePauseTests(SqliteDatabase database) : PauseSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresPauseTests(PostgresDatabase database) : PauseSpec(database), IClassFixture<PostgresDatabase>;
