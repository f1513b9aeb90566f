using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Sqlite;

/// <summary>What the power's end leaves of a file, from all that was written to it, in any order that a disk may choose.</summary>
public sealed class SqlitePowerCutTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    private const int Writes = 120;
    private const int Cuts = 250;

    [Theory]
    [InlineData(1, KvDurability.Full)]
    [InlineData(2, KvDurability.Full)]
    [InlineData(3, KvDurability.Relaxed)]
    [InlineData(4, KvDurability.Relaxed)]
    public async Task A_power_cut_takes_a_suffix_of_the_relaxed_writes_and_nothing_that_was_full_or_flushed(int seed, KvDurability usual)
    {
        var random = new Random(seed);
        var connectionString = await database.CreateMigratedAsync();
        var path = new SqliteConnectionStringBuilder(connectionString).DataSource;
        var history = RecordedFiles.Record(path);
        List<(int Written, int Durable, int Events)> answered = [];
        await using (var test = await database.CreateStoreAsync(
            options: options => options.Durability = usual, connectionString: $"{connectionString};Vfs={RecordedFiles.Name}"))
        {
            var maintenance = test.Services.GetRequiredService<IKvMaintenance>();
            var durable = 0;
            for (var i = 1; i <= Writes; i++)
            {
                var full = random.Next(8) == 0;
                var write = test.Store.Atomic().Set(["n", i], new byte[random.Next(3000)])
                    .Enqueue(i, new() { Delay = TimeSpan.FromDays(1) });
                Assert.True((await write.CommitAsync(full ? KvDurability.Full : KvDurability.Relaxed)).Succeeded);
                switch (random.Next(12))
                {
                    case 0:
                        await test.Store.FlushAsync();
                        full = true;
                        break;
                    case 1:
                        await maintenance.RunAsync();
                        break;
                }

                durable = full ? i : durable;
                answered.Add((i, durable, history.Count));
            }

            // Before the store ends, which takes the log into the file.
            var lost = 0;
            for (var cut = 0; cut < Cuts; cut++)
            {
                var events = random.Next(history.Count + 1);
                var least = answered.LastOrDefault(a => a.Events <= events).Durable;
                var most = answered.FirstOrDefault(a => a.Events >= events, answered[^1]).Written;
                var left = await LeftAsync(history, events, random);
                lost += answered.LastOrDefault(a => a.Events <= events).Written - left > 0 ? 1 : 0;
                Assert.True(
                    left >= least && left <= most,
                    $"After {events} of {history.Count} events {left} writes are left, not {least} to {most}.");
            }

            Assert.True(lost > Cuts / 10, $"Only {lost} of {Cuts} cuts took what was answered.");
        }
    }

    [Fact]
    public async Task A_power_cut_takes_nothing_that_a_follower_was_told_of()
    {
        var random = new Random(5);
        var connectionString = await database.CreateMigratedAsync();
        var history = RecordedFiles.Record(new SqliteConnectionStringBuilder(connectionString).DataSource);
        var recorded = $"{connectionString};Vfs={RecordedFiles.Name}";
        await using var test = await database.CreateStoreAsync(connectionString: recorded);
        await using var other = await database.CreateStoreAsync(connectionString: recorded);
        await test.Changes().EnableAsync();
        await using var changes = other.Store.ChangesAsync(await test.NowAsync()).GetAsyncEnumerator();
        List<(int Told, int Events)> told = [(0, 0)];
        for (var i = 1; i <= Writes; i++)
        {
            var write = test.Store.Atomic().Set(["n", i], new byte[random.Next(3000)]).Enqueue(i, new() { Delay = TimeSpan.FromDays(1) });
            var written = await write.CommitAsync(KvDurability.Relaxed);
            if (random.Next(3) == 0)
            {
                while ((await changes.NextAsync()).Versionstamp < written.Versionstamp)
                {
                }

                told.Add((i, history.Count));
            }
        }

        for (var cut = 0; cut < Cuts; cut++)
        {
            var events = random.Next(history.Count + 1);
            Assert.InRange(await LeftAsync(history, events, random), told.Last(t => t.Events <= events).Told, Writes);
        }
    }

    [Fact]
    public async Task A_relaxed_write_waits_for_no_sync_and_a_full_one_or_a_flush_for_one()
    {
        var connectionString = await database.CreateMigratedAsync();
        var history = RecordedFiles.Record(new SqliteConnectionStringBuilder(connectionString).DataSource);
        await using var test = await database.CreateStoreAsync(connectionString: $"{connectionString};Vfs={RecordedFiles.Name}");
        await test.Store.SetAsync(["warm"], 1);
        var before = history.SyncsOfLog();

        for (var i = 0; i < 10; i++)
        {
            await test.Store.Atomic().Set(["n", i], i).CommitAsync(KvDurability.Relaxed);
        }

        Assert.Equal(before, history.SyncsOfLog());
        await test.Store.FlushAsync();
        Assert.Equal(before + 1, history.SyncsOfLog());
        await test.Store.Atomic().Set(["n", 0], 0).CommitAsync(KvDurability.Relaxed);
        await test.Store.SetAsync(["usual"], 1);
        Assert.Equal(before + 2, history.SyncsOfLog());
    }

    [Fact]
    public async Task A_follower_syncs_what_is_not_known_to_be_on_the_disk_and_nothing_else()
    {
        var connectionString = await database.CreateMigratedAsync();
        var history = RecordedFiles.Record(new SqliteConnectionStringBuilder(connectionString).DataSource);
        await using var test = await database.CreateStoreAsync(connectionString: $"{connectionString};Vfs={RecordedFiles.Name}");
        await test.Changes().EnableAsync();
        await using var changes = test.Store.ChangesAsync(await test.NowAsync()).GetAsyncEnumerator();
        await test.Store.SetAsync(["warm"], 1);
        await changes.NextAsync();
        var before = history.SyncsOfLog();

        await test.Store.Atomic().Set(["n"], 1).CommitAsync(KvDurability.Full);
        await changes.NextAsync();
        Assert.Equal(before + 1, history.SyncsOfLog());
        await test.Store.Atomic().Set(["n"], 2).CommitAsync(KvDurability.Relaxed);
        await changes.NextAsync();
        Assert.Equal(before + 2, history.SyncsOfLog());
        await using var second = test.Store.ChangesAsync(await test.NowAsync()).GetAsyncEnumerator();
        await test.Store.Atomic().Set(["n"], 3).CommitAsync(KvDurability.Full);
        await second.NextAsync();
        Assert.Equal(before + 3, history.SyncsOfLog());
    }

    [Fact]
    public async Task A_store_whose_usual_is_relaxed_syncs_for_a_write_that_asks_for_it()
    {
        var connectionString = await database.CreateMigratedAsync();
        var history = RecordedFiles.Record(new SqliteConnectionStringBuilder(connectionString).DataSource);
        await using var test = await database.CreateStoreAsync(
            options: static options => options.Durability = KvDurability.Relaxed,
            connectionString: $"{connectionString};Vfs={RecordedFiles.Name}");
        await test.Store.SetAsync(["usual"], 1);
        var before = history.SyncsOfLog();

        await test.Store.SetAsync(["usual"], 2);
        Assert.Equal(before, history.SyncsOfLog());
        await test.Store.Atomic().Set(["full"], 1).CommitAsync(KvDurability.Full);
        Assert.Equal(before + 1, history.SyncsOfLog());
    }

    [Fact]
    public async Task Whether_the_file_takes_writes_is_found_out_by_one()
    {
        var connectionString = await database.CreateMigratedAsync();
        var history = RecordedFiles.Record(new SqliteConnectionStringBuilder(connectionString).DataSource);
        await using var test = await database.CreateStoreAsync(connectionString: $"{connectionString};Vfs={RecordedFiles.Name}");
        await test.Store.SetAsync(["warm"], 1);
        var before = history.SyncsOfLog();

        await test.Engine.Runner.ProbeAsync(CancellationToken.None);
        await test.Engine.Runner.ProbeAsync(CancellationToken.None);

        Assert.Equal(before + 2, history.SyncsOfLog());
    }

    /// <returns>How many of the writes are left: those from the first to that one, and no others.</returns>
    private async Task<int> LeftAsync(FileHistory history, int events, Random random)
    {
        var left = await database.CreateEmptyAsync();
        history.Cut(new SqliteConnectionStringBuilder(left).DataSource, events, random);
        await using (var connection = new SqliteConnection($"{left};Pooling=False"))
        {
            await connection.OpenAsync();
            Assert.Equal("ok", await new SqliteCommand("pragma integrity_check", connection).ExecuteScalarAsync());
        }

        await using var test = await database.CreateStoreAsync(connectionString: left);
        List<long> numbers = [];
        await foreach (var entry in test.Store.ListAsync(KvRange.Prefix(["n"])))
        {
            numbers.Add(entry.Key[1].AsInt64());
        }

        Assert.Equal(Enumerable.Range(1, numbers.Count).Select(static i => (long)i), numbers);
        await using var context = test.CreateContext();
        Assert.Equal(numbers.Count, await context.QueuedMessages.CountAsync());
        return numbers.Count;
    }
}
