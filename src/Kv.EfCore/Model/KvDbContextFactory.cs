using Microsoft.EntityFrameworkCore;

namespace Kv.Model;

/// <summary>Makes contexts of a store. EF Core's own factory compiles an expression to find the constructor, which costs every start 20 ms.</summary>
internal sealed class KvDbContextFactory(DbContextOptions<KvDbContext> options) : IDbContextFactory<KvDbContext>
{
    public KvDbContext CreateDbContext() => new(options);
}
