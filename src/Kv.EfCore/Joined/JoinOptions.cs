using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Joined;

/// <summary>
/// Says that a context joins a store, and gives each context a place for what it has collected. It replaces no service of EF Core.
/// </summary>
/// <param name="store">The name of the store; null for the one without a name.</param>
internal sealed class JoinOptions(string? store) : IDbContextOptionsExtension
{
    /// <summary>The name of the store; null for the one without a name.</summary>
    public string? Store { get; } = store;

    public DbContextOptionsExtensionInfo Info => new JoinInfo(this);

    public void ApplyServices(IServiceCollection services)
    {
        services.AddScoped<ContextUnits>();

        services.AddSingleton<IInterceptor>(SaveEndInterceptor.Instance);

        // So EF Core tells of a context that goes back to its pool.
        services.AddScoped<IResettableService>(static provider => provider.GetRequiredService<ContextUnits>());
    }

    public void Validate(IDbContextOptions options)
    {
    }

    private sealed class JoinInfo(JoinOptions extension) : DbContextOptionsExtensionInfo(extension)
    {
        public override bool IsDatabaseProvider => false;

        public override string LogFragment => extension.Store is { } name ? $"Kv={name} " : "Kv ";

        // Which store it is makes no difference to the services.
        public override int GetServiceProviderHashCode() => typeof(JoinOptions).GetHashCode();

        public override bool ShouldUseSameServiceProvider(DbContextOptionsExtensionInfo other) => other is JoinInfo;

        public override void PopulateDebugInfo(IDictionary<string, string> debugInfo) => debugInfo["Kv:Store"] = extension.Store ?? "";
    }
}
