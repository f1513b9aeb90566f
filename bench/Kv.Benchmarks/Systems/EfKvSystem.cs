using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Benchmarks.Systems;

/// <summary>The store, through its public interface.</summary>
public sealed class EfKvSystem(Action<DbContextOptionsBuilder> database) : BenchSystem
{
    private readonly ServiceProvider _services = new ServiceCollection().AddKvStore(database).BuildServiceProvider();

    private IKvStore Store => _services.GetRequiredService<IKvStore>();

    public override async Task SetUpAsync(int rows)
    {
        await _services.MigrateKvStoreAsync();
        for (var i = 0L; i < rows; i += 500)
        {
            var write = Store.Atomic();
            for (var j = i; j < Math.Min(i + 500, rows); j++)
            {
                write.Set(["bench", j], Value);
            }

            await write.CommitAsync();
        }
    }

    public override async Task OpenAsync() => await Store.GetAsync(["bench", 0L]);

    public override async Task GetAsync(long row) => await Store.GetAsync(["bench", row]);

    public override async Task<int> ListAsync(long from, int count)
    {
        var found = 0;
        await foreach (var _ in Store.ListAsync(KvSelector.Prefix(["bench"], ["bench", from], null), new KvListOptions { Limit = count }))
        {
            found++;
        }

        return found;
    }

    public override async Task SetAsync(long row) => await Store.SetAsync(["bench", row], Value);

    public override async Task CheckAndSetAsync(long row)
    {
        var entry = await Store.GetAsync(["bench", row]);
        await Store.Atomic().Check(["bench", row], entry?.Versionstamp).Set(["bench", row], Value).CommitAsync();
    }

    public override async Task SumAsync(int counter) => await Store.Atomic().Sum(["counter", counter], 1).CommitAsync();

    public override async Task SetTenAsync(long row)
    {
        var write = Store.Atomic();
        for (var i = 0; i < 10; i++)
        {
            write.Set(["bench", row + i], Value);
        }

        await write.CommitAsync();
    }

    public override ValueTask DisposeAsync() => _services.DisposeAsync();
}
