using Kv.Store;

namespace Kv.Control;

/// <summary>Implements <see cref="IKvMaintenance"/> over the store.</summary>
internal sealed class KvMaintenance(KvStore store) : IKvMaintenance
{
    public async Task<KvMaintenanceState> GetStateAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await store.Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        return await store.Engine.Maintainer.StateAsync(cancellationToken).ConfigureAwait(false);
    }

    public async Task<KvMaintenanceReport> RunAsync(
        IProgress<KvMaintenanceStep>? progress = null, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await store.Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        return await store.Engine.Maintainer.RunAsync(progress, cancellationToken).ConfigureAwait(false);
    }
}
