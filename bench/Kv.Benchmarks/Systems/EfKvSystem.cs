using Microsoft.Extensions.DependencyInjection;

namespace Kv.Benchmarks.Systems;

/// <summary>The store, through its public interface.</summary>
/// <param name="target">Where.</param>
/// <param name="recordsChanges">Whether its change feed is on.</param>
public sealed class EfKvSystem(Target target, bool recordsChanges = false) : KeyValueSystem
{
    private const int Bytes = 3;

    private readonly ServiceProvider _services = new ServiceCollection().AddKvStore(target.Configure).BuildServiceProvider();

    private IKvStore Store => field ??= _services.GetRequiredService<IKvStore>();

    public override async Task SetUpAsync(int rows)
    {
        await target.CreateAsync();
        await _services.MigrateKvStoreAsync();
        await using var connection = await target.OpenAsync();
        await Seeder.FillAsync(
            connection, "kv", ["k", "v", "v_encoding", "version"], Seed(rows).Select(
                static row => (object[])[row.Key, row.Value, Bytes, 1L]));
        await Seeder.RunAsync(connection, "update data_version set version = 1 where k = 0 and version < 1");
        if (recordsChanges)
        {
            await _services.GetRequiredService<IKvChanges>().EnableAsync();
        }
    }

    public override async Task OpenAsync() => await Store.GetAsync(["bench", 0L]);

    public override async ValueTask GetAsync(long row) => await Store.GetAsync([Range, row]);

    public override async ValueTask GetTenAsync(long row, int step)
    {
        var keys = new KvKey[10];
        for (var i = 0; i < keys.Length; i++)
        {
            keys[i] = [Range, row + (i * (long)step)];
        }

        await Store.GetManyAsync(keys);
    }

    public override async ValueTask<int> ListAsync(long from, int count)
    {
        var found = 0;
        await foreach (var _ in Store.ListAsync(
            KvRange.Prefix([Range], [Range, from], null), new KvListOptions { Limit = count, BatchSize = count }))
        {
            found++;
        }

        return found;
    }

    public override async ValueTask SetAsync(long row) => await Store.SetAsync([Range, row], Value);

    public override async ValueTask CheckAndSetAsync(long row)
    {
        var entry = await Store.GetAsync([Range, row]);
        await Store.Atomic().Check([Range, row], entry?.Versionstamp).Set([Range, row], Value).CommitAsync();
    }

    public override async ValueTask SumAsync(int counter) => await Store.Atomic().Sum(["counter", counter], 1).CommitAsync();

    public override async ValueTask SetTenAsync(long row)
    {
        var write = Store.Atomic();
        for (var i = 0; i < 10; i++)
        {
            write.Set([Range, row + i], Value);
        }

        await write.CommitAsync();
    }

    public override ValueTask DisposeAsync() => _services.DisposeAsync();
}
