using System.Diagnostics.CodeAnalysis;
using Kv.Model;
using Kv.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Kv.Setup;

/// <summary>Takes the names of the store's tables from the model of a context of the application's, where that maps them.</summary>
/// <remarks>What an option says besides is compared, so that a model and its store cannot have different tables.</remarks>
/// <param name="provider">The application's services.</param>
/// <param name="store">The name of the store.</param>
internal sealed class ContextTables<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TContext>(
    IServiceProvider provider, string store) : IPostConfigureOptions<KvStoreOptions>
    where TContext : DbContext
{
    /// <summary>What the name of the first table ends with.</summary>
    private const string Table = "kv";

    public void PostConfigure(string? name, KvStoreOptions options)
    {
        if (name != store || FindMapping() is not { } mapping)
        {
            return;
        }

        // Where a model names no schema, the search path leads to the tables, and the option may say where.
        options.Schema = mapping.Schema is null ? options.Schema : Agreed(options.Schema, mapping.Schema, nameof(options.Schema));
        options.TablePrefix = Agreed(options.TablePrefix, mapping.Prefix, nameof(options.TablePrefix));
    }

    private string? Agreed(string? option, string? model, string property) => option is null || option == model
        ? model
        : throw new OptionsValidationException(store, typeof(KvStoreOptions),
        [
            $"KvStoreOptions.{property} is '{option}', but the model of {typeof(TContext).Name} has the store's tables "
            + $"{(model is null ? "without one" : $"under '{model}'")}. Leave the option out: the store takes what the model says.",
        ]);

    private (string? Schema, string? Prefix)? FindMapping()
    {
        using var scope = provider.CreateScope();

        // Of a context that comes from a factory, one that is no lease of a pool: those are the application's.
        using var made = scope.ServiceProvider.GetService<IDbContextFactory<TContext>>() is not null
            && scope.ServiceProvider.GetService<DbContextOptions<TContext>>() is not null
                ? ActivatorUtilities.CreateInstance<TContext>(scope.ServiceProvider)
                : null;
        var context = made ?? scope.ServiceProvider.GetService<TContext>();
        if (context?.Model.FindEntityType(typeof(StoredEntry)) is not { } entry || entry.GetTableName() is not { } table)
        {
            return null;
        }

        // A database without schemas leaves out what a model says of them.
        var schema = entry.GetSchema();
        var isUsed = schema is not null && context.GetService<IDbContextOptions>() is DbContextOptions options
            && KvContextOptions.ProviderOf(options).Refuse(new TableNames("", schema)) is null;
        return (isUsed ? schema : null, table.Length > Table.Length ? table[..^Table.Length] : null);
    }
}
