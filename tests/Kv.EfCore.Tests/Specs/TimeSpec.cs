using System.Net;
using System.Net.Sockets;
using Kv.Diagnostics;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
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
        var (begun, end) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        test.FailPoints.OnHit = async point =>
        {
            if (point == FailPoints.BeforeCommit && begun.TrySetResult())
            {
                await end.Task;
            }
        };
        var first = test.Store.SetAsync(["first"], 1).AsTask();
        await begun.Task.WaitAsync(Rows.Patience);

        var started = TimeProvider.System.GetTimestamp();
        var errors = await Task.WhenAll(Enumerable.Range(0, 3).Select(i => Record.ExceptionAsync(() => test.Store.SetAsync(["behind", i], 1).AsTask()).AsTask())).WaitAsync(Rows.Patience);

        Assert.InRange(TimeProvider.System.GetElapsedTime(started), Budget / 2, Bound);
        Assert.All(errors, static error =>
        {
            var refused = Assert.IsType<KvException>(error);
            Assert.Equal(KvErrorKind.Unavailable, refused.Kind);
            Assert.Contains("Nothing was written", refused.Message, StringComparison.Ordinal);
        });
        test.FailPoints.OnHit = null;
        end.SetResult();
        await first.WaitAsync(Rows.Patience);
        await test.Store.SetAsync(["later"], 1);
        Assert.Equal([["first"], ["later"], ["warm"]], await test.KeysAsync());
    }

    [Fact]
    public async Task More_writes_than_may_wait_are_answered_in_time_too()
    {
        await using var test = await database.CreateStoreAsync(options: static o => (o.CommandTimeout, o.MaxPendingWrites) = (Budget, 1));
        await test.Store.SetAsync(["warm"], 1);
        var (begun, end) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        test.FailPoints.OnHit = async point =>
        {
            if (point == FailPoints.BeforeCommit && begun.TrySetResult())
            {
                await end.Task;
            }
        };
        var first = test.Store.SetAsync(["first"], 1).AsTask();
        await begun.Task.WaitAsync(Rows.Patience);

        var refused = await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["second"], 1).AsTask().WaitAsync(Rows.Patience));

        Assert.Contains("MaxPendingWrites", refused.Message, StringComparison.Ordinal);
        end.SetResult();
        await first.WaitAsync(Rows.Patience);
    }

    protected static async Task AssertAnsweredAsync(IKvStore store, string cause)
    {
        var started = TimeProvider.System.GetTimestamp();
        var calls = Enumerable.Range(0, 4).SelectMany(i => (Func<Task>[])[() => store.SetAsync(["k"], i).AsTask(), () => store.GetAsync(["k"]).AsTask()]);
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
}

public sealed class SqliteTimeTests(SqliteDatabase database) : TimeSpec(database), IClassFixture<SqliteDatabase>
{
    private readonly SqliteDatabase _database = database;

    [Fact]
    public async Task A_store_whose_file_is_locked_when_it_opens_answers_all_callers_in_time()
    {
        await using var test = await _database.CreateStoreAsync(options: static o => o.CommandTimeout = Budget);
        await using (var connection = new SqliteConnection(new SqliteConnectionStringBuilder(test.ConnectionString) { Pooling = false }.ConnectionString))
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
        await using var connection = new SqliteConnection(new SqliteConnectionStringBuilder(test.ConnectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await ExecuteAsync(connection, "begin immediate");

        var started = TimeProvider.System.GetTimestamp();
        var refused = await Assert.ThrowsAsync<KvException>(() => test.Store.EnqueueAsync("m").AsTask());

        Assert.InRange(TimeProvider.System.GetElapsedTime(started), Budget / 2, Bound);
        Assert.Equal(KvErrorKind.Unavailable, refused.Kind);
        Assert.Contains("in this process or another one", refused.Message, StringComparison.Ordinal);
        Assert.Contains("Nothing was written", refused.Message, StringComparison.Ordinal);
    }

    private static async Task ExecuteAsync(SqliteConnection connection, string text)
    {
        await using var command = new SqliteCommand(text, connection);
        await command.ExecuteNonQueryAsync();
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
        var address = new NpgsqlConnectionStringBuilder(_database.Server.ConnectionString) { Host = "127.0.0.1", Port = port }.ConnectionString;
        await using var test = await _database.CreateStoreAsync(connectionString: address, options: static o => o.CommandTimeout = Budget);

        await AssertAnsweredAsync(test.Store, "refused");
    }

    [Fact]
    public async Task A_server_that_is_full_is_waited_for_by_opening_reads_writes_listings_and_the_queue()
    {
        var address = await _database.CreateMigratedAsync();
        var role = $"{new NpgsqlConnectionStringBuilder(address).Database}_few";
        await using var owner = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(address) { Pooling = false }.ConnectionString);
        await owner.OpenAsync();
        await ExecuteAsync(owner, $"create role {role} login connection limit 3; grant all on schema public to {role}; grant all on all tables in schema public to {role}");
        try
        {
            var few = new NpgsqlConnectionStringBuilder(address) { Username = role };
            await using var test = await _database.CreateStoreAsync(connectionString: few.ConnectionString, options: static o => (o.CommandTimeout, o.Notifications) = (TimeSpan.FromSeconds(20), false));
            var others = new List<NpgsqlConnection>();
            for (var i = 0; i < 3; i++)
            {
                others.Add(new NpgsqlConnection(new NpgsqlConnectionStringBuilder(few.ConnectionString) { Pooling = false }.ConnectionString));
                await others[^1].OpenAsync();
            }

            var full = await Assert.ThrowsAsync<PostgresException>(async () =>
            {
                await using var more = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(few.ConnectionString) { Pooling = false }.ConnectionString);
                await more.OpenAsync();
            });
            Assert.Equal(PostgresErrorCodes.TooManyConnections, full.SqlState);
            var read = test.Store.GetAsync(["k"]).AsTask();
            var write = test.Store.SetAsync(["k"], 1).AsTask();
            var listing = test.Store.ListAsync(KvRange.Prefix([]), new KvListOptions { Snapshot = true }).ToListAsync().AsTask();
            others.ForEach(static o => o.Dispose());

            await Task.WhenAll(read, write, listing).WaitAsync(Rows.Patience);
        }
        finally
        {
            await _database.Server.TerminateBackendsAsync(new NpgsqlConnectionStringBuilder(address).Database!);
            await _database.ExecuteAsync($"drop database {new NpgsqlConnectionStringBuilder(address).Database} with (force)");
            await _database.ExecuteAsync($"drop role {role}");
        }
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string text)
    {
        await using var command = new NpgsqlCommand(text, connection);
        await command.ExecuteNonQueryAsync();
    }
}
