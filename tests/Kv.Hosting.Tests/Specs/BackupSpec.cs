using System.Collections.Concurrent;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Npgsql;
using static Kv.Tests.ScheduleTesting;

namespace Kv.Tests.Specs;

/// <summary>What comes of leases, schedules and identity when a backup that was taken while a worker ran is restored.</summary>
public abstract class BackupSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly Gate _gate = new();
    private readonly ConcurrentQueue<(int Number, int Attempt)> _again = [];

    [Fact]
    public async Task What_was_running_comes_back_when_its_lease_ends_and_what_was_handled_since_is_handled_again()
    {
        await using var original = await CreateOriginalAsync();
        await original.Store.EnqueueAsync(new Job(1));
        await original.ClaimAsync();
        await _gate.Begun;
        await original.Store.EnqueueAsync(new Job(2), new() { Delay = TimeSpan.FromSeconds(1) });
        await original.Store.SetAsync(["before"], 1);
        var backup = await BackupAsync(original);
        await original.Store.SetAsync(["since"], 1);
        _gate.Open();
        await original.IdleAsync();
        _time.Advance(TimeSpan.FromSeconds(1));
        await original.SettleAsync();
        original.AssertQueueEmpty();

        await using var restored = await CreateRestoredAsync(backup);
        Assert.True(await restored.Store.ExistsAsync(["before"]));
        Assert.False(await restored.Store.ExistsAsync(["since"]));
        await restored.SettleAsync();
        Assert.Equal([(2, 1)], _again);
        for (var i = 0; i < 8; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(10));
            restored.Worker().Heartbeat.Beat();
            await restored.SettleAsync();
            await restored.IdleAsync();
        }

        // A lease that ended is a crash, and no failed attempt.
        Assert.Equal([(2, 1), (1, 1)], _again);
        restored.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_schedule_goes_on_from_the_tick_that_the_backup_has()
    {
        await using var original = await CreateOriginalAsync();
        await RoundAsync(original);
        _time.Advance(TimeSpan.FromHours(1));
        await RoundAsync(original);
        var backup = await BackupAsync(original);
        _time.Advance(TimeSpan.FromHours(3));
        await RoundAsync(original);

        await using var restored = await CreateRestoredAsync(backup);
        await RoundAsync(restored);

        // One was in the queue when the backup was taken, and of the three that it missed the last one comes, as KvMissedTicks.Once says.
        Assert.Equal([1, 4], (await restored.QueuedAsync()).Select(static m => Read(m.Data).At.Hour));
        Assert.Equal([1, 4], (await original.QueuedAsync()).Select(static m => Read(m.Data).At.Hour));
    }

    [Fact]
    public async Task A_restored_backup_whose_clock_was_raised_gives_out_no_versionstamp_again()
    {
        await using var original = await CreateOriginalAsync();
        await original.Store.SetAsync(["a"], 1);
        var backup = await BackupAsync(original);
        var lost = await original.Store.SetAsync(["a"], 2);
        await using var restored = await CreateRestoredAsync(backup);

        // As the page on operations says it.
        await restored.ExecuteAsync("update data_version set version = version + 1000000 where k = 0");

        Assert.Equal(1, await restored.Store.GetAsync<int>(["a"]));
        Assert.True(await restored.Store.SetAsync(["a"], 3) > lost);
        await restored.Store.EnqueueAsync(new Job(7));
        await restored.SettleAsync();
        Assert.Equal([(7, 1)], _again);
    }

    [Fact]
    public async Task A_restored_copy_is_another_store()
    {
        await using var original = await CreateOriginalAsync();
        await original.Store.SetAsync(["a"], 1);
        await using var restored = await CreateRestoredAsync(await BackupAsync(original));
        await using var context = restored.CreateContext();
        await using var transaction = await context.Database.BeginTransactionAsync();

        var error = await Assert.ThrowsAsync<InvalidOperationException>(
            () => original.Store.Atomic().Set(["a"], 2).CommitAsync(context).AsTask());

        Assert.Contains("database", error.Message, StringComparison.OrdinalIgnoreCase);
        Assert.True((await restored.Store.Atomic().Set(["a"], 3).CommitAsync(context)).Succeeded);
        await transaction.CommitAsync();
        Assert.Equal((1, 3), (await original.Store.GetAsync<int>(["a"]), await restored.Store.GetAsync<int>(["a"])));
    }

    /// <summary>Takes a backup while the store goes on, in a way that the page on operations names.</summary>
    protected abstract Task<string> BackupAsync(KvTestStore original);

    private static Tick Read(byte[] data) =>
        System.Text.Json.JsonSerializer.Deserialize<Tick>(data, System.Text.Json.JsonSerializerOptions.Web)!;

    private static void AddSchedule(KvWorkerBuilder worker) =>
        worker.Schedule("hourly", KvSchedule.Every(TimeSpan.FromHours(1)), static at => new Tick(at));

    private Task<KvTestStore> CreateOriginalAsync() => database.CreateWorkerAsync(
        worker => AddSchedule(worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token))), _time);

    private Task<KvTestStore> CreateRestoredAsync(string backup) => database.CreateWorkerAsync(
        worker => AddSchedule(worker.Handle<Job>((job, context, _) =>
        {
            _again.Enqueue((job.Number, context.Attempt));
            return Task.CompletedTask;
        })),
        _time,
        connectionString: backup);
}

public sealed class SqliteBackupTests(SqliteDatabase database) : BackupSpec(database), IClassFixture<SqliteDatabase>
{
    private readonly SqliteDatabase _database = database;

    protected override async Task<string> BackupAsync(KvTestStore original)
    {
        var backup = await _database.CreateEmptyAsync();
        await original.ExecuteAsync("vacuum into {0}", new SqliteConnectionStringBuilder(backup).DataSource);
        return backup;
    }
}

public sealed class PostgresBackupTests(PostgresDatabase database) : BackupSpec(database), IClassFixture<PostgresDatabase>
{
    private readonly PostgresDatabase _database = database;

    // A copy of the whole database at one moment, as a dump is; the store's connections are cut for it, and it goes on by itself.
    protected override async Task<string> BackupAsync(KvTestStore original)
    {
        var name = new NpgsqlConnectionStringBuilder(original.ConnectionString).Database;
        await _database.ExecuteAsync($"alter database {name} with allow_connections false");
        try
        {
            return await _database.CopyAsync(original.ConnectionString);
        }
        finally
        {
            await _database.ExecuteAsync($"alter database {name} with allow_connections true");
        }
    }
}
