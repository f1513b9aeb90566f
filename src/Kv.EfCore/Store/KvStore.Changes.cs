namespace Kv.Store;

/// <content>What follows ranges.</content>
internal sealed partial class KvStore
{
    public IAsyncEnumerable<KvChangeSet> WatchAsync(KvRange range, CancellationToken cancellationToken = default) =>
        FollowingOf(range).LooksAsync(cancellationToken);

    public IAsyncEnumerable<KvChangeSet> ChangesAsync(
        KvVersionstamp after, KvRange? range = null, CancellationToken cancellationToken = default) =>
        FollowingOf(range ?? KvRange.All).CommitsAsync(after.Version, cancellationToken);

    private Following FollowingOf(KvRange range)
    {
        // Following takes the ranges that listing takes.
        _ = ListingOf(range, null, keysOnly: true);
        return new Following(Engine, Shown, Shown.In(range));
    }
}
