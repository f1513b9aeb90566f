using Kv.Databases;
using Microsoft.EntityFrameworkCore;

namespace Kv.Simulated;

/// <summary>One database for all processes of a run: the first makes it, and the run deletes it.</summary>
internal sealed class SharedDatabase(KvTestDatabase source) : KvTestDatabase, IAsyncDisposable
{
    private readonly TestDatabase _database = source.Next();
    private bool _isMade;

    internal override TestDatabase Next() => new View(this);

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    /// <summary>What one process has of it.</summary>
    private sealed class View(SharedDatabase shared) : TestDatabase
    {
        public override void Configure(DbContextOptionsBuilder db) => shared._database.Configure(db);

        public override async Task CreateAsync(bool isMigrated, CancellationToken cancellationToken)
        {
            if (!shared._isMade)
            {
                await shared._database.CreateAsync(isMigrated, cancellationToken).ConfigureAwait(false);
                shared._isMade = true;
            }
        }

        public override ValueTask DisposeAsync() => default;
    }
}
