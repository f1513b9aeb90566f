namespace Kv.Store;

/// <summary>Enqueues any number of messages, batch by batch.</summary>
/// <param name="store">Where to.</param>
/// <param name="options">What applies to each message.</param>
internal sealed class EnqueueBatches<T>(KvStore store, KvEnqueueOptions? options)
{
    private readonly List<string> _ids = [];
    private AtomicWriteBuilder _batch = new(store.Engine, store.Serializer);
    private bool _isEmpty = true;

    /// <inheritdoc cref="IKvStore.EnqueueManyAsync" />
    public async ValueTask<IReadOnlyList<string>> RunAsync(IEnumerable<T> messages, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var message in messages)
            {
                var size = _batch.Size;
                _batch.Enqueue(message, options);
                if (_batch.TryTakeBackLast(size))
                {
                    await CommitAsync(cancellationToken).ConfigureAwait(false);
                    _batch.Enqueue(message, options);
                }

                _isEmpty = false;
            }

            if (!_isEmpty)
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
        (_batch, _isEmpty) = (new AtomicWriteBuilder(store.Engine, store.Serializer), true);
    }
}
