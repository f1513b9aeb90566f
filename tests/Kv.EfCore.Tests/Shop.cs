using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Tests;

/// <summary>An application with a context of its own that joins a store.</summary>
internal sealed class Shop : IAsyncDisposable
{
    private readonly KvTestStore _test;

    private readonly KvDatabase _database;

    private Shop(KvDatabase database, KvTestStore test, LogCollector logs) => (_database, _test, Logs) = (database, test, logs);

    public LogCollector Logs { get; }

    public KvTestStore Test => _test;

    public IKvStore Store => _test.Store;

    public IServiceProvider Services => _test.Services;

    /// <summary>Makes the shop's tables beside the store's.</summary>
    /// <param name="database">Where.</param>
    /// <param name="context">More options of the context, before <c>UseKv()</c>.</param>
    /// <param name="after">More options of the context, after it.</param>
    /// <param name="add">Adds the context to the services; a factory by default.</param>
    /// <param name="connectionString">A database that has the tables already; a new one by default.</param>
    /// <param name="store">Changes the store's options.</param>
    /// <param name="time">The clock.</param>
    public static async Task<Shop> OpenAsync(
        KvDatabase database,
        Action<DbContextOptionsBuilder>? context = null,
        Action<DbContextOptionsBuilder>? after = null,
        Action<IServiceCollection, Action<DbContextOptionsBuilder>>? add = null,
        string? connectionString = null,
        Action<KvStoreOptions>? store = null,
        TimeProvider? time = null)
    {
        var logs = new LogCollector();
        var fresh = connectionString is null;
        connectionString ??= await database.CreateMigratedAsync();
        add ??= static (services, options) => services.AddDbContextFactory<ShopContext>(options);
        var test = await database.CreateStoreAsync(time, store, connectionString: connectionString, services: services =>
        {
            services.AddSingleton<ILoggerProvider>(_ => logs.CreateProvider());
            add(services, options =>
            {
                database.Configure(options, connectionString);
                context?.Invoke(options);
                options.UseKv();
                after?.Invoke(options);
            });
            services.AddKvStore<ShopContext>();
        });
        var shop = new Shop(database, test, logs);
        if (fresh)
        {
            await using var db = shop.OpenApart();
            await db.Database.ExecuteSqlRawAsync(db.Database.GenerateCreateScript());
        }

        return shop;
    }

    /// <summary>A context of the factory.</summary>
    public ShopContext Open() => Services.GetRequiredService<IDbContextFactory<ShopContext>>().CreateDbContext();

    private ShopContext OpenApart()
    {
        var options = new DbContextOptionsBuilder<ShopContext>();
        _database.Configure(options, _test.ConnectionString);
        return new ShopContext(options.Options);
    }

    /// <summary>The names of the orders that are stored.</summary>
    public async Task<string[]> OrdersAsync()
    {
        await using var db = OpenApart();
        return await db.Orders.OrderBy(static o => o.Id).Select(static o => o.Name).ToArrayAsync();
    }

    /// <summary>The ids of the messages that wait.</summary>
    public async Task<string[]> MessagesAsync()
    {
        await using var context = _test.CreateContext();
        return await context.QueuedMessages.OrderBy(static m => m.Id).Select(static m => m.Id).ToArrayAsync();
    }

    public IEnumerable<string> LoggedAs(int id) => Logs.Entries.Where(entry => entry.Event == id).Select(static entry => entry.Text);

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    /// <summary>Has a context's operations tried again after a <see cref="TransientException"/>.</summary>
    public static void Retry(DbContextOptionsBuilder options) => ((IDbContextOptionsBuilderInfrastructure)options).AddOrUpdateExtension(
        options.Options.Extensions.OfType<RelationalOptionsExtension>().Single().WithExecutionStrategyFactory(static d => new Retrying(d)));

    private sealed class Retrying(ExecutionStrategyDependencies dependencies)
        : ExecutionStrategy(dependencies, maxRetryCount: 3, TimeSpan.Zero)
    {
        protected override bool ShouldRetryOn(Exception exception) => exception is TransientException;
    }
}

/// <summary>An error that goes away by itself.</summary>
internal sealed class TransientException : Exception;

public sealed class ShopContext(DbContextOptions<ShopContext> options) : DbContext(options)
{
    public DbSet<ShopOrder> Orders => Set<ShopOrder>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<ShopOrder>().HasIndex(static o => o.Name).IsUnique();
}

public sealed class ShopOrder
{
    public int Id { get; private set; }

    public required string Name { get; set; }
}
