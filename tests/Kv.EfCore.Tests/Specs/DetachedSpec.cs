using System.Collections.Concurrent;
using System.Data.Common;
using System.Transactions;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>What an execution context carries stays with the caller: nothing that a store makes or opens has any of it.</summary>
public abstract class DetachedSpec(KvDatabase database)
{
    [Fact]
    public async Task What_a_store_makes_and_opens_has_nothing_of_the_caller_that_needed_it_first()
    {
        var seen = new ConcurrentBag<(string What, Surroundings Around)>();
        var connectionString = await database.CreateMigratedAsync();
        await using var test = await database.CreateStoreAsync(
            options: _ => seen.Add(("options", Surroundings.Here)),
            connectionString: connectionString,
            services: services =>
            {
                services.ConfigureDbContext<KvDbContext>(db => db.AddInterceptors(new Openings(seen)));
                services.AddKvStore("second", (_, db) =>
                {
                    seen.Add(("database", Surroundings.Here));
                    database.Configure(db, connectionString);
                });
            });
        Surroundings.Set();
        await using (var watch = test.Store.WatchAsync([["k"]]).GetAsyncEnumerator())
        {
            using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
            {
                await watch.NextAsync();
                await test.Services.GetRequiredKeyedService<IKvStore>("second").GetAsync(["k"]);
                await Task.WhenAll(Enumerable.Range(0, 6).Select(
                    _ => test.Store.ListAsync(KvRange.Prefix([]), new() { Snapshot = true }).ToListAsync().AsTask()));
                await test.Store.ResolveAsync(new KvOperationId(1, 1, 0));
            }

            await test.Store.SetAsync(["k"], 1);
            Assert.Equal(1, Assert.Single(await watch.NextAsync())!.As<int>());
            await Task.WhenAll(Enumerable.Range(0, 40).Select(i => test.Store.SetAsync(["k", i], i).AsTask()));
            await Task.WhenAll(Enumerable.Range(0, 40).Select(i => test.Store.GetAsync(["k", i]).AsTask()));
            test.Engine.Queue.OpenLeaseKeeper().Dispose();
            Assert.Equal("REQ tr-TR alice", $"{Surroundings.Here.Local} {Surroundings.Here.Culture} {Surroundings.Here.Principal}");
        }

        Assert.Contains(seen, static s => s.What == "options");
        Assert.Contains(seen, static s => s.What == "database");
        Assert.True(seen.Count(static s => s.What == "open") > 3);
        Assert.All(seen, static s => Assert.Equal(Surroundings.None, s.Around));
    }

    [Fact]
    public async Task A_caller_that_suppresses_its_own_flow_is_served_like_any_other()
    {
        await using var test = await database.CreateStoreAsync();
        Task writing, reading;
        using (ExecutionContext.SuppressFlow())
        {
            writing = test.Store.SetAsync(["k"], 1).AsTask();
            reading = test.Store.CountAsync(KvRange.Prefix([])).AsTask();
            Assert.True(ExecutionContext.IsFlowSuppressed());
        }

        await Task.WhenAll(writing, reading);
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
    }

    private sealed class Openings(ConcurrentBag<(string What, Surroundings Around)> seen) : DbConnectionInterceptor
    {
        public override InterceptionResult ConnectionOpening(
            DbConnection connection, ConnectionEventData eventData, InterceptionResult result)
        {
            seen.Add(("open", Surroundings.Here));
            return result;
        }

        public override ValueTask<InterceptionResult> ConnectionOpeningAsync(
            DbConnection connection,
            ConnectionEventData eventData,
            InterceptionResult result,
            CancellationToken cancellationToken = default) =>
            new(ConnectionOpening(connection, eventData, result));
    }
}

public sealed class SqliteDetachedTests(SqliteDatabase database) : DetachedSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresDetachedTests(PostgresDatabase database) : DetachedSpec(database), IClassFixture<PostgresDatabase>;
