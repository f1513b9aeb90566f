using System.Data.Common;
using System.Net.Sockets;
using Kv;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
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
    var settings = builder.Configuration.GetSection("WorkerApp").Get<Settings>() ?? new Settings();

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
        return await RunAsync(host.Services, settings, input, stopping) ? 0 : 1;
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
catch (Exception error) when (error.GetBaseException() is ArgumentException or FormatException or IOException or UnauthorizedAccessException
    or DbException or SocketException or KvException or OptionsValidationException)
{
    var cause = error.GetBaseException();
    Console.Error.WriteLine(cause == error ? error.Message : $"{error.Message} {cause.Message}");
    return 2;
}

// The worker handles orders from the moment the first ones are imported.
static async Task<bool> RunAsync(IServiceProvider services, Settings settings, OrderInput input, CancellationToken stopping)
{
    var store = services.GetRequiredService<IKvStore>();
    var time = services.GetRequiredService<TimeProvider>();
    var keys = new ImportKeys(input.Fingerprint);
    var progress = new Progress(store, keys, settings, time);
    Console.WriteLine($"Import {input.Fingerprint}: {input.Name}, {settings.Provider}");
    if (await progress.IsDoneAsync(stopping))
    {
        Console.WriteLine("Everything is already done.");
    }

    var expected = await new OrderImport(store, input, new Report(settings, time)).RunAsync(stopping);
    await progress.FollowAsync(stopping);
    return await new Summary(store, keys, expected).PrintAsync(stopping);
}
