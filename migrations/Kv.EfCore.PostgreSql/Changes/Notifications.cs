using Kv.Changes;
using Kv.Connections;

namespace Kv.PostgreSql;

/// <summary>Processes tell one another with NOTIFY, where that is on.</summary>
internal sealed class Notifications(bool on, PostgreSqlSql sql) : ChangeSource
{
    // What it tells of is on the disk, so it need not wait to be there itself, up to a hundred times a second.
    public override string? Notify { get; } = on ? sql.Notify(", set_config('synchronous_commit', 'off', true)") : null;

    public override string? NotifyWithin { get; } = on ? sql.Notify("") : null;

    public override bool CanListen => on;

    public override async ValueTask<NoticeFeed> OpenFeedAsync(Session session, CancellationToken cancellationToken)
    {
        var feed = new NotificationFeed(session);
        var channel = (string)(await session.Statement(sql.Channel).ScalarAsync(cancellationToken).ConfigureAwait(false))!;
        await session.ExecuteAsync(ServerSql.Listen(channel), cancellationToken).ConfigureAwait(false);
        return feed;
    }
}
