using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.EntityFrameworkCore.Update;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Joined;

/// <summary>Finds saves that are one row for one table, which EF Core sends as a single statement without a transaction.</summary>
/// <param name="context">The context.</param>
internal sealed class LoneInserts(DbContext context)
{
    // A look at each entity that is tracked must cost less than the transaction that it may save.
    private const int MostTracked = 100;

    private static readonly ConditionalWeakTable<IEntityType, string> Tables = [];
    private static readonly ConditionalWeakTable<IDbContextOptions, StrongBox<bool>> Usual = [];
    private static readonly ConcurrentDictionary<Type, string?> Origins = new();

    /// <summary>Finds the one row that the save which begins has, and nothing else.</summary>
    /// <returns>The row; null where the save is another one.</returns>
    public LoneInsert? Find()
    {
        if (context.Database.AutoTransactionBehavior != AutoTransactionBehavior.WhenNeeded || FindOnly() is not { } entry || !IsUsual())
        {
            return null;
        }

        // As the save will: what has changed may make more of it, or another one.
        if (context.ChangeTracker.AutoDetectChangesEnabled)
        {
            context.ChangeTracker.DetectChanges();
            if (FindOnly() is not { } still)
            {
                return null;
            }

            entry = still;
        }

        var table = Tables.TryGetValue(entry.Metadata, out var known) ? known : Tables.GetValue(entry.Metadata, TableOf);
        return table.Length > 0 ? new(table, entry) : null;
    }

    private EntityEntry? FindOnly()
    {
        var tracker = context.ChangeTracker;
        var detects = tracker.AutoDetectChangesEnabled;
        tracker.AutoDetectChangesEnabled = false;
        try
        {
            var (left, only) = (MostTracked, (EntityEntry?)null);
            foreach (var entry in tracker.Entries())
            {
                if (--left < 0 || entry.State is not (EntityState.Unchanged or EntityState.Added)
                    || (entry.State == EntityState.Added && only is not null))
                {
                    return null;
                }

                only = entry.State == EntityState.Added ? entry : only;
            }

            return only;
        }
        finally
        {
            tracker.AutoDetectChangesEnabled = detects;
        }
    }

    /// <summary>
    /// Whether nothing of the application's takes part in the save from here on, or makes its statements: interceptors of commands and
    /// transactions are to meet both as they always do.
    /// </summary>
    private bool IsUsual()
    {
        var services = context.GetInfrastructure();
        var options = services.GetRequiredService<IDbContextOptions>();
        if (!Usual.TryGetValue(options, out var isUsual))
        {
            Usual.AddOrUpdate(options, isUsual = new(AreUsual(options, services)));
        }

        return isUsual.Value;
    }

    private bool AreUsual(IDbContextOptions options, IServiceProvider services)
    {
        if (services.GetServices<IInterceptor>().Any(static i => TakesPart(i, isLater: true)) || !AreStatementsOfProvider(services))
        {
            return false;
        }

        var isLater = false;
        foreach (var interceptor in options.FindExtension<CoreOptionsExtension>()?.Interceptors ?? [])
        {
            if (TakesPart(interceptor, isLater))
            {
                return false;
            }

            isLater |= interceptor is JoinInterceptor;
        }

        return true;
    }

    private bool AreStatementsOfProvider(IServiceProvider services) =>
        Origins.GetOrAdd(services.GetRequiredService<IUpdateSqlGenerator>().GetType(), static type => type.Assembly.GetName().Name)
            == context.Database.ProviderName;

    private static bool TakesPart(IInterceptor interceptor, bool isLater) =>
        interceptor is not (JoinInterceptor or CommandInterceptor or ConnectionInterceptor or SaveEndInterceptor)
        && (interceptor is IDbCommandInterceptor or IDbTransactionInterceptor || (isLater && interceptor is ISaveChangesInterceptor));

    // Empty for a type whose row may be in several tables, or in a row that is there already.
    private string TableOf(IEntityType type) =>
        type.GetTableMappings().ToList() is [{ Table: var table }]
            && !type.GetInsertStoredProcedureMappings().Any() && !table.GetRowInternalForeignKeys(type).Any()
            ? context.GetService<ISqlGenerationHelper>().DelimitIdentifier(table.Name, table.Schema)
            : "";
}

/// <summary>One row.</summary>
/// <param name="Table">The table that it is for, as its statement names it.</param>
/// <param name="Entry">The entity that it is of.</param>
internal sealed record LoneInsert(string Table, EntityEntry Entry);
