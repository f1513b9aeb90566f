using System.Data.Common;
using System.Net;
using System.Net.Sockets;
using Kv.Diagnostics;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.Tests.Specs;

/// <summary>How long callers wait when the database, or others, are in the way.</summary>
public abstract class TimeSpec(KvDatabase database)
{
    protected static readonly TimeSpan Budget = TimeSpan.FromSeconds(1);
    protected static readonly TimeSpan Bound = TimeSpan.FromSeconds(1.9);

    [Fact]
    public async Task A_write_behind_one_that_does_not_end_is_answered_in_its_own_time()
    {
        await using var test = await database.CreateStoreAsync(options: static o => o.CommandTimeout = Budget);
        await test.Store.SetAsync(["warm"], 1);
        using var held = new HeldCommit(test);
        var first = test.Store.SetAsync(["first"], 1).AsTask();
        await held.Begun;

        var started = TimeProvider.System.GetTimestamp();
        var behind = Enumerable.Range(0, 3)
            .Select(i => Record.ExceptionAsync(() => test.Store.SetAsync(["behind", i], 1).AsTask()).AsTask());
        var errors = await Task.WhenAll(behind).WaitAsync(Rows.Patience);

        Assert.InRange(TimeProvider.System.GetElapsedTime(started), Budget / 2, Bound);
        Assert.All(errors, static error =>
        {
            var refused = Assert.IsType<KvException>(error);
            Assert.Equal(KvErrorKind.Unavailable, refused.Kind);
            Assert.Contains("Nothing was written", refused.Message, StringComparison.Ordinal);
        });
        held.Dispose();
        await first.WaitAsync(Rows.Patience);
        await test.Store.SetAsync(["later"], 1);
        Assert.Equal([["first"], ["later"], ["warm"]], await test.KeysAsync());
    }

    [Fact]
    public async Task More_writes_than_may_wait_are_answered_in_time_too()
    {
        await using var test = await database.CreateStoreAsync(options: static o => (o.CommandTimeout, o.MaxPendingWrites) = (Budget, 1));
        await test.Store.SetAsync(["warm"], 1);
        using var held = new HeldCommit(test);
        var first = test.Store.SetAsync(["first"], 1).AsTask();
        await held.Begun;

        var started = TimeProvider.System.GetTimestamp();
        var refused = await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["second"], 1).AsTask().WaitAsync(Rows.Patience));

        Assert.InRange(TimeProvider.System.GetElapsedTime(started), Budget / 2, Bound);
        Assert.Contains("MaxPendingWrites", refused.Message, StringComparison.Ordinal);
        held.Dispose();
        await first.WaitAsync(Rows.Patience);
    }

    [Fact]
    public async Task The_time_in_which_a_store_opens_is_part_of_its_first_write_s()
    {
        var budget = 2 * Budget;
        var opening = new HeldOpening();
        await using var test = await database.CreateStoreAsync(
            options: o => o.CommandTimeout = budget,
            services: services => services.ConfigureDbContext<KvDbContext>(db => db.AddInterceptors(opening)));
        await using var other = await database.CreateStoreAsync(
            options: o => o.CommandTimeout = 0.8 * budget, connectionString: test.ConnectionString);
        await other.Store.SetAsync(["warm"], 1);
        await using var locked = await LockAsync(test.ConnectionString);

        // The opening goes on when most of the time is over, which the write of a store with less of it tells.
        var started = TimeProvider.System.GetTimestamp();
        var write = test.Store.SetAsync(["k"], 1).AsTask();
        await Assert.ThrowsAsync<KvException>(() => other.Store.SetAsync(["k"], 1).AsTask().WaitAsync(Rows.Patience));
        opening.GoOn();
        var refused = await Assert.ThrowsAsync<KvException>(() => write.WaitAsync(Rows.Patience));

        Assert.InRange(TimeProvider.System.GetElapsedTime(started), 0.7 * budget, 1.5 * budget);
        Assert.Equal(KvErrorKind.Unavailable, refused.Kind);
        Assert.Contains("lock", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>A connection that keeps all writes of stores waiting until it is closed.</summary>
    protected abstract Task<DbConnection> LockAsync(string connectionString);

    protected static async Task ExecuteAsync(DbConnection connection, string text)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = text;
        await command.ExecuteNonQueryAsync();
    }

    protected static async Task AssertAnsweredAsync(IKvStore store, string cause)
    {
        var started = TimeProvider.System.GetTimestamp();
        var calls = Enumerable.Range(0, 4).SelectMany(
            i => (Func<Task>[])[() => store.SetAsync(["k"], i).AsTask(), () => store.GetAsync(["k"]).AsTask()]);
        var errors = await Task.WhenAll(calls.Select(static call => Record.ExceptionAsync(call).AsTask())).WaitAsync(Rows.Patience);

        Assert.InRange(TimeProvider.System.GetElapsedTime(started), Budget / 2, Bound);
        Assert.All(errors, error =>
        {
            var refused = Assert.IsType<KvException>(error);
            Assert.Equal(KvErrorKind.Unavailable, refused.Kind);
            Assert.Contains(cause, refused.Message, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("transient", refused.Message, StringComparison.Ordinal);
        });
    }

    /// <summary>No connection opens before the test says so.</summary>
    private sealed class HeldOpening : DbConnectionInterceptor
    {
        private readonly TaskCompletionSource _goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void GoOn() => _goOn.SetResult();

        public override Task ConnectionOpenedAsync(
            DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default) =>
            _goOn.Task.WaitAsync(cancellationToken);
    }

    /// <summary>The next commit does not come to an end before it is let go: a test that fails does so at its end.</summary>
    private sealed class HeldCommit : IDisposable
    {
        private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public HeldCommit(KvTestStore test) => test.FailPoints.OnHit = async point =>
        {
            if (point == FailPoints.BeforeCommit && _begun.TrySetResult())
            {
                await _end.Task;
            }
        };

        public Task Begun => _begun.Task.WaitAsync(Rows.Patience);

        public void Dispose() => _end.TrySetResult();
    }
}

public sealed class SqliteTimeTests(SqliteDatabase database) : TimeSpec(database), IClassFixture<SqliteDatabase>
{
    private readonly SqliteDatabase _database = database;

    [Fact]
    public async Task A_store_whose_file_is_locked_when_it_opens_answers_all_callers_in_time()
    {
        await using var test = await _database.CreateStoreAsync(options: static o => o.CommandTimeout = Budget);
        var alone = new SqliteConnectionStringBuilder(test.ConnectionString) { Pooling = false };
        await using (var connection = new SqliteConnection(alone.ConnectionString))
        {
            await connection.OpenAsync();
            await ExecuteAsync(connection, "pragma journal_mode = delete");
            await ExecuteAsync(connection, "begin exclusive");
            await AssertAnsweredAsync(test.Store, "locked");
        }

        await test.Store.SetAsync(["k"], 1);
    }

    [Fact]
    public async Task A_first_write_that_waits_for_the_lock_ends_in_time_and_names_no_process_that_it_does_not_know()
    {
        await using var test = await _database.CreateStoreAsync(options: static o => o.CommandTimeout = Budget);
        await using var connection = await LockAsync(test.ConnectionString);

        var started = TimeProvider.System.GetTimestamp();
        var refused = await Assert.ThrowsAsync<KvException>(() => test.Store.EnqueueAsync("m").AsTask());

        Assert.InRange(TimeProvider.System.GetElapsedTime(started), Budget / 2, Bound);
        Assert.Equal(KvErrorKind.Unavailable, refused.Kind);
        Assert.Contains("in this process or another one", refused.Message, StringComparison.Ordinal);
        Assert.Contains("Nothing was written", refused.Message, StringComparison.Ordinal);
    }

    protected override async Task<DbConnection> LockAsync(string connectionString)
    {
        var alone = new SqliteConnectionStringBuilder(connectionString) { Pooling = false };
        var connection = new SqliteConnection(alone.ConnectionString);
        await connection.OpenAsync();
        await ExecuteAsync(connection, "begin immediate");
        return connection;
    }
}

public sealed class PostgresTimeTests(PostgresDatabase database) : TimeSpec(database), IClassFixture<PostgresDatabase>
{
    private readonly PostgresDatabase _database = database;

    [Fact]
    public async Task A_store_whose_server_is_not_there_answers_all_callers_in_time_and_says_why()
    {
        using var reserved = new TcpListener(IPAddress.Loopback, 0);
        reserved.Start();
        var port = ((IPEndPoint)reserved.LocalEndpoint).Port;
        reserved.Stop();
        var address = new NpgsqlConnectionStringBuilder(_database.Server.ConnectionString) { Host = "127.0.0.1", Port = port };
        await using var test = await _database.CreateStoreAsync(
            connectionString: address.ConnectionString, options: static o => o.CommandTimeout = Budget);

        await AssertAnsweredAsync(test.Store, "refused");
    }

    protected override async Task<DbConnection> LockAsync(string connectionString)
    {
        var alone = new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false };
        var connection = new NpgsqlConnection(alone.ConnectionString);
        await connection.OpenAsync();
        await ExecuteAsync(connection, "begin; select * from data_version for update");
        return connection;
    }
}
