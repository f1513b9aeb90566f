using Kv;
using Kv.Joined;
using Microsoft.EntityFrameworkCore.Infrastructure;

namespace Microsoft.EntityFrameworkCore;

/// <summary>Has contexts commit what they collect for a store.</summary>
public static class KvDbContextOptionsExtensions
{
    /// <summary>Has the context commit with its entities what <see cref="KvDbContextExtensions.Kv"/> collects.</summary>
    /// <remarks>
    /// It adds an interceptor without state, and replaces no service of EF Core; contexts may be scoped, pooled, or made by a factory. Put
    /// it after your own interceptors: what they collect while changes are saved is part of the commit then, in transactions of the
    /// driver's, too. Without a name, the store is the one that <c>AddKvStore</c> added without a name.
    /// </remarks>
    /// <param name="builder">The options of the context.</param>
    /// <returns>The same builder.</returns>
    public static DbContextOptionsBuilder UseKv(this DbContextOptionsBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return Use(builder, null);
    }

    /// <inheritdoc cref="UseKv(DbContextOptionsBuilder)" />
    /// <param name="builder">The options of the context.</param>
    /// <param name="store">The name of the store.</param>
    public static DbContextOptionsBuilder UseKv(this DbContextOptionsBuilder builder, string store)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(store);
        return Use(builder, store);
    }

    /// <inheritdoc cref="UseKv(DbContextOptionsBuilder)" />
    /// <typeparam name="TContext">The context.</typeparam>
    public static DbContextOptionsBuilder<TContext> UseKv<TContext>(this DbContextOptionsBuilder<TContext> builder)
        where TContext : DbContext
    {
        UseKv((DbContextOptionsBuilder)builder);
        return builder;
    }

    /// <inheritdoc cref="UseKv(DbContextOptionsBuilder, string)" />
    /// <typeparam name="TContext">The context.</typeparam>
    public static DbContextOptionsBuilder<TContext> UseKv<TContext>(this DbContextOptionsBuilder<TContext> builder, string store)
        where TContext : DbContext
    {
        UseKv((DbContextOptionsBuilder)builder, store);
        return builder;
    }

    private static DbContextOptionsBuilder Use(DbContextOptionsBuilder builder, string? store)
    {
        ((IDbContextOptionsBuilderInfrastructure)builder).AddOrUpdateExtension(new JoinOptions(store));
        return builder.Options.FindExtension<CoreOptionsExtension>()?.Interceptors?.Contains(JoinInterceptor.Instance) == true
            ? builder
            : builder.AddInterceptors(JoinInterceptor.Instance, CommandInterceptor.Instance, ConnectionInterceptor.Instance);
    }
}
