using Kv.Changes;
using Kv.Connections;
using Kv.Sql;

namespace Kv.PostgreSql;

/// <summary>Processes tell one another with NOTIFY, where that is on.</summary>
internal sealed class Notifications(bool on) : ChangeSource
{
    public override bool Notifies => on;

    public override bool CanListen => on;

    public override async ValueTask<ChangeFeed> OpenFeedAsync(Session session, CancellationToken cancellationToken)
    {
        var feed = new NotificationFeed(session);
        var channel = (string)(await session.Statement(KvSql.Channel).ScalarAsync(cancellationToken).ConfigureAwait(false))!;
        await session.ExecuteAsync(KvSql.Listen(channel), cancellationToken).ConfigureAwait(false);
        return feed;
    }
}
