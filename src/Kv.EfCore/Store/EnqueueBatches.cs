namespace Kv.Store;

/// <summary>Enqueues any number of messages, batch by batch.</summary>
/// <param name="store">Where to.</param>
/// <param name="options">What applies to each message.</param>
internal sealed class EnqueueBatches<T>(KvStore store, KvEnqueueOptions? options)
{
    private readonly List<string> _ids = [];
    private AtomicWriteBuilder _batch = store.Build();

    /// <inheritdoc cref="IKvStore.EnqueueManyAsync" />
    public async ValueTask<IReadOnlyList<string>> RunAsync(IEnumerable<T> messages, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            foreach (var message in messages)
            {
                var before = _batch.Extent;
                _batch.Enqueue(message, options);
                if (_batch.IsOverLimit && before.Count > 0)
                {
                    _batch.Remove(before, _batch.Extent);
                    await CommitAsync(cancellationToken).ConfigureAwait(false);
                    _batch.Enqueue(message, options);
                }
            }

            if (_batch.Extent.Count > 0)
            {
                await CommitAsync(cancellationToken).ConfigureAwait(false);
            }

            return _ids;
        }
        catch (Exception error) when (_ids.Count > 0)
        {
            throw new KvPartlyEnqueuedException(_ids, error);
        }
    }

    private async ValueTask CommitAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var result = await store.CommitAsync(_batch.Build(), cancellationToken).ConfigureAwait(false);
        _ids.AddRange(result.MessageIds);
        _batch = store.Build();
    }
}
