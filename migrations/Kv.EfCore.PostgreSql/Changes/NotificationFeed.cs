using Kv.Changes;
using Kv.Connections;
using Npgsql;

namespace Kv.PostgreSql;

/// <summary>Hears what others tell with NOTIFY.</summary>
internal sealed class NotificationFeed : NoticeFeed
{
    private readonly Queue<string> _payloads = [];
    private readonly NpgsqlConnection _connection;

    public NotificationFeed(Session session)
        : base(session)
    {
        _connection = (NpgsqlConnection)session.Connection;

        // Raised only while a command of this connection runs, so on one thread at a time.
        _connection.Notification += (_, notification) => _payloads.Enqueue(notification.Payload);
    }

    public override async ValueTask<Notice> NextAsync(CancellationToken cancellationToken)
    {
        string? payload;
        while (!_payloads.TryDequeue(out payload))
        {
            await _connection.WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        return Notice.Parse(payload);
    }
}
