using Kv.TestKit;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>What a crash of the server leaves of writes that did not wait for the disk. Its log's writer is asleep meanwhile.</summary>
public sealed class PostgresRelaxedTests(PrivatePostgresDatabase database) : IClassFixture<PrivatePostgresDatabase>
{
    [Fact]
    public async Task A_relaxed_write_waits_for_no_disk_and_a_full_one_or_a_flush_for_one()
    {
        await SleepAsync();
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["warm"], 1);

        await test.Store.Atomic().Set(["n"], 1).CommitAsync(KvDurability.Relaxed);
        await AssertComesToTheDiskAsync(test, () => test.Store.FlushAsync().AsTask());
        await test.Store.Atomic().Set(["n"], 2).CommitAsync(KvDurability.Relaxed);
        await AssertComesToTheDiskAsync(test, () => test.Store.Atomic().Set(["n"], 3).CommitAsync(KvDurability.Full).AsTask());
    }

    [Fact]
    public async Task A_follower_is_told_of_a_relaxed_write_when_it_is_on_the_disk()
    {
        await SleepAsync();
        await using var test = await database.CreateWithFeedAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await using var changes = other.Store.ChangesAsync(await test.NowAsync()).GetAsyncEnumerator();
        await test.Store.SetAsync(["warm"], 1);
        await changes.NextAsync();

        await test.Store.Atomic().Set(["n"], 1).CommitAsync(KvDurability.Relaxed);
        await AssertComesToTheDiskAsync(test, () => changes.NextAsync());
    }

    [Fact]
    public async Task A_store_whose_usual_is_relaxed_waits_for_the_disk_where_a_write_asks_for_it()
    {
        await SleepAsync();
        await using var test = await database.CreateStoreAsync(options: static options => options.Durability = KvDurability.Relaxed);

        await test.Store.SetAsync(["usual"], 1);

        await AssertComesToTheDiskAsync(test, () => test.Store.Atomic().Set(["full"], 1).CommitAsync(KvDurability.Full).AsTask());
    }

    [Fact]
    public async Task A_crash_takes_a_suffix_of_the_relaxed_writes_and_their_versionstamps_do_not_come_again()
    {
        await SleepAsync();
        await using var test = await database.CreateStoreAsync();
        var last = default(KvVersionstamp);
        for (var i = 1; i <= 60; i++)
        {
            var durability = i % 20 == 0 ? KvDurability.Full : KvDurability.Relaxed;
            last = await WriteAsync(i, durability);
            if (i == 45)
            {
                await test.Store.FlushAsync();
            }
        }

        for (var i = 61; i <= 70; i++)
        {
            last = await WriteAsync(i, KvDurability.Relaxed);
        }

        await database.Server.RestartImmediateAsync();

        var later = await test.Store.SetAsync(["later"], 1);
        var left = (await test.KeysAsync()).Where(static key => key[0] == "n").Select(static key => key[1].AsInt64()).ToList();
        Assert.Equal(Enumerable.Range(1, left.Count).Select(static i => (long)i), left);
        Assert.InRange(left.Count, 60, 70);
        Assert.Equal(left.Count, (await test.QueuedAsync()).Count);
        Assert.True(later > last);

        async Task<KvVersionstamp> WriteAsync(int i, KvDurability durability)
        {
            var write = test.Store.Atomic().Set(["n", i], i).Enqueue(i, new() { Delay = TimeSpan.FromDays(1) });
            return (await write.CommitAsync(durability)).Versionstamp;
        }
    }

    // The writer of the log would have what is relaxed on the disk after a fifth of a second.
    private async Task SleepAsync()
    {
        await ExecuteAsync("alter system set wal_writer_delay = '10s'");
        await ExecuteAsync("alter system set wal_writer_flush_after = '1GB'");
        await ExecuteAsync("select pg_reload_conf()");

        async Task ExecuteAsync(string text)
        {
            await using var connection = new NpgsqlConnection(database.Server.ConnectionString);
            await connection.OpenAsync();
            await using var command = new NpgsqlCommand(text, connection);
            await command.ExecuteNonQueryAsync();
        }
    }

    /// <summary>What was committed is not on the disk yet, and is after a step.</summary>
    private static async Task AssertComesToTheDiskAsync(KvTestStore test, Func<Task> step)
    {
        await using var connection = new NpgsqlConnection(test.ConnectionString);
        await connection.OpenAsync();
        var committed = await AskAsync("select pg_current_wal_insert_lsn()::text");
        Assert.Equal(false, await AskAsync($"select pg_current_wal_flush_lsn() >= '{committed}'::pg_lsn"));
        await step();
        Assert.Equal(true, await AskAsync($"select pg_current_wal_flush_lsn() >= '{committed}'::pg_lsn"));

        async Task<object?> AskAsync(string question)
        {
            await using var command = new NpgsqlCommand(question, connection);
            return await command.ExecuteScalarAsync();
        }
    }
}
