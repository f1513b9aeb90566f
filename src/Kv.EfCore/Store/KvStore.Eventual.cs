using Kv.Reads;

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

        var row = await EventuallyAsync(
            "get", ReadKey(key), static (reader, of, token) => reader.GetAsync(of, token), cancellationToken).ConfigureAwait(false);
        return row is { } found ? Entry(key, found) : null;
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

        var copy = CopyFew(keys);
        var rows = await EventuallyAsync(
            "get_many", ReadKeys(copy), static (reader, of, token) => reader.GetManyAsync(of, token), cancellationToken, copy.Length)
            .ConfigureAwait(false);
        return Entries(copy, rows);
    }

    public async ValueTask<bool> ExistsAsync(KvKey key, KvReadOptions options, CancellationToken cancellationToken = default)
    {
        if (!Freshness.IsEventual(options))
        {
            return await ExistsAsync(key, cancellationToken).ConfigureAwait(false);
        }

        return await EventuallyAsync(
            "exists", ReadKey(key), static (reader, of, token) => reader.ExistsAsync(of, token), cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<long> CountAsync(KvRange range, KvReadOptions options, CancellationToken cancellationToken = default)
    {
        if (!Freshness.IsEventual(options))
        {
            return await CountAsync(range, cancellationToken).ConfigureAwait(false);
        }

        _ = ListingOf(range, null, keysOnly: true);
        return await EventuallyAsync(
            "count", Shown.In(range), static (reader, of, token) => reader.CountAsync(of.Start, of.End, token), cancellationToken)
            .ConfigureAwait(false);
    }

    private ValueTask<TResult> EventuallyAsync<TArgument, TResult>(
        string operation,
        TArgument argument,
        Func<StoreReader, TArgument, CancellationToken, ValueTask<TResult>> read,
        CancellationToken cancellationToken,
        int size = 1) => CallAsync(
            operation,
            (Argument: argument, Read: read),
            static (engine, of, token) => of.Read(engine.EventualReader, of.Argument, token),
            cancellationToken,
            size);
}
