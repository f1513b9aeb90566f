using System.ComponentModel;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Kv.Engine;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Kv.Setup;

/// <summary>A store as its section of the configuration says it: its database, its options, and its worker's.</summary>
/// <param name="store">The name of the store; empty for the one without a name.</param>
/// <param name="find">Finds the section; null where the application has no configuration.</param>
internal sealed class StoreConfiguration(string store, Func<IServiceProvider, IConfigurationSection?> find)
{
    /// <summary>The section that a configuration as a whole has for the store without a name.</summary>
    public const string Section = "Kv";

    private const string Provider = "Provider";
    private const string ConnectionString = "ConnectionString";
    private const string ConnectionName = "ConnectionName";
    private const string Worker = "Worker";
    private const string Topics = "Topics";

    /// <summary>The name of the store; empty for the one without a name.</summary>
    public string Store => store;

    /// <summary>The part of the store's worker, if there is a section at all.</summary>
    public IConfigurationSection? WorkerOf(IServiceProvider provider) => find(provider)?.GetSection(Worker);

    /// <summary>The part of the topics, if there is a section at all.</summary>
    public IConfigurationSection? TopicsOf(IServiceProvider provider) => find(provider)?.GetSection(Topics);

    /// <summary>The configuration of a store by its name; null if it was not added by one.</summary>
    public static StoreConfiguration? Find(IServiceProvider provider, string store) =>
        provider.GetServices<StoreConfiguration>().LastOrDefault(c => c.Store == store);

    /// <summary>Gives a store's options what the section says.</summary>
    public void Configure(KvStoreOptions options, IServiceProvider provider)
    {
        if (find(provider) is { } section)
        {
            Bind(section, options, Provider, ConnectionString, ConnectionName, Worker, Topics);
        }
    }

    /// <summary>Chooses the database that the section names; SQLite in the user's own folder where it names none.</summary>
    public void Choose(IServiceProvider provider, DbContextOptionsBuilder builder)
    {
        var section = find(provider);
        var (name, connectionString) = (section?[Provider], ConnectionStringOf(section, provider));
        if (string.IsNullOrWhiteSpace(name) && connectionString is not null)
        {
            throw Refused(
                $"{section!.Path} has a connection and no {Provider}. "
                + $"Say which database it is: \"{Provider}\": \"Sqlite\" or \"PostgreSql\".");
        }

        var database = KvProvider.Named(string.IsNullOrWhiteSpace(name) ? "Sqlite" : name) ?? throw Refused(
            $"{section!.Path}:{Provider} is '{name}', and a store runs on Sqlite or PostgreSql.");
        database.Use(provider, builder, connectionString ?? (database.HasServer ? null : $"Data Source={DefaultFile.Make(provider)}"));
    }

    /// <summary>The file that the store is in because nothing names a database; null if something does.</summary>
    public string? DefaultFileOf(IServiceProvider provider)
    {
        var section = find(provider);
        return ConnectionStringOf(section, provider) is null && KvProvider.Named(section?[Provider] ?? "Sqlite") is { HasServer: false }
            ? DefaultFile.PathOf(provider)
            : null;
    }

    /// <summary>Gives options what a section says, and refuses names that they do not have.</summary>
    /// <param name="section">The section.</param>
    /// <param name="options">The options.</param>
    /// <param name="others">Names that stand beside those of the options.</param>
    /// <exception cref="OptionsValidationException">The section has a name that the options do not have.</exception>
    /// <exception cref="InvalidOperationException">A value cannot be what the option is; the message has its path.</exception>
    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "The options have all their properties, of simple types.")]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "No type is made that is not in the program.")]
    public static void Bind<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicProperties)] TOptions>(
        IConfigurationSection section, TOptions options, params ReadOnlySpan<string> others)
        where TOptions : class
    {
        Check(section, typeof(TOptions), others);
        section.Bind(options);
    }

    [UnconditionalSuppressMessage("Trimming", "IL2072", Justification = "What options are made of keeps its properties.")]
    private static void Check(
        IConfigurationSection section,
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicProperties)] Type type,
        params ReadOnlySpan<string> others)
    {
        var properties = type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .ToDictionary(static p => p.Name, static p => p.PropertyType, StringComparer.OrdinalIgnoreCase);
        foreach (var child in section.GetChildren())
        {
            if (properties.TryGetValue(child.Key, out var part))
            {
                if (part.Assembly == typeof(StoreConfiguration).Assembly || part.Assembly == type.Assembly)
                {
                    CheckPart(child, part);
                }
            }
            else if (!Has(others, child.Key))
            {
                var known = string.Join(", ", properties.Keys.Concat(others.ToArray()).Order(StringComparer.Ordinal));
                throw new OptionsValidationException(
                    section.Path, type, [$"{child.Path} names nothing that there is. Use one of {known}; or leave it out."]);
            }
        }
    }

    // What is written as text has names of no interest. The binder passes over a text that it can make nothing of.
    private static void CheckPart(
        IConfigurationSection section, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicProperties)] Type type)
    {
        if (type.IsEnum || TypeDescriptor.GetConverter(type).CanConvertFrom(typeof(string)))
        {
            return;
        }

        if (section.Value is { Length: > 0 } text)
        {
            throw new OptionsValidationException(
                section.Path,
                type,
                [$"{section.Path} is '{text}', and {type.Name} is not written as text. Name its parts, or set it in code."]);
        }

        Check(section, type);
    }

    private static bool Has(ReadOnlySpan<string> names, string name)
    {
        foreach (var known in names)
        {
            if (string.Equals(known, name, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    private string? ConnectionStringOf(IConfigurationSection? section, IServiceProvider provider)
    {
        if (section?[ConnectionName] is not { Length: > 0 } name)
        {
            return section?[ConnectionString] is { Length: > 0 } own ? own : null;
        }

        if (section[ConnectionString] is { Length: > 0 })
        {
            throw Refused($"{section.Path} has {ConnectionString} and {ConnectionName}. Leave one of them out.");
        }

        return provider.GetService<IConfiguration>()?.GetConnectionString(name) ?? throw Refused(
            $"{section.Path}:{ConnectionName} is '{name}', and there is no ConnectionStrings:{name}. Add it, or correct the name.");
    }

    private OptionsValidationException Refused(string failure) => new(store, typeof(KvStoreOptions), [failure]);
}
