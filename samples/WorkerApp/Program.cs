using Kv;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using WorkerApp;

var switches = new Dictionary<string, string>
{
    ["--provider"] = "WorkerApp:Provider",
    ["--connection"] = "WorkerApp:Connection",
    ["--orders"] = "WorkerApp:Orders",
    ["--watch"] = "WorkerApp:Watch",
    ["--applicationName"] = "applicationName", // What dotnet ef says when it starts the program to find its context.
};
var names = args.Select(static arg => arg.Split('=')[0]).Where(static name => name.StartsWith("--", StringComparison.Ordinal));
if (names.FirstOrDefault(name => !switches.ContainsKey(name) && !name.Contains(':')) is { } unknown)
{
    // Taken silently, a misspelt argument would choose the wrong database.
    Console.Error.WriteLine($"{unknown} is none of --provider, --connection, --orders, --watch, --SECTION:NAME; README.md explains them.");
    return 2;
}

// appsettings.json is beside the program, wherever that is started.
var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = AppContext.BaseDirectory });
builder.Configuration.AddCommandLine([.. args.Select(static arg => arg == "--watch" ? "--watch=true" : arg)], switches);
var settings = builder.Configuration.GetSection("WorkerApp");

builder.Services.AddKvStore(db => _ = (settings["Provider"], settings["Connection"]) switch
{
    ("sqlite", var file) => db.UseSqlite(file ?? "Data Source=workerapp.db"),
    ("postgres", { } server) => db.UseNpgsql(server),
    _ => throw new ArgumentException("Say --provider sqlite, or --provider postgres with --connection \"Host=...;Database=...\"."),
});
builder.Services.AddKvWorker().Handle<OrderPlaced, OrderHandler>().Handle<ReceiptDue, ReceiptHandler>();
builder.Services.Configure<KvStoreOptions>(builder.Configuration.GetSection("Kv"));
builder.Services.Configure<KvWorkerOptions>(builder.Configuration.GetSection("Kv:Worker"));
using var host = builder.Build();

var stopping = host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
try
{
    var input = await OrderInput.ReadAsync(settings["Orders"] ?? Path.Combine(AppContext.BaseDirectory, "orders.jsonl"), stopping);
    await host.Services.MigrateKvStoreAsync(cancellationToken: stopping);

    // From here on the worker handles orders, while more of them are imported.
    await host.StartAsync(stopping);
    var store = host.Services.GetRequiredService<IKvStore>();
    await new OrderImport(store, input, settings, host.Services.GetRequiredService<TimeProvider>()).RunAsync(stopping);
    var agrees = await new Summary(store, input).PrintAsync(stopping);
    await host.StopAsync(CancellationToken.None);
    return agrees ? 0 : 1;
}
catch (OperationCanceledException) when (stopping.IsCancellationRequested)
{
    // What the worker holds goes back to the queue, for another process or the next start.
    await host.StopAsync(CancellationToken.None);
    Console.WriteLine("Stopped before the end. Start it again with the same arguments to go on.");
    return 1;
}
catch (Exception error) when (error is ArgumentException or IOException or UnauthorizedAccessException
    or OptionsValidationException or KvException)
{
    Console.Error.WriteLine(error.Message);
    return 2;
}
