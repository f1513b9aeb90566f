using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.Specs;

/// <summary>What an application hears of its stores when it ends.</summary>
public abstract class DisposalSpec(KvDatabase database)
{
    // A server or a library that is set up so is told of once in a process.
    private static readonly int[] OfTheDatabase = [12, 13];

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task An_application_that_ends_right_after_its_first_write_is_not_alarmed(bool synchronously, bool watches)
    {
        var address = await database.CreateMigratedAsync();
        var logs = new LogCollector();
        for (var i = 0; i < 8; i++)
        {
            var provider = new ServiceCollection().AddLogging(logging => logging.AddProvider(logs.CreateProvider()))
                .AddKvStore(db => database.Configure(db, address))
                .AddKvStore("last", (_, db) => database.Configure(db, address)).BuildServiceProvider();

            // What was made last is disposed of first, and by then the container makes no connection for the other any more.
            var store = provider.GetRequiredService<IKvStore>();
            await provider.GetRequiredKeyedService<IKvStore>("last").SetAsync(["k"], i);
            await using var watch = store.WatchAsync([["k"]]).GetAsyncEnumerator();
            if (watches)
            {
                await watch.MoveNextAsync();
            }

            await store.SetAsync(["k"], i);
            if (synchronously)
            {
                provider.Dispose();
            }
            else
            {
                await provider.DisposeAsync();
            }
        }

        Assert.DoesNotContain(logs.Entries, static entry => entry.Level >= LogLevel.Warning && !OfTheDatabase.Contains(entry.Event));
        database.Release(address);
    }
}

public sealed class SqliteDisposalTests(SqliteDatabase database) : DisposalSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresDisposalTests(PostgresDatabase database) : DisposalSpec(database), IClassFixture<PostgresDatabase>;
