using System.Diagnostics;
using System.Runtime.CompilerServices;
using Kv.Commits;
using Kv.Diagnostics;
using Kv.Engine;
using Kv.Keys;
using Kv.Reads;

namespace Kv.Store;

/// <summary>The store that <c>AddKvStore</c> registers.</summary>
/// <param name="engine">Its parts.</param>
/// <param name="serializer">Makes values of what is passed, and back.</param>
/// <param name="scope">What it shows.</param>
internal sealed partial class KvStore(KvEngine engine, IKvValueSerializer serializer, KeyScope scope)
    : IKvStore, IAsyncDisposable, IDisposable
{
    public KvEngine Engine { get; } = engine;

    public IKvValueSerializer Serializer { get; } = serializer;

    /// <summary>What this store shows.</summary>
    public KeyScope Shown { get; } = scope;

    public async ValueTask<KvEntry?> GetAsync(KvKey key, CancellationToken cancellationToken = default)
    {
        var bytes = ReadKey(key);
        return await CallAsync("get", bytes, static (engine, of, token) => engine.Reader.GetAsync(of, token), cancellationToken)
            .ConfigureAwait(false) is { } row
            ? Entry(key, row)
            : null;
    }

    public async ValueTask<T?> GetAsync<T>(KvKey key, CancellationToken cancellationToken = default) =>
        await GetAsync(key, cancellationToken).ConfigureAwait(false) is { } entry ? entry.As<T>() : default;

    public async ValueTask<IReadOnlyList<KvEntry?>> GetManyAsync(IReadOnlyList<KvKey> keys, CancellationToken cancellationToken = default)
    {
        keys = CopyFew(keys);
        return Entries(
            keys,
            await CallAsync(
                "get_many",
                ReadKeys(keys),
                static (engine, of, token) => engine.Reader.GetManyAsync(of, token),
                cancellationToken,
                keys.Count).ConfigureAwait(false));
    }

    public async ValueTask<bool> ExistsAsync(KvKey key, CancellationToken cancellationToken = default) =>
        await CallAsync("exists", ReadKey(key), static (engine, of, token) => engine.Reader.ExistsAsync(of, token), cancellationToken)
            .ConfigureAwait(false);

    /// <summary>What time it is by the clock that decides: the server is asked if it is its.</summary>
    public ValueTask<DateTimeOffset> UtcNowAsync(CancellationToken cancellationToken) => Engine.Clock.ServerDecides
        ? CallAsync("time", this, static (engine, _, token) => engine.Reader.UtcNowAsync(token), cancellationToken)
        : new(Engine.Clock.UtcNow);

    /// <summary>Asks the server what time it is, if its clock decides and has not been asked for a while.</summary>
    /// <returns>Whether it was asked.</returns>
    public async ValueTask<bool> RefreshTimeAsync(CancellationToken cancellationToken)
    {
        if (Engine.Clock.IsFresh)
        {
            return false;
        }

        await UtcNowAsync(cancellationToken).ConfigureAwait(false);
        return true;
    }

    public IAsyncEnumerable<KvEntry> ListAsync(
        KvRange range, KvListOptions? options = null, CancellationToken cancellationToken = default) =>
        ListRowsAsync(ListingOf(range, options, keysOnly: false), row => Entry(Shown.Out(row.Key), row), cancellationToken);

    public IAsyncEnumerable<KvKey> ListKeysAsync(
        KvRange range, KvListOptions? options = null, CancellationToken cancellationToken = default) =>
        ListRowsAsync(ListingOf(range, options, keysOnly: true), row => Shown.Out(row.Key), cancellationToken);

    public async ValueTask<KvPage> ListPageAsync(
        KvRange range, KvListOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new KvListOptions();

        // What the caller passed is looked at as it is: an error must name that, not the number that becomes of it.
        _ = ListingOf(range, options, keysOnly: false);
        var size = options.Limit ?? options.BatchSize ?? KvLimits.DefaultBatchSize;

        // One more than asked tells whether there is a next page.
        List<KvEntry> entries = [];
        var oneMore = options with { Limit = size == int.MaxValue ? size : size + 1 };
        await foreach (var entry in ListAsync(range, oneMore, cancellationToken).ConfigureAwait(false))
        {
            entries.Add(entry);
        }

        if (entries.Count <= size)
        {
            return new KvPage(entries, null);
        }

        entries.RemoveAt(size);
        return new KvPage(entries, Shown.In(range).PageCursorAt(KvKey.FromStored(Shown.In(entries[^1].Key))));
    }

    public async ValueTask<long> CountAsync(KvRange range, CancellationToken cancellationToken = default)
    {
        // Counting takes the ranges that listing takes.
        _ = ListingOf(range, null, keysOnly: true);
        return await CallAsync(
            "count",
            Shown.In(range),
            static (engine, of, token) => engine.Reader.CountAsync(of.Start, of.End, token),
            cancellationToken).ConfigureAwait(false);
    }

    public KvAtomic Atomic() => new(this);

    public IKvStore Scope(KvKey prefix) => new KvStore(Engine, Serializer, Shown.Below(prefix));

    /// <summary>The store that a message was enqueued in.</summary>
    /// <param name="stored">What that shows, as the message has kept it; null for all.</param>
    public KvStore Of(byte[]? stored) => stored is null ? this : new KvStore(Engine, Serializer, KeyScope.FromStored(stored));

    /// <summary>An atomic write in the engine's terms, to be built.</summary>
    public AtomicWriteBuilder Build() => new(Engine, Serializer, Shown);

    public ValueTask<KvVersionstamp> SetAsync<T>(
        KvKey key, T value, TimeSpan? expireIn = null, CancellationToken cancellationToken = default) =>
        CommitUncheckedAsync(Atomic().Set(key, value, expireIn), cancellationToken);

    public ValueTask<KvVersionstamp> SetAsync<T>(KvKey key, T value, KvSetOptions options, CancellationToken cancellationToken = default) =>
        CommitUncheckedAsync(Atomic().Set(key, value, options), cancellationToken);

    public ValueTask<KvVersionstamp> DeleteAsync(KvKey key, CancellationToken cancellationToken = default) =>
        CommitUncheckedAsync(Atomic().Delete(key), cancellationToken);

    public ValueTask<KvVersionstamp> DeleteRangeAsync(KvRange range, CancellationToken cancellationToken = default) =>
        CommitUncheckedAsync(Atomic().DeleteRange(range), cancellationToken);

    public ValueTask<KvEnqueueResult> EnqueueAsync<T>(
        T message, KvEnqueueOptions? options = null, CancellationToken cancellationToken = default)
    {
        var builder = Build();
        builder.Enqueue(message, options);
        return EnqueueAsync(builder.Build(), cancellationToken);
    }

    public ValueTask<IReadOnlyList<string>> EnqueueManyAsync<T>(
        IEnumerable<T> messages, KvEnqueueOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return new EnqueueBatches<T>(this, options).RunAsync(messages, cancellationToken);
    }

    public ValueTask<ulong> SumAsync(KvKey key, ulong value, TimeSpan? expireIn = null, CancellationToken cancellationToken = default)
    {
        var builder = Build();
        builder.Count(MutationKind.Sum, key, value, expireIn);
        return ResultAsync(builder.Build(), cancellationToken);
    }

    public ValueTask<KvVersionstamp> MergeAsync<T>(
        KvKey key, string name, T operand, TimeSpan? expireIn = null, CancellationToken cancellationToken = default) =>
        CommitUncheckedAsync(Atomic().Merge(key, name, operand, expireIn), cancellationToken);

    public ValueTask<bool> TouchAsync(KvKey key, TimeSpan? expireIn, CancellationToken cancellationToken = default)
    {
        var builder = Build();
        builder.Touch(key, expireIn);
        return TouchAsync(builder.Build(), cancellationToken);
    }

    public IAsyncEnumerable<IReadOnlyList<KvEntry?>> WatchAsync(IReadOnlyList<KvKey> keys, CancellationToken cancellationToken = default)
    {
        keys = Copy(keys);
        if (keys.Count is 0 or > KvLimits.MaxWatchedKeys)
        {
            throw new ArgumentException(
                $"Too many keys (max {KvLimits.MaxWatchedKeys}) or none: received {keys.Count}. Watch one key that every change touches, "
                + "or several times fewer.", nameof(keys));
        }

        return new Watching(Engine, Entries).RunAsync(keys, ReadKeys(keys), cancellationToken);
    }

    /// <summary>A write for a callback to fill, which its lender commits.</summary>
    /// <param name="lender">The member that lends it, for errors.</param>
    public KvAtomic Lend(string lender) => new(this, lender);

    // A scope is a view of what another store opened.
    public ValueTask DisposeAsync() => Shown.IsAll ? Engine.DisposeAsync() : ValueTask.CompletedTask;

    /// <summary>For containers that are disposed synchronously.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    /// <summary>Makes sure of the schema, then does what is asked, in a span of its own while a listener traces.</summary>
    public ValueTask<TResult> CallAsync<TArgument, TResult>(
        string operation,
        TArgument argument,
        Func<KvEngine, TArgument, CancellationToken, ValueTask<TResult>> call,
        CancellationToken cancellationToken,
        int size = 1) =>
        Engine.IsOpen && !KvTracing.IsOn && !KvMeter.TimesCalls && !cancellationToken.IsCancellationRequested
            ? call(Engine, argument, cancellationToken)
            : OpenAndCallAsync(operation, size, argument, call, cancellationToken);

    private async ValueTask<TResult> OpenAndCallAsync<TArgument, TResult>(
        string operation,
        int size,
        TArgument argument,
        Func<KvEngine, TArgument, CancellationToken, ValueTask<TResult>> call,
        CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var span = KvTracing.Start(operation, Engine.Traced, size);
        var since = Stopwatch.GetTimestamp();
        Exception? failure = null;
        try
        {
            await Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
            return await call(Engine, argument, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            failure = error;
            span?.Fail(error);
            throw;
        }
        finally
        {
            Engine.Metrics.Called(operation, since, failure);
        }
    }

    private async IAsyncEnumerable<T> ListRowsAsync<T>(
        Listing listing, Func<Row, T> read, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        await foreach (var batch in listing.ReadAsync(Engine.ReaderOf(listing.Consistency), read, cancellationToken).ConfigureAwait(false))
        {
            foreach (var item in batch)
            {
                yield return item;
            }
        }
    }

    private KvEntry Entry(KvKey key, Row row) =>
        new(key, new KvValue(row.Value, (KvEncoding)row.Encoding), KvVersionstamp.FromVersion(row.Version), Serializer);

    internal KvEntry?[] Entries(IReadOnlyList<KvKey> keys, Row?[] rows)
    {
        var entries = new KvEntry?[rows.Length];
        for (var i = 0; i < rows.Length; i++)
        {
            entries[i] = rows[i] is { } row ? Entry(keys[i], row) : null;
        }

        return entries;
    }

    // A copy: the caller may change its list while the database answers.
    private static KvKey[] Copy(IReadOnlyList<KvKey> keys)
    {
        ArgumentNullException.ThrowIfNull(keys);
        return [.. keys];
    }

    internal Listing ListingOf(KvRange range, KvListOptions? options, bool keysOnly)
    {
        ArgumentNullException.ThrowIfNull(range);
        return new Listing(Shown.In(range), options, Engine.Options, keysOnly, Engine.FailPoints.Faults);
    }

    internal KvKey[] CopyFew(IReadOnlyList<KvKey> keys) => Copy(keys) is { Length: var count } copy && count <= Engine.Options.MaxReadRanges
        ? copy
        : throw new ArgumentException(
            $"Too many ranges (max {Engine.Options.MaxReadRanges}): received {keys.Count} keys. Read them in several calls, or raise "
            + "KvStoreOptions.MaxReadRanges.",
            nameof(keys));

    internal byte[][] ReadKeys(IReadOnlyList<KvKey> keys)
    {
        var bytes = new byte[keys.Count][];
        for (var i = 0; i < bytes.Length; i++)
        {
            bytes[i] = ReadKey(keys[i]);
        }

        return bytes;
    }

    private byte[] ReadKey(KvKey key)
    {
        ArgumentNullException.ThrowIfNull(key);

        // The empty key is never there; below a scope it would be the scope's own name.
        var bytes = key.Bytes.Length == 0 ? key.Bytes : Shown.In(key);
        return bytes.Length <= KvLimits.MaxReadKeySize
            ? bytes
            : throw new ArgumentException(
                $"Key too large for read (max {KvLimits.MaxReadKeySize} bytes): the key encodes to {bytes.Length} bytes{Shown.OfSize}. "
                + "No such key can be written, so shorten its parts.",
                nameof(key));
    }
}
