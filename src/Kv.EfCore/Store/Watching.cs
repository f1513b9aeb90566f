using System.Runtime.CompilerServices;
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
        var reads = new LastingReads(
            engine, error => KvLog.WatchInterrupted(engine.Logger, error, keys.Count), () => KvLog.WatchResumed(engine.Logger, keys.Count));
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, engine.Ending);
        using var watch = engine.Metrics.Watch();
        using (engine.Listener.Listen(watches: true))
        {
            while (!cancellationToken.IsCancellationRequested)
            {
                var change = engine.Signals.NextChange;
                var entries = await reads.TryAsync(token => ReadAsync(keys, bytes, token), ending.Token, cancellationToken)
                    .ConfigureAwait(false);
                if (entries is null)
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

    private async ValueTask<(IReadOnlyList<KvEntry?> Entries, long Version)> ReadAsync(
        IReadOnlyList<KvKey> keys, byte[][] bytes, CancellationToken cancellationToken)
    {
        var (rows, version) = await engine.Reader.GetWithVersionAsync(bytes, cancellationToken).ConfigureAwait(false);
        return (read(keys, rows), version);
    }
}
