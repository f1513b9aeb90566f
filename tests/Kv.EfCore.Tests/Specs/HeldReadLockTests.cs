using Kv.Engine;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>The read lock that a process keeps for its readers is in nobody's way.</summary>
public sealed class HeldReadLockTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(50);

    [Fact]
    public async Task It_is_kept_while_readers_come_and_go_and_no_longer_than_it_may()
    {
        var time = new ManualTime();
        await using var test = await database.CreateStoreAsync(time);
        await test.Store.SetAsync(["k"], 1);
        Assert.False(Lock(test).IsHeld);
        await ReadAsync(test, 200);
        Assert.True(Lock(test).IsHeld);
        Assert.StartsWith("1|", await TruncateLogAsync(test), StringComparison.Ordinal);

        time.Advance(Longest);
        Assert.False(Lock(test).IsHeld);
        Assert.Equal("0|0|0", await TruncateLogAsync(test));
        await ReadAsync(test, 200);
        Assert.True(Lock(test).IsHeld);
        Assert.False(Lock(test).IsOver);
    }

    [Fact]
    public async Task Who_reads_sees_what_others_wrote_meanwhile_and_then_it_is_never_kept_again()
    {
        var time = new ManualTime();
        await using var test = await database.CreateStoreAsync(time);
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await other.Store.SetAsync(["k"], 1);
        await ReadAsync(test, 200);
        Assert.True(Lock(test).IsHeld);

        await other.Store.SetAsync(["k"], 2);
        Assert.Equal(2, await test.Store.GetAsync<int>(["k"]));
        Assert.True(Lock(test).IsHeld);

        time.Advance(Longest);
        Assert.False(Lock(test).IsHeld);
        Assert.True(Lock(test).IsOver);
        await other.Store.SetAsync(["k"], 3);
        await ReadAsync(test, 200);
        Assert.False(Lock(test).IsHeld);
        Assert.Equal(3, await test.Store.GetAsync<int>(["k"]));
    }

    /// <summary>Each write is the first after many reads. What the log takes is what it takes without readers: some more than 8,000 pages of 4 KB.</summary>
    [Fact]
    public async Task Who_writes_has_it_ended_before_so_that_the_log_is_recycled()
    {
        var time = new ManualTime();
        await using var test = await database.CreateStoreAsync(time);
        var value = new byte[60_000];
        for (var i = 0; i < 1_200; i++)
        {
            Random.Shared.NextBytes(value);
            await test.Store.SetAsync(["large", i % 10], value);
            Assert.False(Lock(test).IsHeld);
            await ReadAsync(test, 130);
            Assert.True(Lock(test).IsHeld);
        }

        Assert.False(Lock(test).IsOver);
        Assert.InRange(new FileInfo(FileOf(test) + "-wal").Length, 30_000_000, 36_000_000);
    }

    [Fact]
    public async Task With_many_readers_and_a_writer_nobody_reads_what_is_older_than_what_was_written()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 0);
        var (written, held, ended) = (0, 0, false);
        var readers = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!Volatile.Read(ref ended))
            {
                var least = Volatile.Read(ref written);
                Assert.InRange(await test.Store.GetAsync<int>(["k"]), least, int.MaxValue);
                if (Lock(test).IsHeld)
                {
                    Interlocked.Increment(ref held);
                }
            }
        })).ToList();
        for (var i = 1; i <= 300; i++)
        {
            await test.Store.SetAsync(["k"], i);
            Volatile.Write(ref written, i);
            await ReadAsync(test, 70);
        }

        Volatile.Write(ref ended, true);
        await Task.WhenAll(readers);
        Assert.True(held > 0);
        Assert.False(Lock(test).IsOver);
    }

    [Fact]
    public async Task It_ends_with_the_store()
    {
        await using var test = await database.CreateStoreAsync(new ManualTime());
        await test.Store.SetAsync(["k"], 1);
        await ReadAsync(test, 200);
        Assert.True(Lock(test).IsHeld);
        await ((ServiceProvider)test.Services).DisposeAsync();

        // Whoever closes a file last takes its log away.
        Assert.False(File.Exists(FileOf(test) + "-wal"));
    }

    private static HeldReadLock Lock(KvTestStore test) => test.Engine.ReadLock!;

    private static string FileOf(KvTestStore test) => new SqliteConnectionStringBuilder(test.ConnectionString).DataSource;

    private static async Task ReadAsync(KvTestStore test, int times)
    {
        for (var i = 0; i < times; i++)
        {
            await test.Store.GetAsync(["k"]);
        }
    }

    private static async Task<string> TruncateLogAsync(KvTestStore test)
    {
        await using var connection = new SqliteConnection(test.ConnectionString + ";Pooling=False");
        await connection.OpenAsync();
        await using var command = new SqliteCommand("pragma busy_timeout = 1; pragma wal_checkpoint(truncate)", connection);
        await using var rows = await command.ExecuteReaderAsync();
        Assert.True(await rows.NextResultAsync());
        Assert.True(await rows.ReadAsync());
        return $"{rows.GetValue(0)}|{rows.GetValue(1)}|{rows.GetValue(2)}";
    }
}
