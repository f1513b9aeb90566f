using Kv.Connections;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>Reads that may miss the last commits, with a streaming replica.</summary>
public sealed class PostgresReplicaTests(PostgresPair pair) : IClassFixture<PostgresPair>
{
    private const int Away = 185;
    private const int Back = 186;
    private static readonly KvRange All = KvRange.Prefix([]);

    [Fact]
    public async Task Reads_that_may_be_stale_are_served_by_the_replica_and_no_others()
    {
        await using var test = await CreateAsync();
        var store = test.Store;
        await store.SetAsync(["k"], 1);
        await pair.CaughtUpAsync();
        await pair.PauseAsync();
        await store.Atomic().Set(["k"], 2).Set(["l"], 2).CommitAsync();

        Assert.Equal(1, await store.GetAsync<int>(["k"], KvReadOptions.Eventual));
        Assert.Null(await store.GetAsync(["l"], KvReadOptions.Eventual));
        Assert.Equal([1, null], (await store.GetManyAsync([["k"], ["l"]], KvReadOptions.Eventual)).Select(static e => e?.As<int>()));
        Assert.False(await store.ExistsAsync(["l"], KvReadOptions.Eventual));
        Assert.Equal(1, await store.CountAsync(All, KvReadOptions.Eventual));
        foreach (var snapshot in (bool[])[false, true])
        {
            KvListOptions eventual = new() { Consistency = KvConsistency.Eventual, Snapshot = snapshot, BatchSize = 1 };
            Assert.Equal([1], await store.ListAsync(All, eventual).Select(static e => e.As<int>()).ToListAsync());
            Assert.Equal([["k"]], await store.ListKeysAsync(All, eventual).ToListAsync());
            Assert.Equal(1, Assert.Single((await store.ListPageAsync(All, eventual)).Entries).As<int>());
        }

        Assert.Equal(2, await store.GetAsync<int>(["k"]));
        Assert.Equal(2, await store.GetAsync<int>(["k"], KvReadOptions.Strong));
        Assert.Equal([2, 2], (await store.GetManyAsync([["k"], ["l"]])).Select(static e => e!.As<int>()));
        Assert.True(await store.ExistsAsync(["l"], KvReadOptions.Strong));
        Assert.Equal(2, await store.CountAsync(All));
        Assert.Equal(2, await store.ListAsync(All).CountAsync());
        await store.TransactAsync(async (transaction, token) =>
            transaction.Writes.Set(["l"], await transaction.GetAsync<int>(["k"], token) + 1));
        Assert.Equal(3, await store.GetAsync<int>(["l"]));
        await using (var watch = store.WatchAsync([["l"]]).GetAsyncEnumerator())
        {
            Assert.Equal(3, (await watch.NextAsync())[0]!.As<int>());
        }

        await pair.ResumeAsync();
        await pair.CaughtUpAsync();
        Assert.Equal(3, await store.GetAsync<int>(["l"], KvReadOptions.Eventual));
    }

    [Fact]
    public async Task Many_reads_at_once_come_from_the_replica_each_with_its_own_answer()
    {
        await using var test = await CreateAsync();
        for (var i = 0; i < 50; i++)
        {
            await test.Store.SetAsync(["k", i], i);
        }

        await pair.CaughtUpAsync();
        await pair.PauseAsync();
        await test.Store.DeleteRangeAsync(KvRange.Prefix(["k"]));

        var read = await Task.WhenAll(Enumerable.Range(0, 500).Select(i =>
            test.Store.GetAsync<int>(["k", i % 50], KvReadOptions.Eventual).AsTask()));
        await pair.ResumeAsync();

        Assert.Equal([.. Enumerable.Range(0, 500).Select(static i => i % 50)], read);
    }

    [Fact]
    public async Task What_has_expired_is_judged_on_the_replica_by_the_clock_that_decides()
    {
        var time = new ManualTime();
        await using var test = await CreateAsync(time: time);
        await test.Store.SetAsync(["k"], 1, TimeSpan.FromMinutes(5));
        await pair.CaughtUpAsync();
        await pair.PauseAsync();
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"], KvReadOptions.Eventual));

        time.Advance(TimeSpan.FromMinutes(6));

        Assert.Null(await test.Store.GetAsync(["k"], KvReadOptions.Eventual));
        Assert.Equal(0, await test.Store.CountAsync(All, KvReadOptions.Eventual));
        await pair.ResumeAsync();
    }

    [Fact]
    public async Task Where_the_clock_of_the_server_decides_the_replica_is_told_what_time_it_is_there()
    {
        await using var test = await CreateAsync();
        await test.Store.SetAsync(["k"], 1, TimeSpan.FromMinutes(5));
        await pair.CaughtUpAsync();
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"], KvReadOptions.Eventual));

        // As if the server had said so. The replica's own clock says something else.
        test.Engine.Clock.Learn(TimeProvider.System.GetUtcNow().AddMinutes(6).ToUnixTimeMilliseconds());

        Assert.Null(await test.Store.GetAsync(["k"], KvReadOptions.Eventual));
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
    }

    [Fact]
    public async Task While_the_replica_is_away_the_store_serves_says_so_once_and_takes_it_back()
    {
        var logs = new LogCollector();
        await using var test = await CreateAsync(logs);
        await test.Store.SetAsync(["k"], 1);
        await pair.CaughtUpAsync();
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"], KvReadOptions.Eventual));
        Assert.True(test.Engine.Replica!.Serves);

        await pair.Standby.StopAsync();
        await test.Store.SetAsync(["k"], 2);
        for (var i = 0; i < 100; i++)
        {
            Assert.Equal(2, await test.Store.GetAsync<int>(["k"], KvReadOptions.Eventual));
        }

        Assert.Equal(1, await test.Store.ListAsync(All, new() { Consistency = KvConsistency.Eventual, Snapshot = true }).CountAsync());
        Assert.Equal(LogLevel.Warning, Assert.Single(logs.Entries, static e => e.Event == Away).Level);
        Assert.NotNull(test.Engine.Replica.Away);

        await pair.Standby.StartAgainAsync();
        await logs.WaitForAsync(Back, 1);
        await pair.CaughtUpAsync();
        await pair.PauseAsync();
        await test.Store.SetAsync(["k"], 3);
        Assert.Equal(2, await test.Store.GetAsync<int>(["k"], KvReadOptions.Eventual));
        await pair.ResumeAsync();
        Assert.Null(test.Engine.Replica.Away);
        Assert.Single(logs.Entries, static e => e.Event == Away);
    }

    [Fact]
    public async Task A_server_that_repeats_something_else_is_named_and_serves_nothing()
    {
        var logs = new LogCollector();
        var other = await pair.CreateMigratedAsync();
        await using (var filled = await pair.CreateStoreAsync(connectionString: other))
        {
            await filled.Store.SetAsync(["k"], "other");
        }

        await pair.CaughtUpAsync();
        await using var test = await CreateAsync(logs, replica: pair.OnStandby(other));
        await test.Store.SetAsync(["k"], "own");

        Assert.Equal("own", await test.Store.GetAsync<string>(["k"], KvReadOptions.Eventual));

        var text = Assert.Single(logs.Entries, static e => e.Event == Away).Text;
        Assert.Contains("KvStoreOptions.ReplicaConnectionString leads to", text, StringComparison.Ordinal);
        Assert.Contains("which is no streaming replica of", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_no_standby_is_up_a_replica_of_several_hosts_may_be_the_store_itself()
    {
        var logs = new LogCollector();
        var address = await pair.CreateMigratedAsync();
        await using var test = await CreateAsync(logs, replica: address, address: address);
        await test.Store.SetAsync(["k"], 1);

        Assert.Equal(1, await test.Store.GetAsync<int>(["k"], KvReadOptions.Eventual));

        Assert.DoesNotContain(logs.Entries, static e => e.Event == Away);
    }

    [Fact]
    public async Task A_value_that_cannot_be_read_is_the_callers_and_no_fault_of_the_replica()
    {
        var logs = new LogCollector();
        await using var test = await CreateAsync(logs);
        await test.Store.SetAsync(["k"], "text");
        await pair.CaughtUpAsync();
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();

        await Assert.ThrowsAsync<KvException>(() => test.Store.GetAsync<int>(["k"], KvReadOptions.Eventual).AsTask());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            test.Store.CountAsync(All, KvReadOptions.Eventual, cancelled.Token).AsTask());
        await Assert.ThrowsAsync<FormatException>(() => test.Engine.EventualReader.ListAsync<int>(
            new(All.Start, All.End, false, 10, false), static _ => throw new FormatException(), default).AsTask());

        Assert.Equal("text", await test.Store.GetAsync<string>(["k"], KvReadOptions.Eventual));
        Assert.DoesNotContain(logs.Entries, static e => e.Event == Away);
    }

    [Fact]
    public async Task A_flush_on_a_server_that_became_a_standby_is_one_that_waits_for_another()
    {
        await using var test = await CreateAsync();
        await using var connection = new NpgsqlConnection(pair.OnStandby(test.ConnectionString));
        await pair.CaughtUpAsync();
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(test.Engine.Driver.Sql.Flush, connection);

        var error = await Assert.ThrowsAsync<PostgresException>(() => command.ExecuteNonQueryAsync());

        Assert.Equal(Fault.Broken, test.Engine.Driver.Classify(error));
    }

    private async Task<KvTestStore> CreateAsync(
        LogCollector? logs = null, TimeProvider? time = null, string? replica = null, string? address = null)
    {
        address ??= await pair.CreateMigratedAsync();
        return await pair.CreateStoreAsync(
            time,
            o => o.ReplicaConnectionString = replica ?? pair.OnStandby(address),
            address,
            services => _ = logs is null
                ? services
                : services.AddLogging(static l => l.SetMinimumLevel(LogLevel.Debug)).AddSingleton(_ => logs.CreateProvider()));
    }
}
