using System.Diagnostics.CodeAnalysis;
using Kv;
using Kv.Connections;
using Kv.Control;
using Kv.Diagnostics;
using Kv.Engine;
using Kv.Keys;
using Kv.Model;
using Kv.Setup;
using Kv.Sql;
using Kv.Store;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers stores.</summary>
public static class KvServiceCollectionExtensions
{
    /// <summary>
    /// Adds <see cref="IKvStore"/> and <see cref="IKvQueue"/> as singletons, and <see cref="KvDbContext"/> with its factory for LINQ over
    /// the store's tables.
    /// </summary>
    /// <remarks>
    /// The database and the migrations follow from the provider. Nothing is migrated: see <c>MigrateKvStoreAsync</c>. Options can also come
    /// from configuration: <c>services.Configure&lt;KvStoreOptions&gt;(configuration.GetSection("Kv"))</c>; they are validated when the
    /// host starts. <c>dotnet ef</c> sees the context only where <c>--context KvDbContext</c> names it, so that a context of your own stays
    /// the one it takes. A <see cref="TimeProvider"/> (see <see cref="KvStoreOptions.Clock"/>) or <see cref="IKvValueSerializer"/> in the
    /// container takes the place of the default. Calling it again changes only what the last call says: the database as a whole, and the
    /// options that it sets.
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="database">Chooses the database, as for any context: <c>db => db.UseSqlite("Data Source=app.db")</c>.</param>
    /// <param name="options">Changes the store's options.</param>
    /// <returns>The same services.</returns>
    public static IServiceCollection AddKvStore(
        this IServiceCollection services, Action<DbContextOptionsBuilder> database, Action<KvStoreOptions>? options = null)
    {
        ArgumentNullException.ThrowIfNull(database);
        return services.AddKvStore((_, db) => database(db), options);
    }

    /// <inheritdoc cref="AddKvStore(IServiceCollection, Action{DbContextOptionsBuilder}, Action{KvStoreOptions}?)" />
    public static IServiceCollection AddKvStore(
        this IServiceCollection services,
        Action<IServiceProvider, DbContextOptionsBuilder> database,
        Action<KvStoreOptions>? options = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(database);
        services.AddShared(Options.Options.DefaultName, options);
        services.AddContext(new DatabaseChoice(database));
        services.TryAddSingleton(static provider =>
        {
            var factory = provider.GetRequiredService<IDbContextFactory<KvDbContext>>();
            var context = provider.GetRequiredService<DbContextOptions<KvDbContext>>();
            return Create(provider, Options.Options.DefaultName, context, factory.CreateDbContext);
        });
        services.TryAddSingleton<IKvStore>(static provider => provider.GetRequiredService<KvStore>());
        services.TryAddSingleton<IKvQueue>(static provider => new KvQueue(provider.GetRequiredService<KvStore>()));
        services.TryAddSingleton<IKvMaintenance>(static provider => new KvMaintenance(provider.GetRequiredService<KvStore>()));
        services.TryAddSingleton<IKvChanges>(static provider => new KvChanges(provider.GetRequiredService<KvStore>()));
        return services;
    }

    /// <summary>Adds a further store under a name: a keyed singleton, <c>[FromKeyedServices("name")] IKvStore store</c>.</summary>
    /// <remarks>
    /// Its messages are handled by the worker of its name, <c>AddKvWorker("name")</c>, here or in another process; its health check is
    /// <c>AddHealthChecks().AddKvStore("name")</c>. An <see cref="IKvValueSerializer"/> under the same service key takes the place of the
    /// one without a key, for this store alone. Its spans have the tag <see cref="KvDiagnostics.StoreTag"/>.
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="name">The service key, which is also the name of its <see cref="KvStoreOptions"/>.</param>
    /// <param name="database">Chooses the database.</param>
    /// <param name="options">Changes the store's options.</param>
    /// <returns>The same services.</returns>
    public static IServiceCollection AddKvStore(
        this IServiceCollection services,
        string name,
        Action<IServiceProvider, DbContextOptionsBuilder> database,
        Action<KvStoreOptions>? options = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(database);
        services.AddShared(name, options);
        services.AddKeyedSingleton(name, new DatabaseChoice(database));
        services.TryAddKeyedSingleton(name, static (provider, key) =>
        {
            var builder = new DbContextOptionsBuilder<KvDbContext>();
            builder.UseApplicationServiceProvider(provider);
            KvContextOptions.Configure(
                builder,
                OptionsOf(provider, (string)key!),
                inner => DatabaseChoice.Apply([.. provider.GetKeyedServices<DatabaseChoice>(key)], provider, inner));
            return Create(provider, (string)key!, builder.Options, () => new KvDbContext(builder.Options));
        });
        services.TryAddKeyedSingleton<IKvStore>(name, static (provider, key) => provider.GetRequiredKeyedService<KvStore>(key));
        services.TryAddKeyedSingleton<IKvQueue>(
            name, static (provider, key) => new KvQueue(provider.GetRequiredKeyedService<KvStore>(key)));
        services.TryAddKeyedSingleton<IKvMaintenance>(
            name, static (provider, key) => new KvMaintenance(provider.GetRequiredKeyedService<KvStore>(key)));
        services.TryAddKeyedSingleton<IKvChanges>(
            name, static (provider, key) => new KvChanges(provider.GetRequiredKeyedService<KvStore>(key)));
        return services;
    }

    /// <summary>Adds <see cref="IKvStore"/> and <see cref="IKvQueue"/> on the database of a context of the application's.</summary>
    /// <remarks>
    /// Provider, connection string or data source, and connection interceptors are the context's; the migrations are the store's own. Where
    /// the context's model maps the store's tables (<c>modelBuilder.UseKv()</c>), schema and prefix are the model's, too. With
    /// <c>UseKv()</c> in the options of the context, <c>db.Kv()</c> commits to this store together with the context's entities.
    /// </remarks>
    /// <typeparam name="TContext">
    /// The context, which is added by itself: <c>AddDbContext</c>, <c>AddDbContextPool</c>, <c>AddDbContextFactory</c>.
    /// </typeparam>
    /// <param name="services">The services.</param>
    /// <param name="options">Changes the store's options.</param>
    /// <returns>The same services.</returns>
    public static IServiceCollection AddKvStore<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TContext>(
        this IServiceCollection services, Action<KvStoreOptions>? options = null)
        where TContext : DbContext =>
        services.AddKvStore(ContextDatabase.Configure<TContext>, options).AddContextTables<TContext>(Options.Options.DefaultName);

    /// <summary>Adds a further store under a name, on the database of a context of the application's.</summary>
    /// <typeparam name="TContext">The context.</typeparam>
    /// <param name="services">The services.</param>
    /// <param name="name">
    /// The service key, which is also the name of its <see cref="KvStoreOptions"/> and what <c>UseKv(name)</c> takes.
    /// </param>
    /// <param name="options">Changes the store's options.</param>
    /// <returns>The same services.</returns>
    public static IServiceCollection AddKvStore<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TContext>(
        this IServiceCollection services, string name, Action<KvStoreOptions>? options = null)
        where TContext : DbContext =>
        services.AddKvStore(name, ContextDatabase.Configure<TContext>, options).AddContextTables<TContext>(name);

    // EF Core runs the configurations of all calls one after the other; here the last one that names a database counts, and whole: it may
    // choose another provider.
    private static void AddContext(this IServiceCollection services, DatabaseChoice choice)
    {
        var first = !services.Any(static s => s.ServiceType == typeof(DatabaseChoice) && !s.IsKeyedService);
        services.AddSingleton(choice);
        if (!first)
        {
            return;
        }

        services.AddDbContextFactory<KvDbContext, KvDbContextFactory>(
            static (provider, db) => KvContextOptions.Configure(
                db,
                OptionsOf(provider, Options.Options.DefaultName),
                inner => DatabaseChoice.Apply([.. provider.GetServices<DatabaseChoice>()], provider, inner)));
        if (KvContextOptions.HidesFromTools(Environment.GetCommandLineArgs())
            && services.LastOrDefault(static s => s.ServiceType == typeof(DbContextOptions)) is { } shown)
        {
            services.Remove(shown);
        }
    }

    /// <summary>Adds stores that are made at run time by their names, for tenants: <see cref="IKvStoreFactory"/>, a singleton.</summary>
    /// <remarks>
    /// A store is opened when it is rented first, migrated unless <see cref="KvStoreFactoryOptions.Migrate"/> is false, and closed when it
    /// has had no lease for a while. Calling it again changes what the last call says.
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="database">
    /// Chooses the database of a store by its name: <c>(services, name, db) => db.UseSqlite($"Data Source=tenants/{name}.db")</c>.
    /// </param>
    /// <param name="options">Changes the options of a store by its name: <c>(name, options) => options.Schema = name</c>.</param>
    /// <param name="factory">Changes how many stores are open, and for how long.</param>
    /// <returns>The same services.</returns>
    public static IServiceCollection AddKvStoreFactory(
        this IServiceCollection services,
        Action<IServiceProvider, string, DbContextOptionsBuilder> database,
        Action<string, KvStoreOptions>? options = null,
        Action<KvStoreFactoryOptions>? factory = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(database);
        services.AddCommon();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<KvStoreFactoryOptions>, KvStoreFactoryOptionsValidator>());
        var bound = services.AddOptions<KvStoreFactoryOptions>().ValidateOnStart();
        if (factory is not null)
        {
            bound.Configure(factory);
        }

        services.AddSingleton(new TenantStores(database, options));
        services.TryAddSingleton<IKvStoreFactory>(static provider => new KvStoreFactory(
            name => provider.GetRequiredService<TenantStores>().Create(provider, name),
            provider.GetRequiredService<IOptions<KvStoreFactoryOptions>>().Value,
            provider.GetRequiredService<TimeProvider>(),
            provider.GetService<ILoggerFactory>()?.CreateLogger("Kv") ?? NullLogger.Instance));
        return services;
    }

    private static void AddCommon(this IServiceCollection services)
    {
        services.TryAddSingleton<IKvValueSerializer>(static _ => new KvJsonSerializer());
        services.TryAddSingleton(TimeProvider.System);
    }

    private static IServiceCollection AddContextTables<
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TContext>(
        this IServiceCollection services, string name)
        where TContext : DbContext => services.AddSingleton<IPostConfigureOptions<KvStoreOptions>>(
            provider => new ContextTables<TContext>(provider, name));

    private static KvStoreOptions OptionsOf(IServiceProvider provider, string name) =>
        Detached.Run(() => provider.GetRequiredService<IOptionsMonitor<KvStoreOptions>>().Get(name));

    private static void AddShared(this IServiceCollection services, string name, Action<KvStoreOptions>? options)
    {
        services.AddCommon();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<KvStoreOptions>, KvStoreOptionsValidator>());
        var bound = services.AddOptions<KvStoreOptions>(name).ValidateOnStart();
        if (options is not null)
        {
            bound.Configure(options);
        }
    }

    private static KvStore Create(IServiceProvider provider, string name, DbContextOptions database, Func<KvDbContext> contexts) =>
        Create(provider, name, OptionsOf(provider, name), database, contexts);

    // A store serves many: the caller that asks for it first leaves nothing of its own in it.
    internal static KvStore Create(
        IServiceProvider provider, string name, KvStoreOptions options, DbContextOptions database, Func<KvDbContext> contexts) =>
        Detached.Run(() =>
    {
        var kind = KvContextOptions.ProviderOf(database);
        if (options.Clock == KvClockSource.Server && kind.ServerTime is null)
        {
            throw new OptionsValidationException(name, typeof(KvStoreOptions),
            [
                "KvStoreOptions.Clock is Server, but the store's database "
                + $"({kind.CreateDriver(TableNames.Default, serverClock: false).Name}) has no server with a clock of its own. Leave it "
                + "Automatic: then the clock of the machine decides, which all processes of the file share.",
            ]);
        }

        DbContextOptions<KvDbContext>? replica = null;
        if (options.ReplicaConnectionString is { } address)
        {
            replica = kind.OnReplica((DbContextOptions<KvDbContext>)database, address) ?? throw new OptionsValidationException(
                name, typeof(KvStoreOptions),
            [
                "KvStoreOptions.ReplicaConnectionString is set, but the store's database "
                + $"({kind.CreateDriver(TableNames.Default, serverClock: false).Name}) has no replicas. Leave it out: reads that ask for "
                + "KvConsistency.Eventual are served by the store's own database.",
            ]);
        }

        var logger = provider.GetService<ILoggerFactory>()?.CreateLogger("Kv") ?? NullLogger.Instance;
        if (StoreConfiguration.Find(provider, name)?.DefaultFileOf(provider) is { } file)
        {
            KvLog.DefaultFile(logger, file);
        }

        var connectionString = database.Extensions.OfType<RelationalOptionsExtension>().FirstOrDefault()?.ConnectionString;
        var engine = new KvEngine(
            name, contexts, kind, options, provider.GetRequiredService<TimeProvider>(), logger, connectionString,
            provider.GetService<FailPoints>(),
            replica is null ? null : () => new KvDbContext(replica));
        var serializer = name.Length > 0 ? provider.GetKeyedService<IKvValueSerializer>(name) : null;
        return new KvStore(engine, serializer ?? provider.GetRequiredService<IKvValueSerializer>(), KeyScope.All);
    });
}
