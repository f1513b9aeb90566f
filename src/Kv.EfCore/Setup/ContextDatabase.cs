using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Setup;

/// <summary>Takes the database of a context of the application's for the store's own context.</summary>
internal static class ContextDatabase
{
    /// <summary>
    /// Configures the store's context with what says where the database is, and with nothing that is the application's model.
    /// </summary>
    public static void Configure<TContext>(IServiceProvider provider, DbContextOptionsBuilder builder)
        where TContext : DbContext
    {
        var options = OptionsOf<TContext>(provider);
        var relational = options.Extensions.OfType<RelationalOptionsExtension>().First();
        if (relational.ConnectionString is null && relational.Connection is not null)
        {
            throw new InvalidOperationException(
                $"The context {typeof(TContext).Name} is configured with a connection, of which the store cannot have a part: it reads "
                + "and writes on several. Configure the context with a connection string or a data source; or name the store's database "
                + "apart, AddKvStore(db => ...).");
        }

        if (relational.ConnectionString is { } connectionString && KvContextOptions.ProviderOf(options).IsMemory(connectionString))
        {
            throw new InvalidOperationException(
                $"The context {typeof(TContext).Name} is in memory ('{connectionString}'): there each connection has a database of its "
                + "own, so that the store would be on another one. Put the store there, and the context where it is: "
                + "services.AddKvStore(db => db.UseSqlite(\"Data Source=:memory:\")), and "
                + $"services.AddDbContext<{typeof(TContext).Name}>((provider, db) => "
                + "db.UseSqlite(provider.GetKvConnectionString()).UseKv()).");
        }

        // Retries, batches and migrations are for the application's own statements.
        ((IDbContextOptionsBuilderInfrastructure)builder).AddOrUpdateExtension(relational
            .WithExecutionStrategyFactory(null!)
            .WithMigrationsAssembly((string?)null)
            .WithMigrationsHistoryTableName(null)
            .WithMigrationsHistoryTableSchema(null));
        var interceptors = options.FindExtension<CoreOptionsExtension>()?.Interceptors;
        if (interceptors?.OfType<IDbConnectionInterceptor>().ToArray() is { Length: > 0 } connecting)
        {
            builder.AddInterceptors(connecting);
        }
    }

    private static DbContextOptions OptionsOf<TContext>(IServiceProvider provider)
        where TContext : DbContext
    {
        using var scope = provider.CreateScope();
        if (scope.ServiceProvider.GetService<DbContextOptions<TContext>>() is { } registered && HasDatabase(registered))
        {
            return registered;
        }

        // The context may say it itself, in OnConfiguring.
        var context = scope.ServiceProvider.GetService<IDbContextFactory<TContext>>()?.CreateDbContext();
        using (context)
        {
            var own = (context ?? scope.ServiceProvider.GetService<TContext>())?.GetService<IDbContextOptions>();
            return own is DbContextOptions options && HasDatabase(options)
                ? options
                : throw new InvalidOperationException(
                    $"The database of the context {typeof(TContext).Name} is not known, so no store can be on it. Add the context, "
                    + $"services.AddDbContext<{typeof(TContext).Name}>(options => options.UseNpgsql(...)), or name the store's database "
                    + "apart: AddKvStore(db => ...).");
        }
    }

    private static bool HasDatabase(DbContextOptions options) => options.Extensions.OfType<RelationalOptionsExtension>().Any();
}
