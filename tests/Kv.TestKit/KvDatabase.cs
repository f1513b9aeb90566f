using Kv.Diagnostics;
using Kv.Hosts;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.TestKit;

/// <summary>A kind of database that a specification runs on. Every test gets an empty one of its own.</summary>
public abstract class KvDatabase : IAsyncLifetime
{
    /// <summary>What an error message or a skipped test calls it.</summary>
    public abstract string Name { get; }

    /// <summary>A database without any table.</summary>
    public abstract Task<string> CreateEmptyAsync();

    /// <summary>A database with the store's tables, made from a template.</summary>
    public abstract Task<string> CreateMigratedAsync();

    /// <summary>A copy of a database that nobody is connected to, as whoever restores a backup beside the original gets.</summary>
    public abstract Task<string> CopyAsync(string connectionString);

    public abstract void Configure(DbContextOptionsBuilder db, string connectionString);

    /// <summary>Says where in the database the store's tables are.</summary>
    public virtual void Place(KvStoreOptions options)
    {
    }

    /// <summary>A statement over the tables as they are called here.</summary>
    public virtual string Named(string sql) => sql;

    /// <summary>Closes the connections that wait in the provider's pool, so that hundreds of tests do not add up theirs.</summary>
    public abstract void Release(string connectionString);

    /// <summary>A store on a database of its own, or on one that others use too.</summary>
    public async Task<KvTestStore> CreateStoreAsync(
        TimeProvider? time = null,
        Action<KvStoreOptions>? options = null,
        string? connectionString = null,
        Action<IServiceCollection>? services = null)
    {
        connectionString ??= await CreateMigratedAsync();
        var collection = new ServiceCollection();
        collection.AddLogging(static logging => logging.SetMinimumLevel(LogLevel.Warning));
        TestLogs.Add(collection, new KvTestOptions(), time ?? TimeProvider.System);
        if (time is not null)
        {
            collection.AddSingleton(time);
        }

        var faults = new KvTestFaults();
        var failPoints = new FailPoints { Faults = faults.Source };
        collection.AddSingleton(failPoints);
        collection.AddKvStore(db => Configure(db, connectionString), Place);
        if (options is not null)
        {
            collection.Configure(options);
        }

        services?.Invoke(collection);
        return new KvTestStore(this, collection.BuildServiceProvider(), connectionString, faults, failPoints);
    }

    public virtual ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public abstract ValueTask DisposeAsync();

    protected virtual async Task MigrateAsync(string connectionString)
    {
        var services = new ServiceCollection();
        services.AddKvStore(db => Configure(db, connectionString), Place);
        await using var provider = services.BuildServiceProvider();
        await provider.MigrateKvStoreAsync();
    }
}
