using System.Data.Common;
using System.Text.Json;
using Kv.Model;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

/// <summary>
/// A disk that is full for a while: every writer is told, nothing is half done, and the same process goes on when there is room.
/// </summary>
public abstract class FullDiskSpec(KvDatabase database, Disk disk)
{
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
                await test.Store.Atomic().Set(["a"], "after").Sum(["n"], 1).Set(["b"], "new").Delete(["gone"]).Enqueue("hello")
                    .CommitAsync();
                Assert.True(room > 3, $"It was committed with room for {room} writes.");
                break;
            }
            catch (KvException error)
            {
                disk.AssertNamed(error);
            }

            Assert.All(
                await test.Store.GetManyAsync([["a"], ["n"], ["gone"]]), entry => Assert.Equal(before.Versionstamp, entry!.Versionstamp));
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
        var errors = Task.WhenAll(writers.Select(static write => Record.ExceptionAsync(write).AsTask()));
        foreach (var error in await errors.WaitAsync(Rows.Patience))
        {
            disk.AssertNamed(Assert.IsType<KvException>(error));
        }

        Assert.Equal(1, await test.Store.GetAsync<int>(["a"]));
        Assert.Equal(2, await test.Store.CountAsync(KvRange.Prefix([])));
        await disk.FreeAsync();
        await Task.WhenAll(writers.Select(static write => write()));

        Assert.Equal([null, 1, 1, null], (await test.Store.GetManyAsync([["a"], ["b"], ["c"], ["r", 1]])).Select(static e => e?.As<int>()));
        Assert.Equal("again", Text(Assert.Single(await test.QueuedAsync())));
    }

    [Fact]
    public async Task A_transaction_of_the_users_own_gets_the_databases_error_and_nothing_of_the_write_is_committed()
    {
        await using var test = await CreateAsync();
        await using (var context = test.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            await disk.LeaveAsync(2);

            var error = await Assert.ThrowsAnyAsync<DbException>(
                () => test.Store.Atomic().Set(["a"], 1).Set(["b"], 2).Enqueue("hello").CommitAsync(context).AsTask());

            Assert.True(disk.IsCause(error), error.ToString());
            await disk.FreeAsync();
            await Record.ExceptionAsync(() => transaction.CommitAsync());
        }

        Assert.Equal(0, await test.Store.CountAsync(KvRange.Prefix([])));
        await test.Store.EnqueueAsync("other");
        Assert.Equal("other", Text(Assert.Single(await test.QueuedAsync())));
    }

    /// <summary>A store whose disk only the database itself can find full.</summary>
    protected Task<KvTestStore> OpenAsync() => database.CreateStoreAsync(
        options: static store => store.CommandTimeout = TimeSpan.FromMilliseconds(200), services: disk.Configure);

    private async Task<KvTestStore> CreateAsync()
    {
        var test = await OpenAsync();
        await disk.InstallAsync(test);
        return test;
    }

    private static string Text(QueuedMessage message) => JsonSerializer.Deserialize<string>(message.Data)!;
}

public sealed class SqliteFullDiskTests : FullDiskSpec, IClassFixture<SqliteDatabase>
{
    private const int Pages = 100;
    private readonly SqliteDisk _disk;

    public SqliteFullDiskTests(SqliteDatabase database)
        : this(database, new SqliteDisk())
    {
    }

    private SqliteFullDiskTests(SqliteDatabase database, SqliteDisk disk)
        : base(database, disk) => _disk = disk;

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
                await test.Store.Atomic().Set(["a", count], new string('x', 20_000)).Set(["b", count], new string('y', 20_000))
                    .CommitAsync();
                Assert.True(++count < Pages, "The file grew beyond its limit.");
            }
            catch (KvException error)
            {
                full = error;
            }
        }

        _disk.AssertNamed(full);
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
}

public sealed class PostgresFullDiskTests(PostgresDatabase database)
    : FullDiskSpec(database, new PostgresDisk()), IClassFixture<PostgresDatabase>;
