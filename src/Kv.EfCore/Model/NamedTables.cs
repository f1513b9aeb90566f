using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Model;

/// <summary>
/// Gives the store's own context tables of other names than the default: a model of its own, and migrations that make them.
/// </summary>
/// <param name="prefix">What the names begin with.</param>
/// <param name="addServices">Adds what writes the SQL of migrations.</param>
internal sealed class NamedTables(string prefix, Action<IServiceCollection> addServices) : IDbContextOptionsExtension
{
    /// <summary>What the names begin with.</summary>
    public string Prefix => prefix;

    public DbContextOptionsExtensionInfo Info => new NamesInfo(this);

    public void ApplyServices(IServiceCollection services) => addServices(services);

    public void Validate(IDbContextOptions options)
    {
    }

    private sealed class NamesInfo(NamedTables extension) : DbContextOptionsExtensionInfo(extension)
    {
        private readonly string _prefix = extension.Prefix;

        public override bool IsDatabaseProvider => false;

        public override string LogFragment => $"KvTables={_prefix} ";

        // Models are kept with the services, one for a type of context.
        public override int GetServiceProviderHashCode() => _prefix.GetHashCode(StringComparison.Ordinal);

        public override bool ShouldUseSameServiceProvider(DbContextOptionsExtensionInfo other) =>
            other is NamesInfo names && names._prefix == _prefix;

        public override void PopulateDebugInfo(IDictionary<string, string> debugInfo) => debugInfo["Kv:Tables"] = _prefix;
    }
}
