using Kv.Connections;
using Kv.Engine;

namespace Kv.Store;

/// <summary>Reads of a sequence that outlives outages of the database: each goes on until the database is there.</summary>
/// <param name="engine">The store's parts.</param>
/// <param name="interrupted">Says, once for an outage, that the sequence waits.</param>
/// <param name="resumed">Says that it goes on.</param>
internal sealed class LastingReads(KvEngine engine, Action<Exception> interrupted, Action resumed)
{
    private bool _hasRead;

    /// <summary>Reads, as soon as the database is there, and has the store hear of the version that was found.</summary>
    /// <param name="read">Reads something together with the store's version.</param>
    /// <param name="ending">Cancelled when the caller gives up, or the store ends.</param>
    /// <param name="cancellationToken">Cancelled when the caller gives up.</param>
    /// <returns>Null when the sequence is over.</returns>
    public async ValueTask<T?> TryAsync<T>(
        Func<CancellationToken, ValueTask<(T Found, long Version)>> read, CancellationToken ending, CancellationToken cancellationToken)
        where T : class
    {
        var isOut = false;
        try
        {
            var found = await Retry.UntilAsync(ReadAsync, Classify, static error => error, ending).ConfigureAwait(false);
            _hasRead = true;
            return found;
        }
        catch (OperationCanceledException over) when (cancellationToken.IsCancellationRequested || over.CancellationToken == ending)
        {
            return null;
        }
        catch (ObjectDisposedException) when (isOut || _hasRead)
        {
            return null;
        }

        async ValueTask<T> ReadAsync(Backoff? backoff)
        {
            await engine.OpenAsync(cancellationToken).ConfigureAwait(false);
            var before = engine.Signals.Seen.Current.Seen;
            var (found, version) = await read(cancellationToken).ConfigureAwait(false);
            if (isOut)
            {
                resumed();
            }

            engine.Signals.Seen.Look(before, version);
            return found;
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
                interrupted(error);
            }

            return backoff ?? Backoff.WithoutEnd();
        }
    }
}
