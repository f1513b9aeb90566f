using Kv.TestKit;
using Microsoft.Extensions.Options;

namespace Kv.Tests.Sqlite;

public sealed class SqliteClockTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    [Fact]
    public async Task A_servers_clock_is_refused_where_there_is_no_server()
    {
        await using var test = await database.CreateStoreAsync(options: static options => options.Clock = KvClockSource.Server);

        var error = Assert.Throws<OptionsValidationException>(() => test.Store);

        Assert.Contains("KvStoreOptions.Clock is Server", error.Message, StringComparison.Ordinal);
        Assert.Contains("Automatic", error.Message, StringComparison.Ordinal);
    }
}
