using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Kv.Chaos;

/// <summary>A hosted worker that says when it has begun, and ends in good order on SIGTERM.</summary>
internal static class WorkerHost
{
    public static async Task<int> RunAsync(Action<KvWorkerBuilder> handlers, bool migrate, Action<KvWorkerOptions>? options = null)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Warning)
            .AddConsole(static console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        builder.Services.AddKvStore(Settings.Database());
        var worker = builder.Services.AddKvWorker(o =>
        {
            Settings.Apply(o);
            options?.Invoke(o);
        });
        handlers(worker);
        builder.Services.AddOptions<HostOptions>().Configure<Microsoft.Extensions.Options.IOptions<KvWorkerOptions>>(
            static (host, worker) => host.ShutdownTimeout = worker.Value.ShutdownTimeout + TimeSpan.FromSeconds(10));

        using var host = builder.Build();
        if (migrate)
        {
            await host.Services.MigrateKvStoreAsync();
        }

        await host.StartAsync();
        await host.Services.GetServices<IHostedService>().OfType<Worker.KvWorker>().Single().HasBegun;
        Console.WriteLine("READY");
        await host.WaitForShutdownAsync();
        return 0;
    }
}
