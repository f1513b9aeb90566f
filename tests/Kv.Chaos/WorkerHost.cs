using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Kv.Chaos;

/// <summary>A hosted worker that says when it has begun, and ends in good order on SIGTERM.</summary>
internal static class WorkerHost
{
    public static async Task<int> RunAsync(Action<KvWorkerBuilder> handlers, bool migrate)
    {
        // Nothing but the variables: settings that lie in the current folder are somebody else's.
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.AddProvider(new LineLogging());
        builder.Services.AddKvStore(Settings.Database());
        handlers(builder.Services.AddKvWorker(static options =>
        {
            Settings.Apply(options);

            // Whoever kills this worker does so on purpose: that does not make the messages that it held undeliverable.
            options.MaxCrashes = int.MaxValue;
        }));
        builder.Services.AddOptions<HostOptions>().Configure<IOptions<KvWorkerOptions>>(
            static (host, worker) => host.ShutdownTimeout = worker.Value.ShutdownTimeout + TimeSpan.FromSeconds(10));
        builder.Services.Configure<ConsoleLifetimeOptions>(static console => console.SuppressStatusMessages = true);

        using var host = builder.Build();
        if (migrate)
        {
            await host.Services.MigrateKvStoreAsync();
        }

        await host.StartAsync();
        var begun = host.Services.GetServices<IHostedService>().OfType<Worker.KvWorker>().Single().HasBegun;
        var shutdown = host.WaitForShutdownAsync();

        // A worker whose database does not answer is not ready, and can be stopped all the same.
        if (await Task.WhenAny(begun, shutdown) == begun)
        {
            Console.WriteLine("READY");
        }

        await shutdown;
        return 0;
    }
}
