using Microsoft.EntityFrameworkCore;

namespace Kv.Tests;

/// <summary>A kind of database that the sample runs on. Every test gets an empty one of its own.</summary>
public abstract class DatabaseForTests : IAsyncLifetime
{
    /// <summary>What --provider calls it.</summary>
    public abstract string Name { get; }

    /// <returns>The connection string.</returns>
    public abstract Task<string> CreateEmptyAsync();

    public abstract void Configure(DbContextOptionsBuilder db, string connection);

    public abstract ValueTask InitializeAsync();

    public abstract ValueTask DisposeAsync();
}
