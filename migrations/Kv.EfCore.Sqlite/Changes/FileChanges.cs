using Kv.Changes;
using Kv.Connections;

namespace Kv.Sqlite;

/// <summary>Each process looks at the file's counter.</summary>
internal sealed class FileChanges(Driver driver, TimeSpan longest) : ChangeSource
{
    public override string? Notify => null;

    public override bool CanListen => true;

    public override async ValueTask<NoticeFeed> OpenFeedAsync(Session session, CancellationToken cancellationToken)
    {
        var feed = new FileFeed(session, driver, longest);
        await feed.LookAsync(cancellationToken).ConfigureAwait(false);
        return feed;
    }
}
