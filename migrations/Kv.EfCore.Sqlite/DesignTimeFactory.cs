using Kv.Setup;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;

namespace Kv.Sqlite;

/// <summary>Makes the context for <c>dotnet ef</c> in this project. The file is only touched by <c>database update</c>.</summary>
internal sealed class DesignTimeFactory : IDesignTimeDbContextFactory<KvDbContext>
{
    public KvDbContext CreateDbContext(string[] args)
    {
        var builder = new DbContextOptionsBuilder<KvDbContext>();
        var connection = Environment.GetEnvironmentVariable("EFKV_CONNECTION") ?? "Data Source=app.db";
        KvContextOptions.Configure(builder, new KvStoreOptions(), db => db.UseSqlite(connection));
        return new KvDbContext(builder.Options);
    }
}
