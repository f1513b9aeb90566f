using Kv.Engine;
using Kv.TestKit;
using Kv.Tests.Specs;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kv.Tests.Faults;

/// <summary>Reads whose connection fails.</summary>
public abstract class ReadFaultSpec(KvDatabase database)
{
    [Fact]
    public async Task A_read_that_waits_to_run_again_holds_no_connection_that_others_could_use()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["a"], 1);
        var (dialect, options) = (test.Engine.Dialect, test.Engine.Options);
        await using var pool = new SessionPool(new SessionFactory(test.CreateContext, dialect, options, NullLogger.Instance), size: 1, returned: static () => { });
        Task<object?>? other = null;
        bool? meanwhile = null;

        // What is logged is logged between the failure and the wait: there another read has to come through, on the only connection.
        var logger = new OnLog(() => meanwhile ??= (other = Task.Run(() => ReadAsync(NullLogger.Instance, fails: false))).Wait(Rows.Patience));
        var found = await ReadAsync(logger, fails: true);

        Assert.True(meanwhile);
        Assert.Equal(await other!, found);

        async Task<object?> ReadAsync(ILogger logger, bool fails) => await new ReadRunner(pool, dialect, options, logger).RunAsync(
            0,
            (session, _, token) => fails && other is null ? throw new IOException("Cut by the test.") : session.Statement(KvSql.Version).ScalarAsync(token),
            default);
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
