using Kv;
using Kv.Setup;
using Microsoft.Extensions.Configuration;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers stores as the application's configuration says.</summary>
public static class KvConfigurationExtensions
{
    /// <summary>
    /// Adds <see cref="IKvStore"/> and <see cref="IKvQueue"/> as the section <c>Kv</c> of the application's configuration says.
    /// </summary>
    /// <inheritdoc cref="AddKvStore(IServiceCollection, IConfiguration, Action{KvStoreOptions}?)" path="/remarks|/returns" />
    /// <param name="services">The services.</param>
    public static IServiceCollection AddKvStore(this IServiceCollection services) => Add(
        services,
        Options.Options.DefaultName,
        static provider => provider.GetService<IConfiguration>()?.GetSection(StoreConfiguration.Section),
        options: null);

    /// <summary>Adds <see cref="IKvStore"/> and <see cref="IKvQueue"/> as a section of the configuration says.</summary>
    /// <remarks>
    /// <para>
    /// <c>"Kv": { "Provider": "PostgreSql", "ConnectionString": "Host=...", "MaxValueSize": 65536, "Worker": { "Concurrency": 20 },
    /// "Topics": { "order-placed": { "Concurrency": 2 } } }</c>. <c>Provider</c> is <c>Sqlite</c> or <c>PostgreSql</c>, of which the
    /// package is added; <c>ConnectionName</c> names one of <c>ConnectionStrings</c> instead. On PostgreSQL without a connection the
    /// <c>NpgsqlDataSource</c> of the container is used, as Aspire registers it. All else at this level is <see cref="KvStoreOptions"/>,
    /// with keys as text; <c>Worker</c> and <c>Topics</c> are for <c>AddKvWorker</c>. What code configures besides is applied after it.
    /// </para>
    /// <para>
    /// Where no database is named, the store is in <c>kv.sqlite3</c> in the user's folder for local application data, under the
    /// application's name. The folder is made, and the path is logged when the store is used first.
    /// </para>
    /// <para>A name that there is not, or a value that cannot be what it is for, ends the host's start with its path.</para>
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="configuration">The section; of a configuration as a whole, its section <c>Kv</c>.</param>
    /// <param name="options">Changes the store's options afterwards.</param>
    /// <returns>The same services.</returns>
    public static IServiceCollection AddKvStore(
        this IServiceCollection services, IConfiguration configuration, Action<KvStoreOptions>? options = null)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        return Add(services, Options.Options.DefaultName, _ => SectionOf(configuration), options);
    }

    /// <summary>Adds a further store under a name, as a section of the configuration says.</summary>
    /// <inheritdoc cref="AddKvStore(IServiceCollection, IConfiguration, Action{KvStoreOptions}?)" path="/remarks|/returns" />
    /// <param name="services">The services.</param>
    /// <param name="name">The service key.</param>
    /// <param name="configuration">The section.</param>
    /// <param name="options">Changes the store's options afterwards.</param>
    public static IServiceCollection AddKvStore(
        this IServiceCollection services, string name, IConfigurationSection configuration, Action<KvStoreOptions>? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(configuration);
        return Add(services, name, _ => configuration, options);
    }

    private static IServiceCollection Add(
        IServiceCollection services, string name, Func<IServiceProvider, IConfigurationSection?> find, Action<KvStoreOptions>? options)
    {
        ArgumentNullException.ThrowIfNull(services);
        var configuration = new StoreConfiguration(name, find);
        services.AddSingleton(configuration);
        services.AddOptions<KvStoreOptions>(name).Configure<IServiceProvider>(configuration.Configure);
        return name.Length == 0
            ? services.AddKvStore(configuration.Choose, options)
            : services.AddKvStore(name, configuration.Choose, options);
    }

    private static IConfigurationSection SectionOf(IConfiguration configuration) =>
        configuration as IConfigurationSection ?? configuration.GetSection(StoreConfiguration.Section);
}
