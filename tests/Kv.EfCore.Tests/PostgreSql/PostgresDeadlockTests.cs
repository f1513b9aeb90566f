using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>Transactions of the user's own that take locks in another order than the store, which takes its version first.</summary>
/// <remarks>
/// PostgreSQL ends the session that finds the deadlock, and each looks for one once, when it has waited for its deadlock_timeout: so the one
/// that comes last and has a short one is ended.
/// </remarks>
public sealed class PostgresDeadlockTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private const string Take = "update accounts set balance = balance + 1 where id = 1";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Whichever_a_deadlock_of_the_store_and_a_users_own_transaction_ends_both_take_effect_once(bool endsStore)
    {
        await using var bank = await Bank.OpenAsync(database, store: Looks(endsStore), user: Looks(!endsStore));
        await bank.Store.SetAsync(["k"], "before");
        Task<KvCommitResult> own;
        await using (var context = bank.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();

            // What nobody should do: the store locks its version before its rows.
            await context.Database.ExecuteSqlRawAsync("select 1 from kv for update");
            await using var holder = bank.CreateContext();
            await using var holding = await holder.Database.BeginTransactionAsync();
            await holder.Database.ExecuteSqlRawAsync(endsStore ? "select 1 from data_version for update" : "select 1");
            own = bank.Store.Atomic().Set(["k"], "after").Sum(["n"], 1).CommitAsync().AsTask();
            await bank.UntilWaitingAsync(1);
            var joining = bank.Store.Atomic().Sum(["n"], 10).CommitAsync(context).AsTask();

            if (endsStore)
            {
                // The store gets its version before the user, who then waits for it, and only then does it come to the row.
                await bank.UntilWaitingAsync(2);
                await holding.RollbackAsync();
                Assert.True((await joining.WaitAsync(Rows.Patience)).Succeeded);
                await transaction.CommitAsync();
            }
            else
            {
                await AssertDeadlockAsync(joining);
                await transaction.RollbackAsync();
            }
        }

        Assert.True((await own.WaitAsync(Rows.Patience)).Succeeded);
        Assert.Equal(endsStore, bank.Deadlocks > 0);
        Assert.Equal(endsStore ? 11UL : 1UL, await bank.Store.GetAsync<ulong>(["n"]));
        Assert.Equal("after", await bank.Store.GetAsync<string>(["k"]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_two_transactions_in_reverse_order_one_is_told_and_commits_of_the_store_wait_for_neither_of_them_for_ever(bool endsRowFirst)
    {
        await using var bank = await Bank.OpenAsync(database, store: "1min", user: "1min");
        await using var versionFirst = bank.CreateContext(Looks(!endsRowFirst));
        await using var rowFirst = bank.CreateContext(Looks(endsRowFirst));
        await using var one = await versionFirst.Database.BeginTransactionAsync();
        await using var two = await rowFirst.Database.BeginTransactionAsync();
        await bank.Store.Atomic().Sum(["n"], 1).CommitAsync(versionFirst);
        await rowFirst.Database.ExecuteSqlRawAsync(Take);
        var own = Enumerable.Range(0, 8).Select(_ => bank.Store.Atomic().Sum(["n"], 100).CommitAsync().AsTask()).ToArray();
        await bank.UntilWaitingAsync(1);

        if (endsRowFirst)
        {
            var taking = versionFirst.Database.ExecuteSqlRawAsync(Take);
            await bank.UntilWaitingAsync(2);
            var joining = bank.Store.Atomic().Sum(["n"], 10).CommitAsync(rowFirst).AsTask();
            await AssertDeadlockAsync(joining);
            await two.RollbackAsync();
            await taking.WaitAsync(Rows.Patience);
            await one.CommitAsync();
        }
        else
        {
            var joining = bank.Store.Atomic().Sum(["n"], 10).CommitAsync(rowFirst).AsTask();
            await bank.UntilWaitingAsync(2);
            var taking = versionFirst.Database.ExecuteSqlRawAsync(Take);
            await AssertDeadlockAsync(taking);
            await one.RollbackAsync();
            await joining.WaitAsync(Rows.Patience);
            await two.CommitAsync();
        }

        await Task.WhenAll(own).WaitAsync(Rows.Patience);
        Assert.Equal(endsRowFirst ? 801UL : 810UL, await bank.Store.GetAsync<ulong>(["n"]));
        Assert.Equal(1, await bank.BalanceAsync());
    }

    [Fact]
    public async Task However_many_transactions_deadlock_each_takes_effect_once_when_it_is_begun_anew()
    {
        const int Writers = 8;
        const int Each = 15;
        await using var bank = await Bank.OpenAsync(database, store: "10ms", user: "10ms");
        var deadlocks = 0;
        using var stop = new CancellationTokenSource();
        var own = Task.Run(async () =>
        {
            var count = 0UL;
            for (; !stop.IsCancellationRequested; count++)
            {
                await bank.Store.Atomic().Sum(["own"], 1).CommitAsync();
            }

            return count;
        });

        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
        {
            for (var done = 0; done < Each;)
            {
                await using var context = bank.CreateContext();
                await using var transaction = await context.Database.BeginTransactionAsync();
                try
                {
                    if (writer % 2 == 0)
                    {
                        await context.Database.ExecuteSqlRawAsync(Take);
                    }

                    await bank.Store.Atomic().Sum(["n"], 1).Enqueue("one").CommitAsync(context);
                    if (writer % 2 == 1)
                    {
                        await context.Database.ExecuteSqlRawAsync(Take);
                    }

                    await transaction.CommitAsync();
                    done++;
                }
                catch (Exception error) when (IsDeadlock(error))
                {
                    Interlocked.Increment(ref deadlocks);
                }
            }
        }))).WaitAsync(Rows.Patience * 4);
        await stop.CancelAsync();

        Assert.True(deadlocks > 0, "There was no deadlock.");
        Assert.Equal(await own.WaitAsync(Rows.Patience), await bank.Store.GetAsync<ulong>(["own"]));
        Assert.Equal((ulong)(Writers * Each), await bank.Store.GetAsync<ulong>(["n"]));
        Assert.Equal(Writers * Each, await bank.BalanceAsync());
        await using var messages = bank.CreateStoreContext();
        Assert.Equal(Writers * Each, await messages.QueuedMessages.CountAsync());
    }

    private static string Looks(bool first) => first ? "10ms" : "1min";

    private static async Task AssertDeadlockAsync(Task task)
    {
        var error = await Record.ExceptionAsync(() => task.WaitAsync(Rows.Patience));
        Assert.True(IsDeadlock(error), $"It ended with {error?.ToString() ?? "no error"}.");
    }

    // EF Core takes a deadlock for transient, and says so around it.
    private static bool IsDeadlock(Exception? error) =>
        error is PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected } || (error is InvalidOperationException && IsDeadlock(error.InnerException));

    /// <summary>A store and a table of the user's on one database.</summary>
    private sealed class Bank(PostgresDatabase database, KvTestStore test, string connectionString, string user) : IAsyncDisposable
    {
        private readonly List<string> _used = [];

        public IKvStore Store => test.Store;

        /// <summary>How many commits of the store were ended, and tried again.</summary>
        public int Deadlocks => test.Services.GetRequiredService<Retries>().Count;

        public static async Task<Bank> OpenAsync(PostgresDatabase database, string store, string user)
        {
            var connectionString = await database.CreateMigratedAsync();
            var test = await database.CreateStoreAsync(connectionString: With(connectionString, store), services: static services =>
            {
                services.AddSingleton<Retries>();
                services.AddSingleton<ILoggerProvider>(static provider => provider.GetRequiredService<Retries>());
            });
            await using var context = test.CreateContext();
            await context.Database.ExecuteSqlRawAsync("create table accounts (id int primary key, balance int not null); insert into accounts values (1, 0)");
            return new Bank(database, test, connectionString, user);
        }

        public KvDbContext CreateStoreContext() => test.CreateContext();

        public DbContext CreateContext(string? deadlockTimeout = null)
        {
            var used = With(connectionString, deadlockTimeout ?? user);
            lock (_used)
            {
                _used.Add(used);
            }

            return new DbContext(new DbContextOptionsBuilder().UseNpgsql(used).Options);
        }

        public async Task<int> BalanceAsync()
        {
            await using var context = CreateContext();
            return await context.Database.SqlQueryRaw<int>("""select balance as "Value" from accounts""").SingleAsync();
        }

        /// <summary>Waits until so many sessions wait for a lock.</summary>
        public async Task UntilWaitingAsync(int sessions)
        {
            await using var context = CreateContext();
            var started = TimeProvider.System.GetTimestamp();
            while (await context.Database.SqlQueryRaw<int>("""
                select count(*)::int as "Value" from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
                """).SingleAsync() < sessions)
            {
                Assert.True(TimeProvider.System.GetElapsedTime(started) < Rows.Patience, "Nobody waits for a lock.");
            }
        }

        public async ValueTask DisposeAsync()
        {
            await test.DisposeAsync();
            _used.ForEach(database.Release);
        }

        private static string With(string connectionString, string deadlockTimeout) =>
            new NpgsqlConnectionStringBuilder(connectionString) { Options = $"-c deadlock_timeout={deadlockTimeout}" }.ConnectionString;
    }

    /// <summary>Counts the transactions of the store that a deadlock ended.</summary>
    private sealed class Retries : ILoggerProvider, ILogger
    {
        private int _count;

        public int Count => Volatile.Read(ref _count);

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (eventId.Id == 1 && IsDeadlock(exception))
            {
                Interlocked.Increment(ref _count);
            }
        }

        public void Dispose()
        {
        }
    }
}
