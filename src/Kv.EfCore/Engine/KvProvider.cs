using System.Collections.Concurrent;
using System.Data.Common;
using Kv.Changes;
using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Maintenance;
using Kv.Queue;
using Kv.Reads;
using Kv.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>Makes the parts of a store that differ between the databases. Each provider package has one, without any state.</summary>
internal abstract class KvProvider
{
    // By their names: the EF Core provider of the configured context decides which package is loaded.
    private static readonly Dictionary<string, Lazy<KvProvider>> Providers = new(StringComparer.Ordinal)
    {
        // The names stand where they are looked up, for the trimmer keeps what it can read there.
        ["Microsoft.EntityFrameworkCore.Sqlite"] = Of(
            "Kv.EfCore.Sqlite",
            static () => Activator.CreateInstance(
                Type.GetType("Kv.Sqlite.SqliteProvider, Kv.EfCore.Sqlite", throwOnError: true)!, nonPublic: true)),
        ["Npgsql.EntityFrameworkCore.PostgreSQL"] = Of(
            "Kv.EfCore.PostgreSql",
            static () => Activator.CreateInstance(
                Type.GetType("Kv.PostgreSql.PostgreSqlProvider, Kv.EfCore.PostgreSql", throwOnError: true)!, nonPublic: true)),
    };

    private static readonly ConcurrentDictionary<Type, KvProvider> ByType = new();

    /// <summary>Has a context use this database.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="builder">The options of the context.</param>
    /// <param name="connectionString">Where the database is; null for what the services say.</param>
    /// <exception cref="InvalidOperationException">The services do not say where the database is.</exception>
    public abstract void Use(IServiceProvider services, DbContextOptionsBuilder builder, string? connectionString);

    /// <summary>Whether there is a server, which a connection string has to name.</summary>
    public bool HasServer => ServerTime is not null;

    /// <summary>What sessions need to know of the database.</summary>
    /// <param name="tables">The store's tables.</param>
    /// <param name="serverClock">Whether the database's own clock judges times.</param>
    public abstract Driver CreateDriver(TableNames tables, bool serverClock);

    /// <summary>Why tables of these names cannot be on this database, and what can; null if they can.</summary>
    public abstract string? Refuse(TableNames tables);

    /// <summary>Has contexts of the store find tables of other names than the default, and their migrations make them.</summary>
    /// <param name="builder">The options of the contexts, which are configured for the database.</param>
    /// <param name="tables">The names.</param>
    /// <param name="options">The options of the store.</param>
    public abstract void Place(DbContextOptionsBuilder builder, TableNames tables, KvStoreOptions options);

    /// <summary>Has contexts of the store go to the server that takes writes, where the application names several.</summary>
    /// <param name="builder">The options of the contexts, which are configured for the database.</param>
    public virtual void FindPrimary(DbContextOptionsBuilder builder)
    {
    }

    /// <summary>The options of contexts on a replica of the database; null where a database has none.</summary>
    /// <param name="options">Those of the store's own contexts.</param>
    /// <param name="connectionString">Where the replica is.</param>
    public virtual DbContextOptions<KvDbContext>? OnReplica(DbContextOptions<KvDbContext> options, string connectionString) => null;

    /// <summary>What sessions need to know of a replica, whose clock is not the one that decides.</summary>
    /// <param name="tables">The store's tables.</param>
    /// <param name="connectionString">Where the replica is.</param>
    public virtual Driver CreateReplicaDriver(TableNames tables, string connectionString) =>
        throw new NotSupportedException("The database has no replicas.");

    /// <summary>The connection string as it is to be kept: what it names relative to something that may change is named in full.</summary>
    public virtual string Settle(string connectionString) => connectionString;

    /// <summary>Whether a connection string names a database in memory, which is a new one for every store.</summary>
    public virtual bool IsMemory(string connectionString) => false;

    /// <summary>Deletes the database of a store that has ended, if it was in memory.</summary>
    /// <param name="connectionString">The connection string as it was kept.</param>
    public virtual void Discard(string connectionString)
    {
    }

    /// <summary>The assembly that holds this database's migrations: the provider package itself.</summary>
    public string MigrationsAssembly => GetType().Assembly.GetName().Name!;

    /// <summary>
    /// The model of <see cref="KvDbContext"/> as EF Core would make it at every start, made ahead by <c>migrations/optimize.sh</c>.
    /// </summary>
    public abstract IModel Model { get; }

    /// <summary>
    /// The statement that asks the database for the time by a clock that all its clients share, which then decides; null if it has none.
    /// </summary>
    public virtual string? ServerTime => null;

    /// <summary>What the sessions of a process share of the database's locks; null where each has its own.</summary>
    public virtual SharedLocks? CreateLocks(Driver driver, ILogger logger) => null;

    /// <summary>Sees to a connection that a context which joins a store has opened.</summary>
    public virtual void Opened(DbConnection connection)
    {
    }

    /// <summary>What reads keys.</summary>
    public abstract StoreReader CreateReader(Driver driver, ReadRunner runner, StoreClock clock, StoreMetrics metrics);

    /// <summary>A new writer of commit groups over a session.</summary>
    public abstract CommitWriter CreateWriter(
        Driver driver, Session session, StoreClock clock, KvStoreOptions options, FailPoints failPoints);

    /// <summary>The pipeline for claims of a backlog.</summary>
    /// <param name="pipeline">The one for all else.</param>
    /// <param name="another">Makes one with a connection of its own.</param>
    public virtual CommitPipeline CreateClaims(CommitPipeline pipeline, Func<CommitPipeline> another) => pipeline;

    /// <summary>How the commits of other processes are learned of.</summary>
    public abstract ChangeSource CreateChanges(Driver driver, KvStoreOptions options);

    /// <summary>What looks at the queue.</summary>
    public abstract QueueReader CreateQueueReader(Driver driver, ReadRunner runner, StoreClock clock);

    /// <summary>What extends leases over a session of its own.</summary>
    public abstract LeaseKeeper CreateLeaseKeeper(Driver driver, Session session, StoreClock clock, SharedLocks? locks);

    /// <summary>What maintenance does for the database.</summary>
    public abstract DatabaseMaintenance CreateMaintenance(KvStoreOptions options, SharedLocks? locks);

    /// <summary>Sees whether what the store's connections have open is still what others find; null if it is, or cannot be lost.</summary>
    public virtual ValueTask<string?> FindLossAsync(SessionPool pool, CancellationToken cancellationToken) => new((string?)null);

    /// <summary>The provider for the EF Core provider of a context: one for all stores and transactions.</summary>
    /// <exception cref="NotSupportedException">The provider is not one that stores run on, or its package is not there.</exception>
    public static KvProvider For(string? provider) => provider is not null && Providers.TryGetValue(provider, out var found)
        ? found.Value
        : throw new NotSupportedException(
            $"Kv stores run on SQLite and PostgreSQL; the context uses '{provider ?? "no provider"}'. "
            + "Configure it with UseSqlite(...) or UseNpgsql(...).");

    /// <summary>The provider for a context.</summary>
    /// <exception cref="NotSupportedException">Its EF Core provider is not one that stores run on.</exception>
    /// <remarks>The name of an EF Core provider is that of its assembly, which is read anew each time it is asked for.</remarks>
    public static KvProvider For(DbContext context) => context.GetInfrastructure().GetService<IDatabaseProvider>() is { } provider
        ? ByType.GetOrAdd(provider.GetType(), static (_, of) => For(of.Name), provider)
        : For(context.Database.ProviderName);

    /// <summary>The provider of a name as configuration has it; null if it is none.</summary>
    public static KvProvider? Named(string name) => name.ToUpperInvariant() switch
    {
        "SQLITE" => For("Microsoft.EntityFrameworkCore.Sqlite"),
        "POSTGRESQL" or "POSTGRES" or "NPGSQL" => For("Npgsql.EntityFrameworkCore.PostgreSQL"),
        _ => null,
    };

    private static Lazy<KvProvider> Of(string package, Func<object?> create) => new(() =>
    {
        try
        {
            return (KvProvider)create()!;
        }
        catch (Exception missing) when (missing is FileNotFoundException or TypeLoadException)
        {
            throw new NotSupportedException(
                $"The package {package}, which runs the store on the context's database, is not here, or is of another version than "
                + $"Kv.EfCore. Add it in the same version: dotnet add package {package}.",
                missing);
        }
    });
}
