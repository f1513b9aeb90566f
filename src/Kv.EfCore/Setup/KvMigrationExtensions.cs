using Kv;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Schema;
using Kv.Store;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Migrates stores when an application starts, where that is wanted.</summary>
public static class KvMigrationExtensions
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
        var store = name is null ? services.GetService<KvStore>() : services.GetKeyedService<KvStore>(name);
        if (store is null)
        {
            throw new InvalidOperationException(
                $"There is no {(name is null ? "store" : $"store named '{name}'")} in the services. Add it first: services.AddKvStore(db => db.UseSqlite(...)).");
        }

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
}
