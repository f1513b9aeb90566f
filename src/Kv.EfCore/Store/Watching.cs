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
        Backoff? outage = null;
        using (engine.Listener.Listen(watches: true))
        {
            while (!cancellationToken.IsCancellationRequested)
            {
                IReadOnlyList<KvEntry?> entries;
                long version;
                try
                {
                    await engine.OpenAsync(cancellationToken).ConfigureAwait(false);
                    (var rows, version) = await engine.Reader.GetWithVersionAsync(bytes, cancellationToken).ConfigureAwait(false);
                    entries = read(keys, rows);
                    if (outage is not null)
                    {
                        KvLog.WatchResumed(engine.Logger, keys.Count);
                        outage = null;
                    }
                }
                catch (Exception over) when (over is OperationCanceledException ? cancellationToken.IsCancellationRequested
                    : over is ObjectDisposedException && (last is not null || outage is not null))
                {
                    yield break;
                }
                catch (KvException error) when (error.Kind == KvErrorKind.Unavailable)
                {
                    if (outage is null)
                    {
                        KvLog.WatchInterrupted(engine.Logger, error, keys.Count);
                        outage = Backoff.WithoutEnd();
                    }

                    if (await engine.TryWaitAsync(outage, cancellationToken).ConfigureAwait(false))
                    {
                        continue;
                    }

                    yield break;
                }

                if (last is null || !last.Select(static e => e?.Versionstamp).SequenceEqual(entries.Select(static e => e?.Versionstamp)))
                {
                    yield return last = entries;
                }

                if (!await engine.Signals.TryWaitAboveAsync(version, cancellationToken).ConfigureAwait(false))
                {
                    yield break;
                }
            }
        }
    }
}
