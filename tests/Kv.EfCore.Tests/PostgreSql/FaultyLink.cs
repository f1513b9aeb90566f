using Kv.TestKit;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>A store whose PostgreSQL is at the other end of a network that a test can break.</summary>
internal sealed class FaultyLink(PostgresDatabase database, TcpProxy proxy, KvTestStore test, string direct) : IAsyncDisposable
{
    public TcpProxy Proxy => proxy;

    public KvTestStore Test => test;

    /// <summary>To the same database, around the network.</summary>
    public string Direct => direct;

    /// <remarks>The store notifies nobody unless the options say so: a reply that is to be cut is then the next one of what the test does.</remarks>
    public static async Task<FaultyLink> OpenAsync(PostgresDatabase database, Action<KvStoreOptions>? options = null)
    {
        var direct = await database.CreateMigratedAsync();
        var builder = new NpgsqlConnectionStringBuilder(direct);
        var proxy = new TcpProxy(builder.Host!, builder.Port);
        (builder.Host, builder.Port) = ("127.0.0.1", proxy.Port);
        var test = await database.CreateStoreAsync(connectionString: builder.ConnectionString, options: Configure);

        // The sweeper looks when the store opens, and its replies are not those that a test means to cut.
        await test.Store.GetAsync(["nothing"]);
        await Rows.UntilAsync(() => test.Engine.Signals.SweepAt < long.MaxValue);
        return new FaultyLink(database, proxy, test, direct);

        void Configure(KvStoreOptions store)
        {
            store.Notifications = false;
            options?.Invoke(store);
        }
    }

    /// <summary>Ends every connection of the database at the server, as its restart does.</summary>
    public Task EndBackendsAsync() => database.Server.TerminateBackendsAsync(new NpgsqlConnectionStringBuilder(direct).Database!);

    public async ValueTask DisposeAsync()
    {
        proxy.Heal();
        await test.DisposeAsync();
        await proxy.DisposeAsync();
    }
}
