using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Kv.Tests.Specs;

/// <summary>Handlers, health checks and registrations where there is more than one database.</summary>
public abstract class OtherDatabaseSpec(KvDatabase database)
{
    [Fact]
    public async Task A_completion_joined_to_another_database_is_refused_and_the_message_is_kept()
    {
        var time = new ManualTime();
        await using var other = await database.CreateStoreAsync();
        Exception? refused = null;
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>(async (_, context, token) =>
            {
                await using var otherContext = other.CreateContext();
                await using var transaction = await otherContext.Database.BeginTransactionAsync(token);
                try
                {
                    await context.CompleteAsync(otherContext, static write => write.Set(["wrong"], 1), token);
                }
                catch (InvalidOperationException error)
                {
                    refused = error;
                    await transaction.CommitAsync(token);
                    throw;
                }
            }),
            time);
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Contains("one commit spans one database", refused!.Message, StringComparison.Ordinal);
        Assert.Equal("job", Assert.Single(await test.QueuedAsync()).Topic);
        Assert.Null(await other.Store.GetAsync(["wrong"]));
        Assert.Null(await test.Store.GetAsync(["wrong"]));
    }

    [Fact]
    public async Task A_check_by_the_name_of_a_store_checks_that_store()
    {
        var (good, bad) = (await database.CreateMigratedAsync(), await database.CreateEmptyAsync());
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddKvStore(db => database.Configure(db, good));
        services.AddKvStore("two", (_, db) => database.Configure(db, bad));
        services.AddHealthChecks().AddKvStore().AddKvStore("two");
        await using var provider = services.BuildServiceProvider();

        var report = await provider.GetRequiredService<HealthCheckService>().CheckHealthAsync();

        Assert.Equal(HealthStatus.Healthy, report.Entries["kv"].Status);
        Assert.Equal(HealthStatus.Unhealthy, report.Entries["two"].Status);
        database.Release(good);
        database.Release(bad);
    }

    [Fact]
    public async Task A_check_without_a_store_that_it_could_check_says_which_it_looked_for()
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddKvStore("one", (_, db) => database.Configure(db, "Data Source=never-opened.db"));
        services.AddHealthChecks().AddKvStore("two");
        await using var provider = services.BuildServiceProvider();

        var report = await Record.ExceptionAsync(() => provider.GetRequiredService<HealthCheckService>().CheckHealthAsync());

        Assert.Contains("named 'two'", report!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_worker_needs_no_logging()
    {
        var address = await database.CreateMigratedAsync();
        var services = new ServiceCollection();
        var handled = new TaskCompletionSource();
        services.AddKvStore(db => database.Configure(db, address));
        services.AddKvWorker().Handle<Job>((_, _, _) =>
        {
            handled.TrySetResult();
            return Task.CompletedTask;
        });
        await using (var provider = services.BuildServiceProvider())
        {
            var hosted = provider.GetServices<Microsoft.Extensions.Hosting.IHostedService>().ToList();
            foreach (var service in hosted)
            {
                await service.StartAsync(CancellationToken.None);
            }

            await provider.GetRequiredService<IKvStore>().EnqueueAsync(new Job(1));

            await handled.Task.WaitAsync(WorkerTesting.Patience);

            foreach (var service in hosted)
            {
                await service.StopAsync(CancellationToken.None);
            }
        }

        database.Release(address);
    }
}

public sealed class SqliteOtherDatabaseTests(SqliteDatabase database) : OtherDatabaseSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresOtherDatabaseTests(PostgresDatabase database) : OtherDatabaseSpec(database), IClassFixture<PostgresDatabase>;
