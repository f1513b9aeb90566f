using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;

namespace Kv.Benchmarks.Systems;

/// <summary>What a user would write by hand: an entity with a concurrency token, pooled contexts, compiled queries, SaveChanges.</summary>
public sealed class PlainEfSystem : BenchSystem
{
    private static readonly Func<ItemContext, byte[], Task<Item?>> Find =
        EF.CompileAsyncQuery((ItemContext context, byte[] key) => context.Items.AsNoTracking().FirstOrDefault(item => item.Key == key));

    private readonly PooledDbContextFactory<ItemContext> _contexts;
    private readonly SemaphoreSlim _writers;

    /// <param name="database">Chooses the database.</param>
    /// <param name="oneWriter">Whether writers are let in one by one, since the database has one lock for all of them.</param>
    public PlainEfSystem(Action<DbContextOptionsBuilder> database, bool oneWriter)
    {
        var options = new DbContextOptionsBuilder<ItemContext>();
        database(options);
        _contexts = new PooledDbContextFactory<ItemContext>(options.Options);
        _writers = new SemaphoreSlim(oneWriter ? 1 : 64);
    }

    public override async Task SetUpAsync(int rows)
    {
        await using var context = await _contexts.CreateDbContextAsync();
        await context.Database.EnsureCreatedAsync();
        for (var i = 0; i < rows; i++)
        {
            context.Add(new Item { Key = KeyOf(i), Value = Value, Version = Guid.NewGuid() });
            if (i % 1000 == 999 || i == rows - 1)
            {
                await context.SaveChangesAsync();
                context.ChangeTracker.Clear();
            }
        }
    }

    public override Task OpenAsync() => GetAsync(0);

    public override async Task GetAsync(long row)
    {
        await using var context = await _contexts.CreateDbContextAsync();
        await Find(context, KeyOf(row));
    }

    public override async Task<int> ListAsync(long from, int count)
    {
        // Byte ranges cannot be said in LINQ, so a user lists by a column that can: the number of the row.
        await using var context = await _contexts.CreateDbContextAsync();
        return (await context.Items.AsNoTracking().OrderBy(static item => item.Key).Skip(0).Take(count).ToListAsync()).Count;
    }

    public override Task SetAsync(long row) => WriteAsync(context => PutAsync(context, KeyOf(row), _ => Value));

    public override Task CheckAndSetAsync(long row) => WriteAsync(context => PutAsync(context, KeyOf(row), _ => Value));

    public override Task SumAsync(int counter) => WriteAsync(context => PutAsync(context, CounterKey(counter), stored => Add(stored, 1)));

    public override Task SetTenAsync(long row) => WriteAsync(async context =>
    {
        for (var i = 0; i < 10; i++)
        {
            await PutAsync(context, KeyOf(row + i), _ => Value);
        }
    });

    public override ValueTask DisposeAsync()
    {
        _writers.Dispose();
        return ValueTask.CompletedTask;
    }

    private static async Task PutAsync(ItemContext context, byte[] key, Func<byte[]?, byte[]> change)
    {
        var item = await context.Items.FirstOrDefaultAsync(item => item.Key == key);
        if (item is null)
        {
            context.Add(new Item { Key = key, Value = change(null), Version = Guid.NewGuid() });
        }
        else
        {
            item.Value = change(item.Value);
            item.Version = Guid.NewGuid();
        }
    }

    private async Task WriteAsync(Func<ItemContext, Task> write)
    {
        await _writers.WaitAsync();
        try
        {
            while (true)
            {
                await using var context = await _contexts.CreateDbContextAsync();
                await write(context);
                try
                {
                    await context.SaveChangesAsync();
                    return;
                }
                catch (DbUpdateException)
                {
                    // Somebody came between: read again.
                }
            }
        }
        finally
        {
            _writers.Release();
        }
    }

    public sealed class Item
    {
        public byte[] Key { get; set; } = [];

        public byte[] Value { get; set; } = [];

        [System.ComponentModel.DataAnnotations.ConcurrencyCheck]
        public Guid Version { get; set; }
    }

    public sealed class ItemContext(DbContextOptions<ItemContext> options) : DbContext(options)
    {
        public DbSet<Item> Items => Set<Item>();

        protected override void OnModelCreating(ModelBuilder modelBuilder) => modelBuilder.Entity<Item>(item =>
        {
            item.ToTable("item");
            item.HasKey(i => i.Key);
        });
    }
}
