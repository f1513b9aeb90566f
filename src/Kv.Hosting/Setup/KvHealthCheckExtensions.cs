using Kv;
using Kv.Health;
using Kv.Setup;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the health check of a store and its worker.</summary>
public static class KvHealthCheckExtensions
{
    /// <summary>
    /// Healthy while the database answers, its schema is current and the worker, if there is one, gets on. A worker whose rounds fail makes
    /// it degraded, and after 30 seconds unhealthy. On PostgreSQL a transaction that has been open for a minute makes it degraded, too:
    /// while one is, nothing is cleaned up, and queues become slow. Degraded by name are, too: a schedule that fails by itself, topics that
    /// have had messages due for <see cref="KvWorkerOptions.UnhandledAfter"/> without a handler, and dead letters until they are replayed
    /// or deleted.
    /// </summary>
    /// <remarks>
    /// The data of the result has <c>deadLetters</c> (how many, counted up to 1,000) and, where there are any, <c>unhandledTopics</c> and
    /// <c>failingSchedules</c> (names).
    /// </remarks>
    /// <param name="health">The builder that <c>services.AddHealthChecks()</c> gives.</param>
    /// <param name="name">
    /// The check's name. If a store was added under this name, it is the one that is checked, with its worker; otherwise the store
    /// without a name and its worker.
    /// </param>
    /// <param name="failureStatus">What is reported instead of unhealthy; null for unhealthy.</param>
    /// <param name="tags">Tags to choose checks by.</param>
    /// <returns>The same builder.</returns>
    public static IHealthChecksBuilder AddKvStore(
        this IHealthChecksBuilder health, string name = "kv", HealthStatus? failureStatus = null, IEnumerable<string>? tags = null)
    {
        ArgumentNullException.ThrowIfNull(health);
        health.Services.AddStoreWorkers();
        return health.Add(new HealthCheckRegistration(
            name,
            provider => Create(provider, name),
            failureStatus,
            tags));
    }

    private static IHealthCheck Create(IServiceProvider provider, string name)
    {
        try
        {
            var workers = provider.GetRequiredService<StoreWorkers>();
            var (of, store) = workers.FindStore(name) is { } named ? (name, named) : ("", workers.FindStore(""));
            return store is null
                ? throw new InvalidOperationException(
                    $"There is no store to check: neither one without a name nor one that is named '{name}', as the check is. "
                    + "Add one: services.AddKvStore(db => db.UseSqlite(...)); or give the check the name of the store that it is for.")
                : new StoreHealthCheck(store, workers.WatchOf(of, store), workers.Find(of) is null ? null : workers.HealthOf(of));
        }
        catch (ObjectDisposedException)
        {
            // What makes the checks does not expect one to fail at this.
            return new Stopped();
        }
    }

    private sealed class Stopped : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
            Task.FromResult(new HealthCheckResult(context.Registration.FailureStatus, StoreHealthCheck.Stopping));
    }
}
