namespace Kv.Store;

/// <summary>Reads that say how fresh they have to be. A strong one is the plain one.</summary>
internal sealed partial class KvStore
{
    public async ValueTask<KvEntry?> GetAsync(KvKey key, KvReadOptions options, CancellationToken cancellationToken = default)
    {
        if (!Freshness.IsEventual(options))
        {
            return await GetAsync(key, cancellationToken).ConfigureAwait(false);
        }

        var bytes = ReadKey(key);
        return await CallAsync("get", bytes, static (engine, of, token) => engine.EventualReader.GetAsync(of, token), cancellationToken).ConfigureAwait(false) is { } row
            ? Entry(key, row)
            : null;
    }

    public async ValueTask<T?> GetAsync<T>(KvKey key, KvReadOptions options, CancellationToken cancellationToken = default) =>
        await GetAsync(key, options, cancellationToken).ConfigureAwait(false) is { } entry ? entry.As<T>() : default;

    public async ValueTask<IReadOnlyList<KvEntry?>> GetManyAsync(
        IReadOnlyList<KvKey> keys, KvReadOptions options, CancellationToken cancellationToken = default)
    {
        if (!Freshness.IsEventual(options))
        {
            return await GetManyAsync(keys, cancellationToken).ConfigureAwait(false);
        }

        keys = CopyFew(keys);
        return Entries(
            keys,
            await CallAsync("get_many", ReadKeys(keys), static (engine, of, token) => engine.EventualReader.GetManyAsync(of, token), cancellationToken, keys.Count)
                .ConfigureAwait(false));
    }

    public async ValueTask<bool> ExistsAsync(KvKey key, KvReadOptions options, CancellationToken cancellationToken = default) => Freshness.IsEventual(options)
        ? await CallAsync("exists", ReadKey(key), static (engine, of, token) => engine.EventualReader.ExistsAsync(of, token), cancellationToken).ConfigureAwait(false)
        : await ExistsAsync(key, cancellationToken).ConfigureAwait(false);

    public async ValueTask<long> CountAsync(KvRange range, KvReadOptions options, CancellationToken cancellationToken = default)
    {
        if (!Freshness.IsEventual(options))
        {
            return await CountAsync(range, cancellationToken).ConfigureAwait(false);
        }

        _ = new Listing(range, null, Engine.Options, keysOnly: true);
        return await CallAsync(
            "count", range, static (engine, of, token) => engine.EventualReader.CountAsync(of.Start, of.End, token), cancellationToken).ConfigureAwait(false);
    }
}
