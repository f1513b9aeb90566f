using Kv;
using Kv.Handling;
using Kv.Schedules;
using Kv.Setup;
using Kv.Store;
using Kv.Worker;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the worker.</summary>
public static class KvWorkerServiceCollectionExtensions
{
    /// <summary>Adds the hosted service that takes due messages from the store's queue and calls their handlers.</summary>
    /// <remarks>
    /// The store is added with <c>AddKvStore</c>. Options can also come from configuration:
    /// <c>services.Configure&lt;KvWorkerOptions&gt;(configuration.GetSection("Kv:Worker"))</c>. Calling it again adds handlers to the
    /// same worker.
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="options">Changes the worker's options.</param>
    /// <returns>The builder that takes the handlers.</returns>
    public static KvWorkerBuilder AddKvWorker(this IServiceCollection services, Action<KvWorkerOptions>? options = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        return Add(services, Options.Options.DefaultName, options);
    }

    /// <summary>Adds the hosted service that takes due messages from the queue of a store with a name.</summary>
    /// <remarks>
    /// Each store has a worker of its own, with its own handlers, schedules and options; a handler's
    /// <see cref="KvMessageContext.Store"/> is the store that its message came from. Options can also come from configuration, by the name
    /// of the store: <c>services.Configure&lt;KvWorkerOptions&gt;("audit", configuration.GetSection("Audit:Worker"))</c>. Calling it again
    /// adds handlers to the same worker.
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="store">The name that the store was added under.</param>
    /// <param name="options">Changes the worker's options.</param>
    /// <returns>The builder that takes the handlers.</returns>
    public static KvWorkerBuilder AddKvWorker(this IServiceCollection services, string store, Action<KvWorkerOptions>? options = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrEmpty(store);
        return Add(services, store, options);
    }

    /// <summary>Adds <see cref="IKvSchedules"/> to a program that has no worker. <c>AddKvWorker</c> adds it by itself.</summary>
    /// <param name="services">The services.</param>
    /// <param name="store">
    /// The name that the store was added under, which is the key of the service as well; null for the store without a name.
    /// </param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddKvSchedules(this IServiceCollection services, string? store = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        AddSchedules(services, store ?? "");
        return services;
    }

    private static KvWorkerBuilder Add(IServiceCollection services, string name, Action<KvWorkerOptions>? options)
    {
        var registrations = services.Select(static s => s.ImplementationInstance).OfType<WorkerRegistration>().ToList();
        if (registrations.Count == 0)
        {
            services.AddSingleton<TracingMiddleware>();
            services.AddSingleton(
                static provider => new LoggingMiddleware(LoggersOf(provider), provider.GetRequiredService<TimeProvider>()));
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<KvWorkerOptions>, KvWorkerOptionsValidator>());
        }

        var bound = services.AddOptions<KvWorkerOptions>(name).ValidateOnStart();
        if (registrations.Find(r => r.Store == name) is not { } worker)
        {
            services.AddSingleton(worker = new WorkerRegistration(name, new HandlerRegistry(services), new ScheduleRegistry()));
            services.AddStoreWorkers();
            AddSchedules(services, name);
            services.AddSingleton<IHostedService>(provider => CreateWorker(provider, worker));
            services.AddSingleton<IHostedService>(provider => CreateScheduler(provider, worker));
            bound.Configure<IServiceProvider>((of, provider) => Configure(of, provider, name));
        }

        if (options is not null)
        {
            bound.Configure(options);
        }

        return new KvWorkerBuilder(services, worker.Handlers, worker.Schedules);
    }

    /// <summary>Adds what workers and health checks share.</summary>
    internal static void AddStoreWorkers(this IServiceCollection services) => services.AddOptions().TryAddSingleton<StoreWorkers>();

    private static void Configure(KvWorkerOptions options, IServiceProvider provider, string name)
    {
        if (StoreConfiguration.Find(provider, name)?.WorkerOf(provider) is { } section)
        {
            StoreConfiguration.Bind(section, options);
        }
    }

    private static KvWorker CreateWorker(IServiceProvider provider, WorkerRegistration worker)
    {
        if (StoreConfiguration.Find(provider, worker.Store)?.TopicsOf(provider) is { } topics)
        {
            worker.Handlers.Configure(
                topics.GetChildren().Select(static topic => topic.Key),
                (topic, options) => StoreConfiguration.Bind(topics.GetSection(topic), options));
        }

        return NewWorker(provider, worker);
    }

    /// <summary>Makes a worker of what is configured already.</summary>
    internal static KvWorker NewWorker(IServiceProvider provider, WorkerRegistration worker)
    {
        var (store, workers) = (StoreOf(provider, worker), provider.GetRequiredService<StoreWorkers>());
        return new KvWorker(
            store,
            worker.Handlers,
            provider.GetRequiredService<IServiceScopeFactory>(),
            workers.OptionsOf(worker.Store),
            provider.GetRequiredService<IOptions<HostOptions>>().Value,
            workers.HealthOf(worker.Store),
            workers.WatchOf(worker.Store, store),
            LoggersOf(provider));
    }

    private static Scheduler CreateScheduler(IServiceProvider provider, WorkerRegistration worker) => new(
        StoreOf(provider, worker),
        worker.Schedules,
        ApplicationOf(provider, worker),
        provider.GetRequiredService<TimeProvider>(),
        provider.GetRequiredService<StoreWorkers>().HealthOf(worker.Store),
        LoggersOf(provider));

    private static string ApplicationOf(IServiceProvider provider, WorkerRegistration worker) =>
        provider.GetRequiredService<StoreWorkers>().OptionsOf(worker.Store).ApplicationName
            ?? provider.GetService<IHostEnvironment>()?.ApplicationName ?? AppDomain.CurrentDomain.FriendlyName;

    private static void AddSchedules(IServiceCollection services, string name)
    {
        services.AddStoreWorkers();
        if (name.Length == 0)
        {
            services.TryAddSingleton<IKvSchedules>(static provider => CreateSchedules(provider, ""));
        }
        else
        {
            services.TryAddKeyedSingleton<IKvSchedules>(name, static (provider, key) => CreateSchedules(provider, (string)key!));
        }
    }

    private static KvSchedules CreateSchedules(IServiceProvider provider, string name)
    {
        var (of, arguments) = name.Length == 0 ? ("", "db") : ($" '{name}'", $"\"{name}\", (_, db)");
        return new KvSchedules(provider.GetRequiredService<StoreWorkers>().FindStore(name) ?? throw new InvalidOperationException(
            $"There is no store{of} for IKvSchedules. Add one: services.AddKvStore({arguments} => db.UseSqlite(...))."));
    }

    private static KvStore StoreOf(IServiceProvider provider, WorkerRegistration worker)
    {
        // A container disposes of what it made last first: resolved here under both names, the store outlives the worker.
        if (worker.Store.Length == 0)
        {
            _ = provider.GetService<IKvStore>();
        }
        else
        {
            _ = provider.GetKeyedService<IKvStore>(worker.Store);
        }

        var (of, arguments) = worker.Store.Length == 0 ? ("", "db") : ($" of the store '{worker.Store}'", $"\"{worker.Store}\", (_, db)");
        return provider.GetRequiredService<StoreWorkers>().FindStore(worker.Store) ?? throw new InvalidOperationException(
            $"The worker{of} has no store to take messages from. Add one: services.AddKvStore({arguments} => db.UseSqlite(...)).");
    }

    // A program that adds no logging wants none. Adding it here would keep out what is added later.
    private static ILoggerFactory LoggersOf(IServiceProvider provider) =>
        provider.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance;
}
