using Kv.Setup;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>A worker on a disk that is full for a while: it lives, no message is lost, and it goes on when there is room.</summary>
public abstract class FullDiskWorkerSpec(KvDatabase database, Disk disk)
{
    private const int RoundFailed = 103;
    private const int FinishRetried = 112;
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly Gate _gate = new();
    private int _runs;

    [Theory]
    [InlineData("completes")]
    [InlineData("fails")]
    [InlineData("fails for good")]
    public async Task A_message_whose_end_finds_no_room_is_kept_and_ends_when_there_is_some(string ending)
    {
        await using var test = await CreateAsync(ending);
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = ending == "fails" ? [TimeSpan.Zero] : [] });
        await test.ClaimAsync();
        await _gate.Begun;
        var held = await test.RunningAsync();
        await disk.FillAsync();

        await EndOnFullDiskAsync(test);
        Assert.Equivalent(held, await test.RunningAsync());
        await disk.FreeAsync();
        await test.IdleAsync();

        await test.Store.EnqueueAsync(new Job(2));
        await test.SettleAsync();
        Assert.Equal(ending == "fails" ? 3 : 2, _runs);
        Assert.Equal(ending == "fails for good" ? 1 : 0, (await test.DeadLettersAsync()).Count);
        Assert.DoesNotContain(_logs.Entries, static e => e.Event is 106 or 114);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_message_whose_lease_ends_on_a_full_disk_comes_back_when_there_is_room()
    {
        await using var test = await CreateAsync("completes");
        await test.Store.EnqueueAsync(new Job(1));
        await test.ClaimAsync();
        await _gate.Begun;
        await disk.FillAsync();
        _gate.Open();
        await _logs.WaitForAsync(FinishRetried, 1);

        _time.Advance(Lease);
        Assert.False(test.Worker().Heartbeat.Beat());
        await test.IdleAsync();

        Assert.Contains(_logs.Entries, static e => e.Event == 114);
        Assert.Empty(test.Worker().Running);
        disk.AssertNamed(await Assert.ThrowsAsync<KvException>(() => test.ClaimAsync()));
        Assert.Single(await test.RunningAsync());
        await disk.FreeAsync();
        _time.Advance(Lease);
        await test.SettleAsync();
        Assert.Equal(2, _runs);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_worker_outlives_a_full_disk_and_its_health_tells_of_it()
    {
        await using var test = await CreateAsync("completes", TimeProvider.System);
        _gate.Open();
        await test.Store.EnqueueAsync(new Job(1));
        await disk.FillAsync();
        await test.StartAsync();
        await _logs.WaitForAsync(RoundFailed, 2);

        Assert.Equal(0, _runs);
        Assert.Single(await test.QueuedAsync());
        disk.AssertNamed(test.Services.GetRequiredService<StoreWorkers>().HealthOf("").Look(TimeProvider.System).Error);
        await disk.FreeAsync();

        await _gate.Begun;
        await test.IdleAsync();
        await test.StopAsync();
        Assert.Equal(1, _runs);
        test.AssertQueueEmpty();
    }

    protected Task<KvMessageContext> Begun => _gate.Begun;

    /// <summary>A store whose disk only SQLite itself can find full.</summary>
    protected Task<KvTestStore> OpenAsync(
        string ending = "completes", TimeProvider? time = null, string? connectionString = null) => database.CreateWorkerAsync(
        worker =>
        {
            disk.Configure(worker.Services);
            worker.Handle<Job>(async (_, context, token) =>
            {
                if (Interlocked.Increment(ref _runs) == 1)
                {
                    await _gate.PassStubbornlyAsync(context, token);
                    if (ending != "completes")
                    {
                        throw new InvalidOperationException("Failed.");
                    }
                }
            });
        },
        time ?? _time,
        static worker => worker.Lease = Lease,
        logs: _logs,
        storeOptions: static store => store.CommandTimeout = TimeSpan.FromMilliseconds(200),
        connectionString: connectionString);

    /// <summary>Lets the handler end, whose message then cannot.</summary>
    protected async Task EndOnFullDiskAsync(KvTestStore test)
    {
        _gate.Open();
        await _logs.WaitForAsync(FinishRetried, 2);
        Assert.False(test.Worker().Heartbeat.Beat());
        Assert.Single(await test.RunningAsync());
    }

    private async Task<KvTestStore> CreateAsync(string ending = "completes", TimeProvider? time = null)
    {
        var test = await OpenAsync(ending, time);
        await disk.InstallAsync(test);
        return test;
    }
}

public sealed class SqliteFullDiskWorkerTests : FullDiskWorkerSpec, IClassFixture<SqliteDatabase>
{
    private readonly SqliteDatabase _database;
    private readonly SqliteDisk _disk;

    public SqliteFullDiskWorkerTests(SqliteDatabase database)
        : this(database, new SqliteDisk())
    {
    }

    private SqliteFullDiskWorkerTests(SqliteDatabase database, SqliteDisk disk)
        : base(database, disk) => (_database, _disk) = (database, disk);

    // Not a trigger's refusal: here it is COMMIT that finds no room, and has rolled back when it says so.
    [Fact]
    public async Task A_log_that_cannot_grow_loses_nothing_and_the_same_process_goes_on_when_it_can()
    {
        using var small = SmallDisk.Require(megabytes: 4);
        var (file, ballast) = (Path.Combine(small.Folder, "store.db"), Path.Combine(small.Folder, "ballast"));
        File.Copy(new SqliteConnectionStringBuilder(await _database.CreateMigratedAsync()).DataSource, file);
        await File.WriteAllBytesAsync(ballast, new byte[2_000_000]);
        await using (var test = await OpenAsync(connectionString: new SqliteConnectionStringBuilder { DataSource = file }.ConnectionString))
        {
            await test.Store.EnqueueAsync(new Job(1));
            await test.ClaimAsync();
            await Begun;
            var written = 0UL;
            Exception? full = null;
            while (full is null)
            {
                full = await Record.ExceptionAsync(
                    () => test.Store.Atomic().Set(["large", (long)written], new string('x', 50_000)).Sum(["n"], 1).CommitAsync().AsTask());
                written += full is null ? 1UL : 0;
                Assert.True(written < 1000, "The disk did not fill up.");
            }

            _disk.AssertNamed(full);

            // What a large commit left behind of the log has room for small ones, and in the end for not even a heartbeat.
            while (await Record.ExceptionAsync(() => test.Store.Atomic().Sum(["n"], 1).CommitAsync().AsTask()) is null)
            {
                Assert.True(++written < 1000, "The disk did not fill up.");
            }

            for (var beats = 0; test.Worker().Heartbeat.Beat(); beats++)
            {
                Assert.True(beats < 1000, "The disk did not fill up.");
            }

            Assert.Equal(written, await test.Store.GetAsync<ulong>(["n"]));

            await EndOnFullDiskAsync(test);
            File.Delete(ballast);
            await test.IdleAsync();

            test.AssertQueueEmpty();
            await test.Store.Atomic().Set(["large", (long)written], new string('x', 50_000)).Sum(["n"], 1).CommitAsync();
            Assert.Equal(written + 1, await test.Store.GetAsync<ulong>(["n"]));
            await using var connection = new SqliteConnection(test.ConnectionString);
            await connection.OpenAsync();
            await using var check = new SqliteCommand("pragma integrity_check", connection);
            Assert.Equal("ok", await check.ExecuteScalarAsync());
        }
    }
}

public sealed class PostgresFullDiskWorkerTests(PostgresDatabase database)
    : FullDiskWorkerSpec(database, new PostgresDisk()), IClassFixture<PostgresDatabase>;
