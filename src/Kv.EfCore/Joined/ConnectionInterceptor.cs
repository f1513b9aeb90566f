using System.Data.Common;
using Kv.Engine;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Joined;

/// <summary>Has the provider see to the connections of contexts that join a store. It has no state: one serves all contexts.</summary>
internal sealed class ConnectionInterceptor : DbConnectionInterceptor
{
    private ConnectionInterceptor()
    {
    }

    public static ConnectionInterceptor Instance { get; } = new();

    public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData)
    {
        if (ContextUnits.Of(eventData.Context) is not null)
        {
            KvProvider.For(eventData.Context!).Opened(connection);
        }
    }

    public override Task ConnectionOpenedAsync(
        DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
    {
        ConnectionOpened(connection, eventData);
        return Task.CompletedTask;
    }
}
