using Kv.Health;
using Kv.Store;
using Kv.TestKit;
using Kv.Worker;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Kv.Tests.Specs;

/// <summary>
/// Two versions on one database. The newer one is this version with a migration more, which lets this version go on; so this version,
/// whose migrations are fewer by one, is the older one.
/// </summary>
public abstract class SideBySideSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly List<string> _handled = [];
    private readonly Gate _gate = new();

    [Fact]
    public async Task The_older_version_goes_on_while_the_newer_one_migrates_under_it()
    {
        await using var older = await CreateAsync("older");
        await using var newer = await CreateAsync("newer", beside: older, services: NewerVersion.Use);
        await older.Store.Atomic().Set(["a"], 1).Set(["b"], 1).Sum(["n"], 1).CommitAsync();
        await older.Store.EnqueueAsync(new Job(1));
        await older.ClaimAsync();
        await _gate.Begun;
        await older.Store.EnqueueAsync(new Job(2));
        await using var watch = older.Store.WatchAsync([["a"]]).GetAsyncEnumerator();
        Assert.True(await watch.MoveNextAsync());

        Assert.Equal([NewerVersion.Migration], await newer.Services.MigrateKvStoreAsync());

        // What it was doing comes to its end: the statements that it has prepared, what it runs, what it watches.
        _gate.Open();
        await older.IdleAsync();
        await older.SettleAsync();
        Assert.Equal(["older 1", "older 2"], _handled);
        await newer.Store.SetAsync(["a"], 2);
        Assert.True(await watch.MoveNextAsync());
        Assert.Equal(2, watch.Current[0]!.As<int>());
        await older.Store.Atomic().Check(["a"], watch.Current[0]!.Versionstamp).Delete(["b"]).Sum(["n"], 1).CommitAsync();
        Assert.Equal(2ul, await newer.Store.GetAsync<ulong>(["n"]));
        Assert.Equal([["a"], ["n"]], await newer.Store.ListKeysAsync(KvRange.All).Where(static key => key.Count == 1).ToListAsync());
        older.AssertQueueEmpty();
    }

    [Fact]
    public async Task Both_start_on_the_newer_schema_and_each_handles_what_the_other_enqueues()
    {
        await using var newer = await CreateAsync("newer", services: NewerVersion.Use);
        await newer.Services.MigrateKvStoreAsync();
        await using var older = await CreateAsync("older", beside: newer);
        _gate.Open();

        foreach (var (from, to) in new[] { (older, newer), (newer, older) })
        {
            _handled.Clear();
            await from.Store.Atomic()
                .Enqueue(new Job(1), new KvEnqueueOptions { GroupKey = "g" })
                .Enqueue(new Job(2), new KvEnqueueOptions { GroupKey = "g" })
                .Enqueue(new Job(3), new KvEnqueueOptions { UniqueKey = "u", Delay = TimeSpan.FromSeconds(1) })
                .Enqueue(new Job(-1), new KvEnqueueOptions { BackoffSchedule = [TimeSpan.FromSeconds(1)] })
                .CommitAsync();
            _time.Advance(TimeSpan.FromSeconds(2));
            await to.SettleAsync();
            await to.IdleAsync();
            _time.Advance(TimeSpan.FromSeconds(2));
            await to.SettleAsync();
            await to.IdleAsync();

            var by = to == older ? "older" : "newer";
            Assert.Equal([$"{by} 1", $"{by} 2", $"{by} 3"], _handled.Order(StringComparer.Ordinal));
            Assert.True(_handled.IndexOf($"{by} 1") < _handled.IndexOf($"{by} 2"));
            from.AssertQueueEmpty();
            var letter = Assert.Single(await from.DeadLettersAsync());
            Assert.Equal(2, letter.Attempts);
            Assert.True(await from.Queue().DeleteAsync(letter));
        }

        // A row of the older version has what the migration gives to all.
        await older.Store.EnqueueAsync(new Job(4));
        await using var context = newer.CreateContext();
        var weights = context.Database.SqlQueryRaw<long>("select weight as \"Value\" from queue where tag is null");
        Assert.Equal(7, await weights.SingleAsync());
    }

    [Fact]
    public async Task A_migration_that_lets_no_older_version_go_on_makes_running_ones_unhealthy_and_refuses_those_that_start()
    {
        await using var running = await CreateAsync("older");
        await running.Store.SetAsync(["a"], 1);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(running)).Status);
        await running.ExecuteAsync("insert into __kv_migrations values ('29990101000000_Tags', '99.0.0')");

        var health = await CheckAsync(running);
        await using var starting = await CreateAsync("older", beside: running);
        var error = await Assert.ThrowsAsync<KvException>(() => starting.Store.GetAsync(["a"]).AsTask());

        Assert.Equal(HealthStatus.Unhealthy, health.Status);
        Assert.Contains("29990101000000_Tags", health.Description, StringComparison.Ordinal);
        Assert.Equal(KvErrorKind.Schema, error.Kind);
        Assert.Contains("no older version goes on beside it", error.Message, StringComparison.Ordinal);
    }

    private static Task<HealthCheckResult> CheckAsync(KvTestStore test)
    {
        var check = new StoreHealthCheck((KvStore)test.Store, new QueueWatch((KvStore)test.Store, new KvWorkerOptions()));
        var registration = new HealthCheckRegistration("kv", check, failureStatus: null, tags: null);
        return check.CheckHealthAsync(new HealthCheckContext { Registration = registration });
    }

    private Task<KvTestStore> CreateAsync(string name, KvTestStore? beside = null, Action<IServiceCollection>? services = null) =>
        database.CreateStoreAsync(_time, connectionString: beside?.ConnectionString, services: collection =>
        {
            services?.Invoke(collection);
            collection.AddKvWorker().Handle<Job>(async (job, context, token) =>
            {
                if (job.Number < 0)
                {
                    throw new InvalidOperationException("It fails.");
                }

                if (job.Number == 1)
                {
                    await _gate.PassAsync(context, token);
                }

                await context.CompleteAsync(write => write.Set(["handled", name, job.Number], true), token);
                lock (_handled)
                {
                    _handled.Add($"{name} {job.Number}");
                }
            });
        });
}

public sealed class SqliteSideBySideTests(SqliteDatabase database) : SideBySideSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresSideBySideTests(PostgresDatabase database) : SideBySideSpec(database), IClassFixture<PostgresDatabase>;
