using System.Data.Common;
using Kv;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using WorkerApp;

if (args.Contains("--help"))
{
    Console.WriteLine(CommandLine.Help);
    return 0;
}

try
{
    var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = AppContext.BaseDirectory });
    builder.Configuration.AddCommandLine(CommandLine.Parse(args), CommandLine.Switches);
    var settings = builder.Configuration.GetRequiredSection("WorkerApp").Get<Settings>()!;

    builder.Services.AddKvStore(settings.UseDatabase);
    builder.Services.AddKvWorker().Handle<OrderPlaced, OrderHandler>().Handle<ReceiptDue, ReceiptHandler>();
    builder.Services.Configure<KvStoreOptions>(builder.Configuration.GetSection("Kv"));
    builder.Services.Configure<KvWorkerOptions>(builder.Configuration.GetSection("Kv:Worker"));
    using var host = builder.Build();

    var stopping = host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
    using var input = await OrderInput.OpenAsync(settings.Orders, stopping);
    await host.Services.MigrateKvStoreAsync(cancellationToken: stopping);
    await host.StartAsync(stopping);
    try
    {
        var store = host.Services.GetRequiredService<IKvStore>();
        var time = host.Services.GetRequiredService<TimeProvider>();
        var keys = new ImportKeys(input.Fingerprint);
        Report.Begin(settings.Provider, input);
        var expected = await new OrderImport(store, input, new Report(settings, time)).RunAsync(stopping);
        await new Progress(store, keys, settings, time).FollowAsync(stopping);
        return await new Summary(store, keys, expected).PrintAsync(stopping) ? 0 : 1;
    }
    catch (OperationCanceledException) when (stopping.IsCancellationRequested)
    {
        Console.WriteLine("Stopped before the end. Start it again with the same arguments to go on.");
        return 1;
    }
    finally
    {
        await host.StopAsync(CancellationToken.None);
    }
}
catch (Exception error) when (error is ArgumentException or IOException or UnauthorizedAccessException or DbException or KvException)
{
    Console.Error.WriteLine(error.Message);
    return 2;
}
