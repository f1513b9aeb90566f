using Kv.Changes;
using Kv.PostgreSql;
using Kv.Sql;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>What a store tells others when it is disposed of right after its last commit, in a process that is warm.</summary>
public sealed class PostgresLastNoticeTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    [Theory]
    [InlineData(false, false, false)]
    [InlineData(true, false, false)]
    [InlineData(false, true, false)]
    [InlineData(true, true, false)]
    [InlineData(false, true, true)]
    public async Task A_store_that_is_disposed_of_right_after_its_last_commit_tells_of_it(
        bool synchronously, bool isDisposedLast, bool hasRead)
    {
        var connectionString = await database.CreateMigratedAsync();
        await using var ears = new NpgsqlConnection(connectionString);
        await ears.OpenAsync();
        var channel = (string)(await new NpgsqlCommand(new PostgreSqlSql(TableNames.Default, serverClock: true).Channel, ears).ExecuteScalarAsync())!;
        await new NpgsqlCommand(ServerSql.Listen(channel), ears).ExecuteNonQueryAsync();
        var heard = new List<Notice>();
        ears.Notification += (_, e) => heard.Add(Notice.Parse(e.Payload));
        var log = new Frightening();
        for (var i = 0; i < 8; i++)
        {
            var provider = new ServiceCollection().AddLogging(logging => logging.AddProvider(log))
                .AddKvStore(db => db.UseNpgsql(connectionString))
                .AddKvStore("second", (_, db) => db.UseNpgsql(connectionString)).BuildServiceProvider();

            // The container disposes of what it made last first: this one may be in use when the container is of no use any more.
            if (isDisposedLast && provider.GetRequiredService<IKvStore>() is var first && hasRead)
            {
                await first.GetAsync(["k"]);
            }

            await provider.GetRequiredKeyedService<IKvStore>("second").SetAsync(["k"], i);
            var last = await provider.GetRequiredService<IKvStore>().EnqueueAsync(new Job(i));
            if (synchronously)
            {
                provider.Dispose();
            }
            else
            {
                await provider.DisposeAsync();
            }

            // Told before the end, so it is here already or on its way.
            using var patience = new CancellationTokenSource(Rows.Patience);
            while (!heard.Exists(notice => notice.What.HasFlag(ChangeKinds.Messages) && notice.Version >= last.Versionstamp.Version))
            {
                await ears.WaitAsync(patience.Token);
            }
        }

        Assert.Empty(log.Lines);
    }

    [KvMessage("job")]
    private sealed record Job(int Number);

    /// <summary>Keeps what would alarm somebody.</summary>
    private sealed class Frightening : ILoggerProvider, ILogger
    {
        public List<string> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (Lines)
            {
                Lines.Add($"{formatter(state, exception)} {exception}");
            }
        }

        public void Dispose()
        {
        }
    }
}
