using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Infrastructure;

namespace Kv.Benchmarks.Systems;

/// <summary>What a user would write by hand: an entity with a concurrency token, pooled contexts, compiled queries, SaveChanges.</summary>
public sealed class PlainEfSystem : KeyValueSystem
{
    private static readonly Func<ItemContext, byte[], Task<Item?>> Find =
        EF.CompileAsyncQuery((ItemContext context, byte[] key) => context.Items.AsNoTracking().FirstOrDefault(item => item.Key == key));

    private readonly Target _target;
    private readonly PooledDbContextFactory<ItemContext> _contexts;
    private readonly SemaphoreSlim _writers;

    public PlainEfSystem(Target target)
    {
        _target = target;
        var options = new DbContextOptionsBuilder<ItemContext>();
        target.Configure(options);
        _contexts = new PooledDbContextFactory<ItemContext>(options.Options);
        // SQLite has one lock for all writers, so they are let in one by one.
        _writers = new SemaphoreSlim(target.IsSqlite ? 1 : 64);
    }

    public override async Task SetUpAsync(int rows)
    {
        await _target.CreateAsync();
        await using (var context = await _contexts.CreateDbContextAsync())
        {
            await context.Database.EnsureCreatedAsync();
        }

        await using var connection = await _target.OpenAsync();
        await Seeder.FillAsync(
            connection, "item", ["key", "value", "version"], Seed(rows).Select(static row => (object[])[row.Key, row.Value, Guid.NewGuid()]));
    }

    public override async Task OpenAsync() => await GetAsync(0);

    public override async ValueTask GetAsync(long row)
    {
        await using var context = await _contexts.CreateDbContextAsync();
        await Find(context, KeyOf(row));
    }

    public override async ValueTask GetTenAsync(long row, int step)
    {
        var keys = Enumerable.Range(0, 10).Select(i => KeyOf(row + (i * (long)step))).ToArray();
        await using var context = await _contexts.CreateDbContextAsync();
        await context.Items.AsNoTracking().Where(item => keys.Contains(item.Key)).ToListAsync();
    }

    public override async ValueTask<int> ListAsync(long from, int count)
    {
        // LINQ cannot compare bytes, so the range is said in SQL, as a user would have to.
        await using var context = await _contexts.CreateDbContextAsync();
        return (await context.Items.FromSql($"select * from item where key >= {KeyOf(from)} order by key limit {count}").AsNoTracking().ToListAsync()).Count;
    }

    public override ValueTask SetAsync(long row) => WriteAsync(context => PutAsync(context, KeyOf(row), _ => Value));

    public override ValueTask CheckAndSetAsync(long row) => WriteAsync(context => PutAsync(context, KeyOf(row), _ => Value));

    public override ValueTask SumAsync(int counter) => WriteAsync(context => PutAsync(context, CounterKey(counter), stored => Add(stored, 1)));

    public override ValueTask SetTenAsync(long row) => WriteAsync(async context =>
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

    private async ValueTask WriteAsync(Func<ItemContext, Task> write)
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
            item.Property(i => i.Key).HasColumnName("key");

            // Values are replaced and never changed in place. EF's own comparison of arrays boxes each of their bytes: half a megabyte for 10 KB.
            item.Property(i => i.Value).HasColumnName("value").Metadata.SetValueComparer(
                new ValueComparer<byte[]>((a, b) => ReferenceEquals(a, b), value => value.Length, value => value));
            item.Property(i => i.Version).HasColumnName("version");
        });
    }
}
