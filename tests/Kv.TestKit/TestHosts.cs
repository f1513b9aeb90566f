using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.TestKit;

/// <summary>Hosts of the public kit, as users start them, on the kind of database that a specification runs on.</summary>
public static class TestHosts
{
    public static KvTestDatabase Source(this KvDatabase database) =>
        database is PostgresDatabase postgres ? KvTestDatabase.PostgreSql(postgres.Server.ConnectionString) : KvTestDatabase.Sqlite;

    public static Task<KvTestHost> StartAsync(
        this KvDatabase database, Action<KvWorkerBuilder> app, Action<KvTestOptions>? options = null, LogCollector? logs = null) =>
        KvTestHost.StartAsync(
            worker =>
            {
                worker.Services.Configure<KvStoreOptions>(database.Place);
                if (logs is not null)
                {
                    worker.Services.AddLogging(static logging => logging.SetMinimumLevel(LogLevel.Warning));
                    worker.Services.AddSingleton(_ => logs.CreateProvider());
                }

                app(worker);
            },
            database.Source(),
            options,
            TestContext.Current.CancellationToken);

    /// <summary>A host whose handler of jobs does nothing but decide what becomes of them.</summary>
    public static Task<KvTestHost> StartDecidingAsync(
        this KvDatabase database, Action<KvMessageContext> decide, LogCollector? logs = null) =>
        database.StartAsync(
            app => app.Handle<Job>((_, context, _) =>
            {
                decide(context);
                return Task.CompletedTask;
            }),
            logs: logs);

    /// <summary>LINQ and SQL over the tables, as others may use them.</summary>
    public static KvDbContext CreateContext(this KvTestHost kv) =>
        kv.Services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();

    public static async Task ExecuteAsync(this KvTestHost kv, string sql, params object[] values)
    {
        await using var context = kv.CreateContext();
        await context.Database.ExecuteSqlRawAsync(sql, values);
    }

    /// <summary>The first job that waits.</summary>
    public static async Task<KvMessageInfo> WaitingAsync(this KvTestHost kv) => (await kv.Queue.GetAsync(kv.AssertEnqueued<Job>().Id))!;
}
