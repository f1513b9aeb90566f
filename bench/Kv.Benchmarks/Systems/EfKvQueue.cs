using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Kv.Benchmarks.Systems;

/// <summary>The store and its worker in a host, as an application has them.</summary>
/// <param name="target">Where the queue is.</param>
/// <param name="lease">How long a message belongs to a dead worker; null for the default.</param>
/// <param name="interceptor">Looks on at the connections.</param>
public sealed class EfKvQueue(Target target, TimeSpan? lease = null, IInterceptor? interceptor = null) : QueueSystem
{
    /// <summary>How many messages a worker handles at once: the most that it allows, and as many as graphile-worker fetches at once here.</summary>
    public const int Concurrency = 1000;

    private IHost? _host;
    private IKvStore? _store;
    private bool _paused;
    private Func<long, Task> _handle = static _ => Task.CompletedTask;

    private IKvQueue Queue => _host!.Services.GetRequiredService<IKvQueue>();

    public override async Task SetUpAsync()
    {
        await target.CreateAsync();
        await using var services = new ServiceCollection().AddKvStore(target.Configure).BuildServiceProvider();
        await services.MigrateKvStoreAsync();
    }

    public override async Task OpenAsync()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Logging.AddSimpleConsole().SetMinimumLevel(LogLevel.Error);
        builder.Services.AddKvStore(db =>
        {
            target.Configure(db);
            if (interceptor is not null)
            {
                db.AddInterceptors(interceptor);
            }
        });
        builder.Services
            .AddKvWorker(options => (options.Concurrency, options.Lease) = (Concurrency, lease ?? options.Lease))
            .Handle<BenchMessage>((message, _, _) => _handle(message!.Number));
        _host = builder.Build();
        _store = _host.Services.GetRequiredService<IKvStore>();
        await _store.GetAsync(["bench"]);
    }

    public override async ValueTask EnqueueAsync(long message) => await _store!.EnqueueAsync(new BenchMessage(message));

    public override async Task FillAsync(int messages)
    {
        foreach (var numbers in Enumerable.Range(0, messages).Chunk(500))
        {
            var write = _store!.Atomic();
            foreach (var number in numbers)
            {
                write.Enqueue(new BenchMessage(number));
            }

            await write.CommitAsync();
        }
    }

    public override async Task WaitingAsync(int messages)
    {
        var now = TimeProvider.System.GetUtcNow();
        var payload = "{\"Number\":1}"u8.ToArray();
        await using var connection = await target.OpenAsync();
        await Seeder.FillAsync(connection, "queue", ["ts", "id", "data", "backoff_schedule", "keys_if_undelivered", "topic", "type", "encoding"], Enumerable.Range(0, messages).Select(i => (object[])
        [
            (i % 2 == 0 ? now : now.AddDays(1)).ToUnixTimeMilliseconds() + (i / 100), Guid.CreateVersion7(now.AddMilliseconds(i / 100)).ToString(),
            payload, "[]", "[]", i % 2 == 0 ? "other" : BenchMessage.Name, BenchMessage.Name, 4,
        ]));
    }

    public override async Task StartAsync(Func<long, Task> handle)
    {
        _handle = handle;
        if (_paused)
        {
            _paused = false;
            await Queue.ResumeAsync(BenchMessage.Name);
        }
        else
        {
            await _host!.StartAsync();
        }
    }

    /// <summary>The worker stays, as it does where a backlog builds up: a host that starts has much to do besides.</summary>
    public override async Task StopAsync()
    {
        _paused = true;
        await Queue.PauseAsync(BenchMessage.Name);
    }

    public override async Task CloseAsync()
    {
        if (_host is { } host)
        {
            (_host, _store, _paused) = (null, null, false);
            await host.StopAsync();
            host.Dispose();
        }
    }
}

/// <summary>Its topic is its name.</summary>
[KvMessage(Name)]
public sealed record BenchMessage(long Number)
{
    public const string Name = "bench";
}
