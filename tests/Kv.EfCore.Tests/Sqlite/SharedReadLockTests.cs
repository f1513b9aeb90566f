using System.Data;
using Kv.Connections;
using Kv.Schema;
using Kv.Sql;
using Kv.Sqlite;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kv.Tests.Sqlite;

/// <summary>The read lock that a process keeps for its readers is in nobody's way.</summary>
public sealed class SharedReadLockTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(50);

    [Fact]
    public async Task It_is_kept_while_readers_come_and_go_and_no_longer_than_it_may()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);
        await using var readers = new Readers(test);
        await readers.ReadAsync(63);
        Assert.False(readers.Lock.IsHeld);
        await readers.ReadAsync(1);
        Assert.True(readers.Lock.IsHeld);
        Assert.StartsWith("1|", await TruncateLogAsync(test), StringComparison.Ordinal);

        readers.Time.Advance(Longest);
        Assert.False(readers.Lock.IsHeld);
        Assert.Equal("0|0|0", await TruncateLogAsync(test));
        await readers.ReadAsync(64);
        Assert.True(readers.Lock.IsHeld);
    }

    [Fact]
    public async Task Where_other_connections_write_meanwhile_it_rests_each_time_for_twice_as_long()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 0);
        await using var readers = new Readers(test);
        for (var minutes = 1; minutes <= 8; minutes *= 2)
        {
            await readers.ReadAsync(64);
            Assert.True(readers.Lock.IsHeld);
            await test.Store.SetAsync(["k"], minutes);
            readers.Time.Advance(Longest);
            Assert.False(readers.Lock.IsHeld);

            readers.Time.Advance(TimeSpan.FromMinutes(minutes) - TimeSpan.FromSeconds(1));
            await readers.ReadAsync(64);
            Assert.False(readers.Lock.IsHeld);
            readers.Time.Advance(TimeSpan.FromSeconds(1));
        }
    }

    [Fact]
    public async Task While_the_store_writes_it_is_not_kept_and_afterwards_it_is()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 0);
        await using var readers = new Readers(test);
        var turn = new WriteGate(readers.Lock);
        for (var i = 0; i < 3; i++)
        {
            await readers.ReadAsync(64);
            Assert.True(readers.Lock.IsHeld);
            await turn.EnterAsync();
            var next = turn.EnterAsync();
            Assert.False(readers.Lock.IsHeld);
            await test.Store.SetAsync(["k"], i);
            turn.Leave();
            await next;
            await readers.ReadAsync(64);
            Assert.False(readers.Lock.IsHeld);
            turn.Leave();
        }
    }

    [Fact]
    public async Task A_connection_that_fails_is_closed_and_another_takes_its_place()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 0);
        await using var readers = new Readers(test);
        var session = await readers.ReadAsync(64);
        Assert.True(readers.Lock.IsHeld);
        await session.ExecuteAsync(KvSql.Rollback, default);
        readers.Time.Advance(Longest);
        Assert.False(readers.Lock.IsHeld);
        while (session.Connection.State != ConnectionState.Closed)
        {
            await Task.Yield();
        }

        readers.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.NotSame(session, await readers.ReadAsync(64));
        Assert.True(readers.Lock.IsHeld);
    }

    /// <summary>Each write is the first after many reads. What the log takes is what it takes without readers: some more than 8,000 pages of 4 KB.</summary>
    [Fact]
    public async Task A_writer_has_it_ended_before_so_that_the_log_is_recycled()
    {
        await using var test = await database.CreateStoreAsync();
        var value = new byte[60_000];
        var held = 0;
        for (var i = 0; i < 1_200; i++)
        {
            Random.Shared.NextBytes(value);
            await test.Store.SetAsync(["large", i % 10], value);
            await ReadAsync(test, 130);
            held += ((FileLocks)test.Engine.Locks!).ReadLock.IsHeld ? 1 : 0;
        }

        // Not each time, since 50 ms may pass at any moment.
        Assert.InRange(held, 600, 1_200);
        Assert.InRange(new FileInfo(FileOf(test) + "-wal").Length, 30_000_000, 36_000_000);
    }

    [Fact]
    public async Task With_many_readers_and_writers_nobody_reads_what_is_older_than_what_was_written()
    {
        await using var test = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await test.Store.SetAsync(["k"], 0);
        var (written, held, ended) = (0, 0, false);
        var readers = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!Volatile.Read(ref ended))
            {
                var least = Volatile.Read(ref written);
                Assert.InRange(await test.Store.GetAsync<int>(["k"]), least, int.MaxValue);
                if (((FileLocks)test.Engine.Locks!).ReadLock.IsHeld)
                {
                    Interlocked.Increment(ref held);
                }
            }
        })).ToList();
        for (var i = 1; i <= 300; i++)
        {
            // The last ones another process could have written.
            await (i < 290 ? test : other).Store.SetAsync(["k"], i);
            Volatile.Write(ref written, i);
            await ReadAsync(test, 70);
        }

        Volatile.Write(ref ended, true);
        await Task.WhenAll(readers);
        Assert.True(held > 0);
    }

    [Fact]
    public async Task It_ends_with_the_store()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);
        while (!((FileLocks)test.Engine.Locks!).ReadLock.IsHeld)
        {
            await ReadAsync(test, 64);
        }

        await ((ServiceProvider)test.Services).DisposeAsync();

        // Whoever closes a file last takes its log away.
        Assert.False(File.Exists(FileOf(test) + "-wal"));
    }

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

    /// <summary>Readers of a store's file with a lock of their own, whose time is the test's. To them the store is somebody else.</summary>
    private sealed class Readers : IAsyncDisposable
    {
        private readonly SessionPool _pool;

        public Readers(KvTestStore test)
        {
            var (driver, options) = (test.Engine.Driver, test.Engine.Options);
            Lock = new SharedReadLock(driver.Sql, Time, NullLogger.Instance);
            _pool = new SessionPool(new SessionFactory(test.CreateContext, driver, SchemaCheck.OpenCurrentAsync, options, NullLogger.Instance), size: 1, options.CommandTimeout, new FileLocks(Lock), returned: static () => { });
        }

        public ManualTime Time { get; } = new();

        public SharedReadLock Lock { get; }

        /// <summary>Reads one after the other.</summary>
        /// <returns>The session that read last.</returns>
        public async Task<Session> ReadAsync(int times)
        {
            Session? session = null;
            for (var i = 0; i < times; i++)
            {
                session = await _pool.RentAsync(default);
                await session.Statement(session.Sql.Version).ScalarAsync(default);
                await _pool.ReturnAsync(session, healthy: true);
            }

            return session!;
        }

        public async ValueTask DisposeAsync()
        {
            await _pool.DisposeAsync();
            await Lock.DisposeAsync();
        }
    }
}
