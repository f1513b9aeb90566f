namespace Kv.Model;

/// <summary>A row of <c>kv_feed</c>: the switch of the change feed, or what version the store had at a time.</summary>
/// <remarks>Written by <see cref="IKvChanges"/> and by what trims the feed.</remarks>
public sealed class FeedMark
{
    /// <summary>0 for the switch, which is there while the feed is on; otherwise the time, in Unix milliseconds.</summary>
    public long At { get; private set; }

    /// <summary>The switch's: the version after which no change is missing. Otherwise the store's version at the time.</summary>
    public long Version { get; private set; }

    /// <summary>For how many milliseconds changes are kept, on the switch; null for as long as the feed is on.</summary>
    public long? KeepMilliseconds { get; private set; }

    /// <summary>How many versions are kept, on the switch; null for all.</summary>
    public long? KeepVersions { get; private set; }
}
