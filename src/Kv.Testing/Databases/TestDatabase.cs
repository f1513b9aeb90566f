using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Databases;

/// <summary>The database of one host.</summary>
internal abstract class TestDatabase : IAsyncDisposable
{
    /// <summary>Chooses it.</summary>
    public abstract void Configure(DbContextOptionsBuilder db);

    /// <summary>Makes it.</summary>
    /// <param name="isMigrated">Whether it has the store's tables, by their usual names.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public abstract Task CreateAsync(bool isMigrated, CancellationToken cancellationToken);

    /// <summary>Deletes it.</summary>
    public abstract ValueTask DisposeAsync();

    /// <summary>Makes the store's tables in a database.</summary>
    protected static async Task MigrateAsync(Action<DbContextOptionsBuilder> configure)
    {
        var services = new ServiceCollection();
        services.AddKvStore(configure);
        var provider = services.BuildServiceProvider();
        await using (provider.ConfigureAwait(false))
        {
            await provider.MigrateKvStoreAsync().ConfigureAwait(false);
        }
    }
}
