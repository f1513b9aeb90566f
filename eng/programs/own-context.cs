// An application that had a context of its own, and its scripts for dotnet ef, before it had a store.
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

var builder = Host.CreateApplicationBuilder(args);
builder.Services.AddDbContext<ShopContext>(db => db.UseSqlite("Data Source=shop.db"));
builder.Services.AddKvStore(db => db.UseSqlite("Data Source=shop.db"));
builder.Services.AddKvWorker();
using var host = builder.Build();
await host.RunAsync();

internal sealed class Invoice
{
    public long Id { get; set; }
}

internal sealed class ShopContext(DbContextOptions<ShopContext> options) : DbContext(options)
{
    public DbSet<Invoice> Invoices => Set<Invoice>();
}
