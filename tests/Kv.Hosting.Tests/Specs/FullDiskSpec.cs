using System.Data.Common;
using Kv.Diagnostics;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>A disk that is full for a while: everybody learns of it, nothing is half done, and the same process goes on when there is room.</summary>
public abstract class FullDiskSpec(KvDatabase database, Disk disk)
{
    private const int RoundFailed = 103;
    private const int FinishRetried = 112;
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();
    private readonly Gate _gate = new();
    private int _runs;

    [Fact]
    public async Task Wherever_the_disk_fills_up_a_write_says_so_and_leaves_nothing_half_done()
    {
        await using var test = await CreateAsync();
        var before = await test.Store.Atomic().Set(["a"], "before").Sum(["n"], 1).Set(["gone"], 1).CommitAsync();
        for (var room = 0; ; room++)
        {
            await disk.LeaveAsync(room);
            try
            {
                await test.Store.Atomic().Set(["a"], "after").Sum(["n"], 1).Set(["b"], "new").Delete(["gone"]).Enqueue("hello").CommitAsync();
                Assert.True(room > 3, $"It was committed with room for {room} writes.");
                break;
            }
            catch (KvException error)
            {
                AssertNamed(error);
            }

            Assert.All(await test.Store.GetManyAsync([["a"], ["n"], ["gone"]]), entry => Assert.Equal(before.Versionstamp, entry!.Versionstamp));
            Assert.Null(await test.Store.GetAsync(["b"]));
            Assert.Empty(await test.QueuedAsync());
        }

        Assert.Equal(["after", "new"], (await test.Store.GetManyAsync([["a"], ["b"]])).Select(static e => e!.As<string>()));
        Assert.Equal(2UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Null(await test.Store.GetAsync(["gone"]));
        Assert.Single(await test.QueuedAsync());
    }

    [Fact]
    public async Task Every_writer_of_a_full_disk_is_told_and_succeeds_when_there_is_room()
    {
        await using var test = await CreateAsync();
        await test.Store.Atomic().Set(["a"], 1).Set(["r", 1], 1).Enqueue("hello").CommitAsync();
        var id = Assert.Single(await test.QueuedAsync()).Id;
        Func<Task>[] writers =
        [
            () => test.Store.SetAsync(["b"], 1).AsTask(),
            () => test.Store.DeleteAsync(["a"]).AsTask(),
            () => test.Store.DeleteRangeAsync(KvRange.Prefix(["r"])).AsTask(),
            () => test.Store.EnqueueAsync("again").AsTask(),
            () => test.Store.TransactAsync((transaction, _) => Task.FromResult(transaction.Writes.Set(["c"], 1))).AsTask(),
            () => test.Queue().PauseAsync("job").AsTask(),
            () => test.Queue().CancelAsync(id).AsTask(),
        ];
        await disk.FillAsync();

        // At once, so that some share a commit.
        foreach (var error in await Task.WhenAll(writers.Select(static write => Record.ExceptionAsync(write).AsTask())).WaitAsync(WorkerTesting.Patience))
        {
            AssertNamed(Assert.IsType<KvException>(error));
        }

        Assert.Equal(1, await test.Store.GetAsync<int>(["a"]));
        Assert.Equal(2, await test.Store.CountAsync(KvRange.Prefix([])));
        await disk.FreeAsync();
        await Task.WhenAll(writers.Select(static write => write()));

        Assert.Equal([null, 1, 1, null], (await test.Store.GetManyAsync([["a"], ["b"], ["c"], ["r", 1]])).Select(static e => e?.As<int>()));
        Assert.Equal("again", Encoding(Assert.Single(await test.QueuedAsync()).Data));
    }

    [Fact]
    public async Task A_transaction_of_the_users_own_gets_the_databases_error_and_nothing_of_the_write_is_committed()
    {
        await using var test = await CreateAsync();
        await using (var context = test.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            await disk.LeaveAsync(2);

            var error = await Assert.ThrowsAnyAsync<DbException>(() => test.Store.Atomic().Set(["a"], 1).Set(["b"], 2).Enqueue("hello").CommitAsync(context).AsTask());

            Assert.True(disk.IsCause(error), error.ToString());
            await disk.FreeAsync();
            await Record.ExceptionAsync(() => transaction.CommitAsync());
        }

        Assert.Equal(0, await test.Store.CountAsync(KvRange.Prefix([])));
        await test.Store.EnqueueAsync("other");
        Assert.Equal("other", Encoding(Assert.Single(await test.QueuedAsync()).Data));
    }

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
        await test.AssertEmptyAsync();
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
        AssertNamed(await Assert.ThrowsAsync<KvException>(() => test.ClaimAsync()));
        Assert.Single(await test.RunningAsync());
        await disk.FreeAsync();
        _time.Advance(Lease);
        await test.SettleAsync();
        Assert.Equal(2, _runs);
        await test.AssertEmptyAsync();
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
        AssertNamed(test.Services.GetRequiredService<WorkerHealth>().Look(TimeProvider.System).Error);
        await disk.FreeAsync();

        await _gate.Begun;
        await test.IdleAsync();
        await test.StopAsync();
        Assert.Equal(1, _runs);
        await test.AssertEmptyAsync();
    }

    protected Task<KvMessageContext> Begun => _gate.Begun;

    /// <summary>A store whose disk only SQLite itself can find full.</summary>
    protected Task<KvTestStore> OpenAsync(string ending = "completes", TimeProvider? time = null, string? connectionString = null) => database.CreateWorkerAsync(
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

    protected void AssertNamed(Exception? error)
    {
        var named = Assert.IsType<KvException>(error);
        Assert.True(disk.IsCause(named.InnerException), named.ToString());
        Assert.Equal(KvErrorKind.Unavailable, named.Kind);
        Assert.Contains(named.InnerException!.Message, named.Message, StringComparison.Ordinal);
        Assert.Contains("Nothing was written; make room", named.Message, StringComparison.Ordinal);
    }

    private static string Encoding(byte[] json) => System.Text.Json.JsonSerializer.Deserialize<string>(json)!;
}

public sealed class SqliteFullDiskTests : FullDiskSpec, IClassFixture<SqliteDatabase>
{
    private const int Pages = 100;
    private readonly SqliteDatabase _database;
    private readonly SqliteDisk _disk;

    public SqliteFullDiskTests(SqliteDatabase database)
        : this(database, new SqliteDisk())
    {
    }

    private SqliteFullDiskTests(SqliteDatabase database, SqliteDisk disk)
        : base(database, disk) => (_database, _disk) = (database, disk);

    [Fact]
    public async Task A_file_that_may_not_grow_keeps_what_it_has_and_takes_more_when_something_is_deleted()
    {
        _disk.MaxPages = Pages;
        await using var test = await OpenAsync();
        var count = 0;
        KvException? full = null;
        while (full is null)
        {
            try
            {
                await test.Store.Atomic().Set(["a", count], new string('x', 20_000)).Set(["b", count], new string('y', 20_000)).CommitAsync();
                Assert.True(++count < Pages, "The file grew beyond its limit.");
            }
            catch (KvException error)
            {
                full = error;
            }
        }

        AssertNamed(full);
        Assert.Equal(2 * count, await test.Store.CountAsync(KvRange.Prefix([])));
        Assert.Equal(count, await test.Store.CountAsync(KvRange.Prefix(["b"])));

        await test.Store.DeleteRangeAsync(KvRange.Prefix(["a"]));
        await test.Store.SetAsync(["b", count], new string('z', 20_000));
        Assert.Equal(count + 1, await test.Store.CountAsync(KvRange.Prefix([])));
    }

    // SQLite rolls the whole transaction back: what is written after that would be committed on the spot, apart from the rest.
    [Fact]
    public async Task A_transaction_of_the_users_own_that_a_full_file_ended_takes_nothing_more()
    {
        _disk.MaxPages = Pages;
        await using var test = await OpenAsync();
        await using (var context = test.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            await test.Store.Atomic().Set(["before"], 1).CommitAsync(context);
            var large = test.Store.Atomic();
            for (var i = 0; i < 10; i++)
            {
                large.Set(["large", i], new string('x', 60_000));
            }

            Assert.Equal(13, (await Assert.ThrowsAsync<SqliteException>(() => large.CommitAsync(context).AsTask())).SqliteErrorCode);
            await Assert.ThrowsAsync<InvalidOperationException>(() => test.Store.Atomic().Set(["after"], 1).CommitAsync(context).AsTask());
            await Assert.ThrowsAsync<InvalidOperationException>(() => transaction.CommitAsync());
        }

        Assert.Equal(0, await test.Store.CountAsync(KvRange.Prefix([])));
        await test.Store.SetAsync(["later"], 1);
    }

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
                full = await Record.ExceptionAsync(() => test.Store.Atomic().Set(["large", (long)written], new string('x', 50_000)).Sum(["n"], 1).CommitAsync().AsTask());
                written += full is null ? 1UL : 0;
                Assert.True(written < 1000, "The disk did not fill up.");
            }

            AssertNamed(full);

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

            await test.AssertEmptyAsync();
            await test.Store.Atomic().Set(["large", (long)written], new string('x', 50_000)).Sum(["n"], 1).CommitAsync();
            Assert.Equal(written + 1, await test.Store.GetAsync<ulong>(["n"]));
            await using var connection = new SqliteConnection(test.ConnectionString);
            await connection.OpenAsync();
            await using var check = new SqliteCommand("pragma integrity_check", connection);
            Assert.Equal("ok", await check.ExecuteScalarAsync());
        }
    }
}

public sealed class PostgresFullDiskTests(PostgresDatabase database) : FullDiskSpec(database, new PostgresDisk()), IClassFixture<PostgresDatabase>;
