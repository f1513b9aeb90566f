using System.Runtime.CompilerServices;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Engine;
using Kv.Reads;

namespace Kv.Store;

/// <summary>
/// What a watcher gets: the entries of its keys, of one snapshot, whenever one of them has changed. It outlives outages of the
/// database.
/// </summary>
/// <param name="engine">The store's parts.</param>
/// <param name="read">Makes entries of the rows of keys.</param>
internal sealed class Watching(KvEngine engine, Func<IReadOnlyList<KvKey>, Row?[], KvEntry?[]> read)
{
    public async IAsyncEnumerable<IReadOnlyList<KvEntry?>> RunAsync(
        IReadOnlyList<KvKey> keys, byte[][] bytes, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        IReadOnlyList<KvEntry?>? last = null;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, engine.Ending);
        using var watch = engine.Metrics.Watch();
        using (engine.Listener.Listen(watches: true))
        {
            while (!cancellationToken.IsCancellationRequested)
            {
                var change = engine.Signals.NextChange;
                var seen = await TryReadAsync(keys, bytes, last is null, ending.Token, cancellationToken).ConfigureAwait(false);
                if (seen is not { } entries)
                {
                    yield break;
                }

                if (last is null || !last.Select(static e => e?.Versionstamp).SequenceEqual(entries.Select(static e => e?.Versionstamp)))
                {
                    yield return last = entries;
                }

                if (!await engine.Signals.TryWaitAsync(change, cancellationToken).ConfigureAwait(false))
                {
                    yield break;
                }
            }
        }
    }

    /// <summary>Reads the keys, as soon as the database is there.</summary>
    /// <returns>Null when the watch is over.</returns>
    private async ValueTask<IReadOnlyList<KvEntry?>?> TryReadAsync(
        IReadOnlyList<KvKey> keys, byte[][] bytes, bool isFirst, CancellationToken ending, CancellationToken cancellationToken)
    {
        var isOut = false;
        try
        {
            return await Retry.UntilAsync(ReadAsync, Classify, static error => error, ending).ConfigureAwait(false);
        }
        catch (OperationCanceledException over) when (cancellationToken.IsCancellationRequested || over.CancellationToken == ending)
        {
            return null;
        }
        catch (ObjectDisposedException) when (isOut || !isFirst)
        {
            return null;
        }

        async ValueTask<IReadOnlyList<KvEntry?>> ReadAsync(Backoff? backoff)
        {
            await engine.OpenAsync(cancellationToken).ConfigureAwait(false);
            var before = engine.Signals.Seen.Current.Seen;
            var (rows, version) = await engine.Reader.GetWithVersionAsync(bytes, cancellationToken).ConfigureAwait(false);
            var entries = read(keys, rows);
            if (isOut)
            {
                KvLog.WatchResumed(engine.Logger, keys.Count);
            }

            engine.Signals.Seen.Look(before, version);
            return entries;
        }

        Backoff? Classify(Exception error, Backoff? backoff)
        {
            if (error is not KvException { Kind: KvErrorKind.Unavailable })
            {
                return null;
            }

            if (!isOut)
            {
                isOut = true;
                KvLog.WatchInterrupted(engine.Logger, error, keys.Count);
            }

            return backoff ?? Backoff.WithoutEnd();
        }
    }
}
