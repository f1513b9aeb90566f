using Kv.Connections;

namespace Kv.Changes;

/// <summary>How a database lets one process know of the commits of others, over a connection of its own.</summary>
internal abstract class NoticeFeed(Session session) : IAsyncDisposable
{
    /// <summary>Waits until there is something to look for. What came since the feed was opened is not missed.</summary>
    public abstract ValueTask<Notice> NextAsync(CancellationToken cancellationToken);

    public ValueTask DisposeAsync() => session.DisposeAsync();
}
