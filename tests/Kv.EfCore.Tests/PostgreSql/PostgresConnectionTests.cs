using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>How many connections a store takes from the driver's pool, and what it refuses to run on.</summary>
public sealed class PostgresConnectionTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    [Theory]
    [InlineData("Multiplexing=true", "Multiplexing=true")]
    [InlineData("Maximum Pool Size=1", "Maximum Pool Size is 1")]
    [InlineData("Maximum Pool Size=7", "needs 8 connections at the least (2 that read")]
    public async Task A_connection_string_that_cannot_work_is_refused_with_the_reason(string setting, string reason)
    {
        var address = await database.CreateMigratedAsync();
        var settings = new NpgsqlConnectionStringBuilder(address);
        settings.Remove("Maximum Pool Size");
        await using var test = await database.CreateStoreAsync(connectionString: $"{settings.ConnectionString};{setting}");

        foreach (var use in (Func<Task>[])[() => test.Store.GetAsync(["k"]).AsTask(), () => test.Services.MigrateKvStoreAsync()])
        {
            var error = await Assert.ThrowsAsync<NotSupportedException>(use);
            Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(8, 2)]
    [InlineData(11, 5)]
    [InlineData(14, 8)]
    [InlineData(40, 8)]
    public async Task A_small_pool_has_a_connection_for_each_part_of_a_store_and_readers_take_what_is_left(int connections, int readers)
    {
        var settings = new NpgsqlConnectionStringBuilder(await database.CreateMigratedAsync()) { MaxPoolSize = connections };
        await using var test = await database.CreateStoreAsync(connectionString: settings.ConnectionString);
        await test.Store.SetAsync(["a"], 1);
        await test.Store.SetAsync(["b"], 2);
        await test.Store.EnqueueAsync("m");
        using var listening = test.Engine.Listener.Listen(watches: true);
        using var leases = test.Engine.Queue.OpenLeaseKeeper();
        List<IAsyncEnumerator<KvEntry>> listings = [];

        // All readers but one are held.
        while (listings.Count < readers - 1)
        {
            listings.Add(test.Store.ListAsync(KvRange.Prefix([]), new() { Snapshot = true, BatchSize = 1 }).GetAsyncEnumerator());
            Assert.True(await listings[^1].MoveNextAsync());
        }

        await Task.WhenAll(Enumerable.Range(0, 200).Select(async i =>
        {
            await test.Store.SetAsync(["k", i], i);
            Assert.Equal(i, await test.Store.GetAsync<int>(["k", i]));
            Assert.NotEmpty(await test.Store.ListAsync(KvRange.Prefix(["k"]), new() { Limit = 3, Snapshot = true }).ToListAsync());
        }));
        Assert.Equal(200, await test.Store.CountAsync(KvRange.Prefix(["k"])));

        // With all of them held, a read waits for the first that comes back.
        listings.Add(test.Store.ListAsync(KvRange.Prefix([]), new() { Snapshot = true, BatchSize = 1 }).GetAsyncEnumerator());
        Assert.True(await listings[^1].MoveNextAsync());
        var waiting = test.Store.CountAsync(KvRange.Prefix(["k"])).AsTask();

        // The other parts have theirs; a read that had one as well would be done long before them.
        Assert.Empty(await test.Services.MigrateKvStoreAsync());
        for (var i = 0; i < 10; i++)
        {
            await test.Store.SetAsync(["other"], i);
        }

        Assert.False(waiting.IsCompleted);
        foreach (var listing in listings)
        {
            await listing.DisposeAsync();
        }

        Assert.Equal(200, await waiting);
    }
}
