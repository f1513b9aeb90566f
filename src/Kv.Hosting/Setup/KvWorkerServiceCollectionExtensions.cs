using System.Diagnostics.CodeAnalysis;
using Kv;
using Kv.Diagnostics;
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
        var (handlers, schedules) = (Registered<HandlerRegistry>(services), Registered<ScheduleRegistry>(services));
        if (handlers is null || schedules is null)
        {
            services.AddSingleton(handlers = new HandlerRegistry(services));
            services.AddSingleton(schedules = new ScheduleRegistry());
            services.AddSingleton<WorkerHealth>();
            services.TryAddSingleton<QueueWatch>();
            services.AddSingleton<TracingMiddleware>();
            services.AddSingleton(
                static provider => new LoggingMiddleware(LoggersOf(provider), provider.GetRequiredService<TimeProvider>()));
            services.AddSingleton<IHostedService>(static provider => Create<KvWorker>(provider));
            services.AddSingleton<IHostedService>(static provider => Create<Scheduler>(provider));
        }

        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<KvWorkerOptions>, KvWorkerOptionsValidator>());
        var bound = services.AddOptions<KvWorkerOptions>().ValidateOnStart();
        if (options is not null)
        {
            bound.Configure(options);
        }

        return new KvWorkerBuilder(services, handlers, schedules);
    }

    private static T? Registered<T>(IServiceCollection services)
        where T : class =>
        services.FirstOrDefault(static s => s.ServiceType == typeof(T))?.ImplementationInstance as T;

    private static T Create<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] T>(IServiceProvider provider)
    {
        // A container disposes of what it made last first: resolved here under both names, the store outlives the worker.
        _ = provider.GetService<IKvStore>();
        return ActivatorUtilities.CreateInstance<T>(
            provider,
            provider.GetService<KvStore>() ?? throw new InvalidOperationException(
                "The worker has no store to take messages from. Add one: services.AddKvStore(db => db.UseSqlite(...))."),
            LoggersOf(provider));
    }

    // A program that adds no logging wants none. Adding it here would keep out what is added later.
    private static ILoggerFactory LoggersOf(IServiceProvider provider) =>
        provider.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance;
}
