using Kv.Store;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Kv.Setup;

/// <summary>What a call of <c>AddKvStoreFactory</c> says of the stores.</summary>
/// <param name="Database">Chooses the database of a store.</param>
/// <param name="Options">Changes the options of a store.</param>
internal sealed record TenantStores(
    Action<IServiceProvider, string, DbContextOptionsBuilder> Database, Action<string, KvStoreOptions>? Options)
{
    private static readonly KvStoreOptionsValidator Validator = new();

    /// <summary>Makes a store, which opens nothing yet.</summary>
    /// <exception cref="OptionsValidationException">Its options cannot work.</exception>
    public KvStore Create(IServiceProvider provider, string name)
    {
        var options = new KvStoreOptions();
        Options?.Invoke(name, options);
        if (Validator.Validate(name, options) is { Failed: true } invalid)
        {
            throw new OptionsValidationException(name, typeof(KvStoreOptions), invalid.Failures);
        }

        var builder = new DbContextOptionsBuilder<KvDbContext>();
        builder.UseApplicationServiceProvider(provider);
        KvContextOptions.Configure(builder, options, db =>
        {
            Database(provider, name, db);
            RefuseMemory(name, db);
        });
        return KvServiceCollectionExtensions.Create(provider, name, options, builder.Options, () => new KvDbContext(builder.Options));
    }

    private static void RefuseMemory(string name, DbContextOptionsBuilder db)
    {
        if (db.Options.Extensions.OfType<RelationalOptionsExtension>().FirstOrDefault()?.ConnectionString is { } address
            && KvContextOptions.ProviderOf(db.Options).IsMemory(address))
        {
            throw new InvalidOperationException(
                $"The store '{name}' is in memory ('{address}'), and would lose all that it has when the factory closes it after its "
                + "last lease. Give it a file.");
        }
    }
}
