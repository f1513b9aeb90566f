using Kv.Changes;
using Kv.Store;

namespace Kv.Control;

/// <summary>Implements <see cref="IKvChanges"/> over the store.</summary>
internal sealed class KvChanges(KvStore store) : IKvChanges
{
    private static readonly TimeSpan Longest = TimeSpan.FromDays(3653);

    public async Task<KvChangesState> EnableAsync(KvChangesOptions? options = null, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        options ??= new KvChangesOptions();
        if (options.KeepFor is { } age && (age < TimeSpan.FromSeconds(1) || age > Longest))
        {
            throw new ArgumentException(
                $"KvChangesOptions.KeepFor is {age}; it takes 1 second to 10 years, or null for as long as the feed is on.",
                nameof(options));
        }

        if (options.KeepVersions is <= 0)
        {
            throw new ArgumentException(
                $"KvChangesOptions.KeepVersions is {options.KeepVersions}; it takes 1 or more, or null for all.", nameof(options));
        }

        await store.Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        var keep = (long?)options.KeepFor?.TotalMilliseconds;
        await store.Engine.Feed.Switch.OnAsync(keep, options.KeepVersions, cancellationToken).ConfigureAwait(false);
        return await GetStateAsync(cancellationToken).ConfigureAwait(false);
    }

    public async Task DisableAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await store.Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        var version = await store.Engine.Feed.Switch.OffAsync(cancellationToken).ConfigureAwait(false);

        // Followers look, and are told.
        store.Engine.Signals.Wake(ChangeKinds.Version);
        await store.Engine.Feed.Trimmer.DeleteAsync(version, cancellationToken).ConfigureAwait(false);
    }

    public async Task<KvChangesState> GetStateAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await store.Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        var state = await store.Engine.Feed.Reader.StateAsync(cancellationToken).ConfigureAwait(false);
        return new KvChangesState
        {
            IsOn = state.IsOn,
            Oldest = state.IsOn ? KvVersionstamp.FromVersion(state.Oldest!.Value) : null,
            Newest = KvVersionstamp.FromVersion(state.Version),
            Options = state.IsOn
                ? new KvChangesOptions
                {
                    KeepFor = state.KeepMilliseconds is { } age ? TimeSpan.FromMilliseconds(age) : null,
                    KeepVersions = state.KeepVersions,
                }
                : null,
        };
    }
}
