using System.Globalization;
using System.Text;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>What the README of tests/Kv.Chaos promises of its verbs.</summary>
public abstract class ChaosVerbsSpec(KvDatabase database) : IDisposable
{
    private static readonly string[] Worker = ["worker"];
    private readonly string _folder = Directory.CreateTempSubdirectory("efkv-verbs-").FullName;

    private string Lines => Path.Combine(_folder, "lines");

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task A_worker_makes_the_tables_handles_a_row_of_five_columns_and_ends_with_0()
    {
        var connection = await database.CreateEmptyAsync();
        using var worker = ChaosProcess.Start(
            database, connection, ["worker", "--migrate"], ("EFKV_NAME", "first life"), ("EFKV_SINK", $"file:{Lines}"), ("EFKV_POLL_MS", "20"), ("EFKV_WORK_MS", "1,2"));
        Assert.Equal("READY", await worker.ReadLineAsync());
        await using var store = await database.CreateStoreAsync(connectionString: connection);

        await store.ExecuteAsync(
            "insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered) values ({0}, {1}, {2}, {3}, {4})", 5L, "row", "pay\u00ff\u2603load"u8.ToArray(), "[10]", "[]");

        await worker.WrittenAsync(Lines, () => Read().Length == 2);
        worker.Terminate();
        Assert.Equal(0, (await worker.EndAsync()).ExitCode);
        var (begin, end) = (Read()[0].Split('\t'), Read()[1].Split('\t'));
        Assert.Equal(["D", begin[1], "first life", "pay\u00ff\u2603load", "1", "-"], begin);
        Assert.Equal(["E", end[1], "first life", "pay\u00ff\u2603load", "1", "ok"], end);
        Assert.True(long.Parse(begin[1], CultureInfo.InvariantCulture) < long.Parse(end[1], CultureInfo.InvariantCulture));
        store.AssertQueueEmpty();
    }

    [Fact]
    public async Task What_a_worker_is_to_fail_is_tried_again_and_the_attempts_count()
    {
        var connection = await database.CreateMigratedAsync();
        await using var store = await database.CreateStoreAsync(connectionString: connection);
        await store.ExecuteAsync(
            "insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered) values ({0}, {1}, {2}, {3}, {4})", 5L, "row", "m"u8.ToArray(), "[1]", "[]");

        using var worker = ChaosProcess.Start(database, connection, Worker, ("EFKV_SINK", $"file:{Lines}"), ("EFKV_POLL_MS", "20"), ("EFKV_FAIL_P", "1"));

        await worker.WrittenAsync(Lines, () => Read().Length == 4);
        Assert.Equal(["1\t-", "1\tfail", "2\t-", "2\tfail"], Read().Select(static line => line[(line.LastIndexOf('m') + 2)..]));
        worker.Terminate();
        Assert.Equal(0, (await worker.EndAsync()).ExitCode);
    }

    [Fact]
    public async Task A_worker_without_a_database_that_can_be_used_can_be_stopped()
    {
        var connection = await database.CreateEmptyAsync();
        using var worker = ChaosProcess.Start(database, connection, Worker);
        await worker.SaidAsync("Taking messages failed");

        worker.Terminate();

        Assert.Equal(0, (await worker.EndAsync()).ExitCode);
    }

    [Theory]
    [InlineData("EFKV_PROVIDER", "oracle", "sqlite or postgres")]
    [InlineData("EFKV_CONNECTION", "nonsense", "connection string")]
    [InlineData("EFKV_CONNECTION", "", "EFKV_CONNECTION is not set")]
    [InlineData("EFKV_LEASE_MS", "soon", "milliseconds")]
    [InlineData("EFKV_LEASE_MS", "10", "KvWorkerOptions.Lease")]
    [InlineData("EFKV_HEARTBEAT_MS", "20000", "KvWorkerOptions.HeartbeatInterval")]
    [InlineData("EFKV_CONCURRENCY", "0", "KvWorkerOptions.Concurrency")]
    [InlineData("EFKV_WORK_MS", "5,1", "lesser first")]
    [InlineData("EFKV_FAIL_P", "2", "0 to 1")]
    [InlineData("EFKV_SINK", "tcp:here", "file:PATH")]
    public async Task A_variable_that_cannot_work_is_one_line_that_says_what_would(string variable, string value, string remedy)
    {
        var connection = await database.CreateMigratedAsync();
        using var worker = ChaosProcess.Start(database, connection, Worker, (variable, value));

        var (exitCode, errors) = await worker.EndAsync();

        Assert.NotEqual(0, exitCode);
        Assert.Contains(remedy, Assert.Single(errors.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_writer_acknowledged_is_there_after_it_was_killed_and_a_new_one_goes_on()
    {
        var connection = await database.CreateMigratedAsync();
        using (var killed = ChaosProcess.Start(database, connection, ["writer"], ("EFKV_ACK", Lines)))
        {
            await killed.WrittenAsync(Lines, () => Read().Length >= 20);
            killed.Kill();
            await killed.EndAsync();
        }

        var before = Read().Length;
        using var writer = ChaosProcess.Start(database, connection, ["writer"], ("EFKV_ACK", Lines));
        await writer.WrittenAsync(Lines, () => Read().Length >= before + 20);
        writer.Terminate();
        Assert.Equal(0, (await writer.EndAsync()).ExitCode);

        await using var store = await database.CreateStoreAsync(connectionString: connection);
        var there = await store.Store.ListKeysAsync(KvRange.Prefix(["t"])).Select(static key => key[^1].AsInt64()).ToListAsync();
        var acknowledged = Read().Select(static line => long.Parse(line, CultureInfo.InvariantCulture)).ToList();
        Assert.Equal(Enumerable.Range(1, there.Count).Select(static i => (long)i), there);
        Assert.Equal(acknowledged, acknowledged.Distinct().Order());
        Assert.Subset(there.ToHashSet(), acknowledged.ToHashSet());

        // The one that was committed when the killed writer could not write it down any more.
        Assert.InRange(there.Count - acknowledged.Count, 0, 1);
    }

    // The last line may be on its way.
    private string[] Read()
    {
        if (!File.Exists(Lines))
        {
            return [];
        }

        using var file = new FileStream(Lines, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(file, Encoding.UTF8);
        return reader.ReadToEnd().Split('\n')[..^1];
    }
}

public sealed class SqliteChaosVerbsTests(SqliteDatabase database) : ChaosVerbsSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresChaosVerbsTests(PostgresDatabase database) : ChaosVerbsSpec(database), IClassFixture<PostgresDatabase>;
