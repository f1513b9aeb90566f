using Kv.Driving;
using Kv.Schedules;
using Kv.Setup;
using Kv.Store;
using Kv.Time;
using Kv.Worker;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Kv.Hosts;

/// <summary>What drives the stores and workers of one container.</summary>
internal sealed class TestRig : IDisposable
{
    private readonly Deliveries _deliveries;
    private readonly Lock _gate = new();
    private Driver? _driver;

    public TestRig(KvTestOptions options)
    {
        (Options, Clock) = (options, options.Clock ?? new TestClock(options.Start));
        Options.Faults.Use(Clock);
        _deliveries = new Deliveries(Clock);
    }

    public KvTestOptions Options { get; }

    public TestClock Clock { get; }

    /// <summary>Takes the workers of a container over, once.</summary>
    public Driver Drive(IServiceProvider services)
    {
        lock (_gate)
        {
            if (_driver is null)
            {
                var all = Find(services);
                var driver = _driver = new Driver(Clock, Options, _deliveries, all);
                all.ForEach(rounds => rounds.Store.Engine.Pipeline.Written = driver.WrittenAsync);
            }

            return _driver;
        }
    }

    /// <summary>Stops the workers that took the place of others: the host does not know of them.</summary>
    public Task StopSuccessorsAsync(CancellationToken cancellationToken) =>
        _driver?.StopSuccessorsAsync(cancellationToken) ?? Task.CompletedTask;

    public void Dispose() => _driver?.Dispose();

    private List<Rounds> Find(IServiceProvider services)
    {
        var hosted = services.GetServices<IHostedService>().ToList();
        List<Rounds> all = [];
        foreach (var registration in services.GetServices<WorkerRegistration>())
        {
            var store = services.GetRequiredService<StoreWorkers>().FindStore(registration.Store)!;
            var worker = hosted.OfType<KvWorker>().Single(worker => worker.Store == store);
            var scheduler = hosted.OfType<Scheduler>().Single(scheduler => scheduler.Store == store);
            worker.Claimed = _deliveries.Claimed;
            registration.Handlers.UseFirst(_deliveries.WatchAsync);
            all.Add(new Rounds(
                store, worker, scheduler, registration, () => KvWorkerServiceCollectionExtensions.NewWorker(services, registration)));
        }

        if (services.GetService<KvStore>() is { } plain && !all.Exists(rounds => rounds.Store == plain))
        {
            all.Add(new Rounds(plain, worker: null, scheduler: null, registration: null));
        }

        return all;
    }
}
