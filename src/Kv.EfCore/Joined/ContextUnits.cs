using Kv.Store;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Joined;

/// <summary>
/// What a context has to do with its store: a service of EF Core's own scope for the context, so that it ends with it. A pooled context has
/// one for its life, and a unit of work for each lease.
/// </summary>
/// <param name="current">The context.</param>
/// <param name="options">Its options.</param>
internal sealed class ContextUnits(ICurrentDbContext current, IDbContextOptions options) : IResettableService, IDisposable
{
    private KvUnitOfWork? _unit;

    /// <summary>What the transactions of the context are, as far as its events tell.</summary>
    public ContextTransactions Transactions { get; } = new(current.Context);

    /// <summary>The unit of work of this lease; null while nothing asked for one.</summary>
    public KvUnitOfWork? Known => _unit;

    /// <summary>The unit of work of this lease.</summary>
    public KvUnitOfWork Unit => _unit ??= new KvUnitOfWork(current.Context, Transactions, FindStore());

    /// <summary>The units of a context; null for one that has no <c>UseKv()</c>.</summary>
    public static ContextUnits? Of(DbContext? context) => context?.GetInfrastructure().GetService<ContextUnits>();

    /// <inheritdoc cref="Of" />
    /// <exception cref="InvalidOperationException">There are none; the message says what to do.</exception>
    public static ContextUnits Require(DbContext context) => Of(context) ?? throw new InvalidOperationException(
        context.GetInfrastructure().GetService<IDbContextOptions>()?.FindExtension<JoinOptions>() is null
            ? $"The context {context.GetType().Name} joins no store, so nothing that is collected here would be committed. Configure it "
                + $"with UseKv(), beside the database: services.AddDbContext<{context.GetType().Name}>(options => "
                + "options.UseNpgsql(...).UseKv())."
            : $"The context {context.GetType().Name} has an internal service provider of yours (UseInternalServiceProvider), which lacks "
                + "what UseKv() brings. Leave that out, so that EF Core makes its own.");

    /// <summary>The transaction went back to a savepoint: what came after it is dropped, unless EF Core made it for a save.</summary>
    public void RolledBackToSavepoint(Guid transaction)
    {
        if (!Transactions.IsSaving && _unit is { } unit)
        {
            unit.Pending.RollBackToSavepoint(transaction, Transactions.Savepoints);
        }
    }

    public void ReleasedSavepoint(Guid transaction)
    {
        if (Transactions.ReleasedSavepoint())
        {
            _unit?.Pending.ReleaseSavepoint(transaction);
        }
    }

    public void ResetState()
    {
        End();
        Transactions.Reset();
    }

    public Task ResetStateAsync(CancellationToken cancellationToken = default)
    {
        ResetState();
        return Task.CompletedTask;
    }

    public void Dispose() => End();

    private void End()
    {
        _unit?.End();
        _unit = null;
    }

    private KvStore FindStore()
    {
        var services = options.FindExtension<CoreOptionsExtension>()?.ApplicationServiceProvider;
        var name = options.FindExtension<JoinOptions>()!.Store;
        var store = name is null ? services?.GetService<KvStore>() : services?.GetKeyedService<KvStore>(name);
        var type = current.Context.GetType().Name;
        return store ?? throw new InvalidOperationException(
            services is null
                ? $"The context {type} knows no services, so it finds no store. Add it with services.AddDbContext<{type}>(...), or give "
                    + "the options that you make by hand the application's: UseApplicationServiceProvider(provider)."
                : name is null
                    ? $"There is no store for the context {type}. Add one on its database: services.AddKvStore<{type}>()."
                    : $"There is no store named '{name}' for the context {type}. Add one on its database, "
                        + $"services.AddKvStore<{type}>(\"{name}\"), or correct the name in UseKv(\"{name}\").");
    }
}
