using Kv.Connections;
using Kv.Schema;
using Kv.TestKit;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kv.Tests.Specs;

/// <summary>Reads whose connection fails.</summary>
public abstract class ReadFaultSpec(KvDatabase database)
{
    [Fact]
    public async Task A_read_that_waits_to_run_again_holds_no_connection_that_others_could_use()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["a"], 1);
        var (driver, options) = (test.Engine.Driver, test.Engine.Options);
        await using var pool = new SessionPool(new SessionFactory(test.CreateContext, driver, SchemaCheck.OpenCurrentAsync, options, NullLogger.Instance), size: 1, options.CommandTimeout, locks: null, returned: static () => { });
        Task<object?>? other = null;
        bool? meanwhile = null;

        // What is logged is logged between the failure and the wait: there another read has to come through, on the only connection.
        var logger = new OnLog(() => meanwhile ??= (other = Task.Run(() => ReadAsync(NullLogger.Instance, fails: false))).Wait(Rows.Patience));
        var found = await ReadAsync(logger, fails: true);

        Assert.True(meanwhile);
        Assert.Equal(await other!, found);

        async Task<object?> ReadAsync(ILogger logger, bool fails) => await new ReadRunner(pool, driver, options, new StoreHealth(TimeProvider.System), test.Engine.Metrics, logger).RunAsync(
            0,
            (session, _, token) => fails && other is null ? throw new IOException("Cut by the test.") : session.Statement(session.Sql.Version).ScalarAsync(token),
            default);
    }

    [Fact]
    public async Task A_read_for_which_no_connection_becomes_free_ends_in_time_and_says_why()
    {
        await using var test = await database.CreateStoreAsync(options: static o => o.CommandTimeout = TimeSpan.FromSeconds(3));
        await test.Store.Atomic().Set(["a", 1], 1).Set(["a", 2], 2).CommitAsync();
        var listings = Enumerable.Range(0, test.Engine.Driver.Readers)
            .Select(_ => test.Store.ListAsync(KvRange.Prefix(["a"]), new KvListOptions { Snapshot = true, BatchSize = 1 }).GetAsyncEnumerator()).ToList();
        foreach (var listing in listings)
        {
            Assert.True(await listing.MoveNextAsync());
        }

        var refused = await Assert.ThrowsAsync<KvException>(async () => await test.Store.GetAsync<int>(["a", 1]));

        Assert.Equal(KvErrorKind.Unavailable, refused.Kind);
        Assert.Contains("Snapshot", refused.Message, StringComparison.Ordinal);
        await listings[0].DisposeAsync();
        Assert.Equal(1, await test.Store.GetAsync<int>(["a", 1]));
        foreach (var listing in listings.Skip(1))
        {
            Assert.True(await listing.MoveNextAsync());
            await listing.DisposeAsync();
        }
    }

    private sealed class OnLog(Action action) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => action();
    }
}

public sealed class SqliteReadFaultTests(SqliteDatabase database) : ReadFaultSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresReadFaultTests(PostgresDatabase database) : ReadFaultSpec(database), IClassFixture<PostgresDatabase>;
