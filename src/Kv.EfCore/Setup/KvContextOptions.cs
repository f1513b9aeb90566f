using Kv.Connections;
using Kv.Engine;
using Kv.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.Options;

namespace Kv.Setup;

/// <summary>Completes what the user configured with where the migrations are.</summary>
internal static class KvContextOptions
{
    /// <summary>Runs the user's configuration and adds the migrations of its provider, recorded in a history table of the store's own.</summary>
    public static void Configure(DbContextOptionsBuilder builder, KvStoreOptions options, Action<DbContextOptionsBuilder> database)
    {
        var tables = options.Tables;
        // The caller that needs a context first has no part in what is configured for all of them.
        Detached.Run(() =>
        {
            database(builder);
            return true;
        });
        var relational = builder.Options.Extensions.OfType<RelationalOptionsExtension>().FirstOrDefault();
        var provider = ProviderOf(builder.Options);
        if (relational is { ConnectionString: { } connectionString } && provider.Settle(connectionString) is var settled && settled != connectionString)
        {
            relational = relational.WithConnectionString(settled);
        }
        else if (relational is { Connection: { State: System.Data.ConnectionState.Closed } connection } && !provider.IsMemory(connection.ConnectionString))
        {
            connection.ConnectionString = provider.Settle(connection.ConnectionString);
        }

        if (relational is { MigrationsAssembly: null })
        {
            relational = relational.WithMigrationsAssembly(provider.MigrationsAssembly);
        }

        if (relational is { MigrationsHistoryTableName: null })
        {
            relational = relational.WithMigrationsHistoryTableName(tables.Prefix + TableNames.HistoryTable);
        }

        if (relational is { MigrationsHistoryTableSchema: null })
        {
            relational = relational.WithMigrationsHistoryTableSchema(tables.Schema);
        }

        if (relational is not null)
        {
            ((IDbContextOptionsBuilderInfrastructure)builder).AddOrUpdateExtension(relational);
        }

        provider.FindPrimary(builder);
        if (tables != TableNames.Default)
        {
            if (provider.Refuse(tables) is { } refusal)
            {
                throw new OptionsValidationException(Options.DefaultName, typeof(KvStoreOptions), [refusal]);
            }

            provider.Place(builder, tables, options);
        }

        // An application that replaces parts of EF Core may mean those that make the model.
        if (builder.Options.FindExtension<CoreOptionsExtension>() is not { Model: not null } and not { ReplacedServices.Count: > 0 } && tables.Prefix.Length == 0)
        {
            builder.UseModel(provider.Model);
        }
    }

    /// <summary>
    /// Whether the store's context is to be kept from the tools of EF Core: they refuse to choose between it and the application's own, so it is
    /// there for them only where their command names it.
    /// </summary>
    /// <param name="command">The command line of the process.</param>
    public static bool HidesFromTools(IReadOnlyList<string> command) =>
        EF.IsDesignTime && command.Count > 0
            && string.Equals(Path.GetFileNameWithoutExtension(command[0]), "ef", StringComparison.OrdinalIgnoreCase)
            && !command.Any(static argument => argument.Contains(nameof(KvDbContext), StringComparison.OrdinalIgnoreCase));

    /// <summary>The driver for the database that a context is configured for.</summary>
    /// <remarks>By the options: a context would say so, too, but makes all of EF Core's services before it says anything.</remarks>
    public static KvProvider ProviderOf(DbContextOptions options) =>
        KvProvider.For(options.Extensions.FirstOrDefault(static e => e.Info.IsDatabaseProvider)?.GetType().Assembly.GetName().Name);
}
