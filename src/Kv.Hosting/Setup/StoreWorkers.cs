using System.Collections.Concurrent;
using Kv.Diagnostics;
using Kv.Store;
using Kv.Worker;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Kv.Setup;

/// <summary>What the worker, the schedules and the health check of each store have in common, made once in a container.</summary>
internal sealed class StoreWorkers(
    IServiceProvider provider, IEnumerable<WorkerRegistration> registrations, IOptionsMonitor<KvWorkerOptions> options)
{
    private readonly Dictionary<string, WorkerRegistration> _registrations =
        registrations.ToDictionary(static r => r.Store, StringComparer.Ordinal);

    private readonly ConcurrentDictionary<string, WorkerHealth> _health = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, QueueWatch> _watches = new(StringComparer.Ordinal);

    /// <summary>The worker of a store as it was registered; null if the store has none.</summary>
    /// <param name="name">The name of the store; empty for the one without a name.</param>
    public WorkerRegistration? Find(string name) => _registrations.GetValueOrDefault(name);

    /// <summary>The store of a name; null if there is none.</summary>
    public KvStore? FindStore(string name) => name.Length == 0
        ? provider.GetService<KvStore>()
        : (provider as IKeyedServiceProvider)?.GetKeyedService(typeof(KvStore), name) as KvStore;

    /// <summary>How a store's worker and schedules go.</summary>
    public WorkerHealth HealthOf(string name) => _health.GetOrAdd(name, static _ => new WorkerHealth());

    /// <summary>What looks for messages of a store that get nowhere.</summary>
    public QueueWatch WatchOf(string name, KvStore store) =>
        _watches.GetOrAdd(name, _ => new QueueWatch(store, OptionsOf(name), Find(name)?.Handlers));

    /// <summary>The options of a store's worker.</summary>
    public KvWorkerOptions OptionsOf(string name) => options.Get(name);
}
