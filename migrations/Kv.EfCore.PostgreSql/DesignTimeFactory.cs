using Kv.Setup;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;

namespace Kv.PostgreSql;

/// <summary>Makes the context for <c>dotnet ef</c> in this project. The server is only asked by <c>database update</c>.</summary>
internal sealed class DesignTimeFactory : IDesignTimeDbContextFactory<KvDbContext>
{
    public KvDbContext CreateDbContext(string[] args)
    {
        var builder = new DbContextOptionsBuilder<KvDbContext>();
        var connection = Environment.GetEnvironmentVariable("EFKV_CONNECTION") ?? "Host=localhost;Database=app";
        KvContextOptions.Configure(builder, new KvStoreOptions(), db => db.UseNpgsql(connection));
        return new KvDbContext(builder.Options);
    }
}
