namespace Kv.Feed;

/// <summary>
/// How far a follower was told that it has come. What changes nothing of its range it is not told of, and the version that it keeps would
/// grow older than the feed, so it is told how far it is from time to time.
/// </summary>
/// <param name="time">The store's time.</param>
/// <param name="interval">How long it is told nothing at most, while there is something to tell.</param>
/// <param name="version">The version after which it begins.</param>
internal sealed class FeedProgress(TimeProvider time, TimeSpan interval, long version)
{
    private long _told = version;
    private long _toldAt = time.GetTimestamp();

    /// <summary>Whether it has been told nothing for so long that it is to be told how far it is.</summary>
    public bool IsDue => Left == TimeSpan.Zero;

    // In whole milliseconds, as waits count, and not less than is left.
    private TimeSpan Left =>
        TimeSpan.FromMilliseconds(Math.Ceiling(Math.Max((interval - time.GetElapsedTime(_toldAt)).TotalMilliseconds, 0)));

    /// <summary>It was told of a version.</summary>
    public void Told(long version) => (_told, _toldAt) = (version, time.GetTimestamp());

    /// <summary>Whether a version is later than that of which it was told last.</summary>
    public bool IsNews(long version) => version > _told;

    /// <summary>When it is to be told of a version to which it has come.</summary>
    public TimeSpan DueIn(long version) => IsNews(version) ? Left : Timeout.InfiniteTimeSpan;
}
