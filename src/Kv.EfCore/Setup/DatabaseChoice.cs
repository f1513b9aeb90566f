using Microsoft.EntityFrameworkCore;

namespace Kv.Setup;

/// <summary>What a call of <c>AddKvStore</c> says of the database.</summary>
internal sealed record DatabaseChoice(Action<IServiceProvider, DbContextOptionsBuilder> Configure)
{
    /// <summary>Configures a context by all calls: the last one that names a database chooses it, whole, and later ones add to it.</summary>
    /// <param name="choices">The calls in their order.</param>
    /// <param name="provider">The application's services.</param>
    /// <param name="builder">The context's options.</param>
    public static void Apply(IReadOnlyList<DatabaseChoice> choices, IServiceProvider provider, DbContextOptionsBuilder builder)
    {
        var first = choices.Count - 1;
        while (first > 0 && !choices[first].NamesDatabase(provider))
        {
            first--;
        }

        foreach (var choice in choices.Skip(first))
        {
            choice.Configure(provider, builder);
        }
    }

    private bool NamesDatabase(IServiceProvider provider)
    {
        var trial = new DbContextOptionsBuilder<KvDbContext>();
        trial.UseApplicationServiceProvider(provider);
        Configure(provider, trial);
        return trial.Options.Extensions.Any(static extension => extension.Info.IsDatabaseProvider);
    }
}
