using Kv;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Schema;
using Kv.Store;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>What an application asks of its stores when it starts.</summary>
public static class KvServiceProviderExtensions
{
    /// <summary>Creates the database if it is missing, and applies the store's migrations that it lacks.</summary>
    /// <remarks>
    /// Any number of processes may call it at once: one migrates, the others wait, under a lock of the database that ends with its holder. Do not
    /// mix it with <c>dotnet ef database update</c> at one moment. A server that is starting is waited for, for
    /// <see cref="KvStoreOptions.CommandTimeout"/>. Where the tables are of your own model (<c>UseKv</c>), leave it out: it refuses them.
    /// </remarks>
    /// <param name="services">The application's services, with a store added.</param>
    /// <param name="name">The name of the store; null for the default one.</param>
    /// <param name="cancellationToken">Stops waiting; what was begun is rolled back.</param>
    /// <returns>The migrations that were applied by this call.</returns>
    /// <exception cref="KvException">
    /// The schema came from a newer version, tables by the names of the store's are there that its migrations did not make, or the database refuses
    /// (<see cref="KvErrorKind.Schema"/>); the server did not come up in time, or another process has held the lock for a minute (<see cref="KvErrorKind.Unavailable"/>).
    /// </exception>
    public static async Task<IReadOnlyList<string>> MigrateKvStoreAsync(
        this IServiceProvider services, string? name = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(services);
        var store = StoreOf(services, name);
        var logger = services.GetService<ILoggerFactory>()?.CreateLogger("Kv") ?? NullLogger.Instance;
        return await Detached.RunAsync(async () =>
        {
            var context = store.Engine.CreateContext();
            await using (context.ConfigureAwait(false))
            {
                return await new Migrator(context, store.Engine.Driver, store.Engine.Options.CommandTimeout, new UnfailingLogger(logger)).MigrateAsync(cancellationToken).ConfigureAwait(false);
            }
        }).ConfigureAwait(false);
    }

    /// <summary>The connection string of a store's database, as it was settled: relative paths in full, and a database in memory as its file.</summary>
    /// <remarks>
    /// So a context of your own joins a store whose database has no other name:
    /// <c>services.AddDbContext&lt;Shop&gt;((provider, db) => db.UseSqlite(provider.GetKvConnectionString()).UseKv())</c>.
    /// </remarks>
    /// <param name="services">The application's services, with a store added.</param>
    /// <param name="name">The name of the store; null for the default one.</param>
    /// <exception cref="InvalidOperationException">There is no such store, or it is configured with a data source or a connection.</exception>
    public static string GetKvConnectionString(this IServiceProvider services, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        return StoreOf(services, name).Engine.ConnectionString ?? throw new InvalidOperationException(
            $"The store{(name is null ? "" : $" named '{name}'")} is configured with a data source or a connection, and not with a connection "
            + "string. Configure your context with the same data source.");
    }

    private static KvStore StoreOf(IServiceProvider services, string? name) =>
        (name is null ? services.GetService<KvStore>() : services.GetKeyedService<KvStore>(name)) ?? throw new InvalidOperationException(
            $"There is no {(name is null ? "store" : $"store named '{name}'")} in the services. Add it first: services.AddKvStore(db => db.UseSqlite(...)).");
}
