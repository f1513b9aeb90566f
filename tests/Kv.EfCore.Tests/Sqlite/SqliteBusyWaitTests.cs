using System.Data.Common;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Tests.Sqlite;

/// <summary>How a context that joins a store waits for the file's lock, which a worker beside it takes for moments.</summary>
public sealed class SqliteBusyWaitTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    private const string Ask = "select timeout as \"Value\" from pragma_busy_timeout";

    [Fact]
    public async Task A_context_looks_for_the_lock_more_often_than_the_driver_does()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var context = shop.Open();

        Assert.Equal(250, await context.Database.SqlQueryRaw<int>(Ask).SingleAsync());
    }

    [Fact]
    public async Task A_wait_that_the_application_has_set_stays()
    {
        await using var shop = await Shop.OpenAsync(database, context: static options => options.AddInterceptors(new OwnWait()));
        await using var context = shop.Open();

        Assert.Equal(40, await context.Database.SqlQueryRaw<int>(Ask).SingleAsync());
    }

    private sealed class OwnWait : DbConnectionInterceptor
    {
        public override async Task ConnectionOpenedAsync(
            DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
        {
            await using var set = connection.CreateCommand();
            set.CommandText = "pragma busy_timeout = 40";
            await set.ExecuteNonQueryAsync(cancellationToken);
        }
    }
}
