using System.Data.Common;
using System.Transactions;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>A <see cref="TransactionScope" /> around a call: writes are refused in it, and reads run outside of it.</summary>
public abstract class TransactionScopeSpec(KvDatabase database)
{
    /// <summary>Every way to write, by its name.</summary>
    private static readonly Dictionary<string, Func<KvTestStore, Task>> Writes = new(StringComparer.Ordinal)
    {
        ["set"] = static test => test.Store.SetAsync(["k"], 2).AsTask(),
        ["delete"] = static test => test.Store.DeleteAsync(["k"]).AsTask(),
        ["delete a range"] = static test => test.Store.DeleteRangeAsync(KvRange.Prefix([])).AsTask(),
        ["enqueue"] = static test => test.Store.EnqueueAsync("m").AsTask(),
        ["commit"] = static test => test.Store.Atomic().Check(["k"], null).Sum(["n"], 1).CommitAsync().AsTask(),
        ["transact"] = static test => test.Store.TransactAsync(
            static (_, _) => Task.FromException(new ArgumentException("The block ran."))).AsTask(),
        ["pause"] = static test => Queue(test).PauseAsync("t").AsTask(),
        ["resume"] = static test => Queue(test).ResumeAsync("t").AsTask(),
        ["cancel"] = static test => Queue(test).CancelAsync("no such message").AsTask(),
    };

    public static TheoryData<string, bool> WaysToWrite
    {
        get
        {
            var ways = new TheoryData<string, bool>();
            foreach (var way in Writes.Keys)
            {
                ways.Add(way, false);
                ways.Add(way, true);
            }

            return ways;
        }
    }

    [Theory]
    [MemberData(nameof(WaysToWrite))]
    public async Task A_write_in_a_TransactionScope_is_refused_and_nothing_is_written(string way, bool isWarm)
    {
        await using var test = await database.CreateStoreAsync();
        if (isWarm)
        {
            await test.Store.SetAsync(["k"], 1);
        }

        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            var error = await Assert.ThrowsAsync<InvalidOperationException>(() => Writes[way](test));
            var transaction = Transaction.Current!.TransactionInformation.LocalIdentifier;
            Assert.StartsWith(
                $"A TransactionScope is open around the call (transaction {transaction}", error.Message, StringComparison.Ordinal);
            Assert.Contains("Nothing was written.", error.Message, StringComparison.Ordinal);
            Assert.Contains("CommitAsync(context)", error.Message, StringComparison.Ordinal);
            Assert.Contains("TransactionScopeOption.Suppress", error.Message, StringComparison.Ordinal);
        }

        Assert.Equal(isWarm ? [["k"]] : [], await test.KeysAsync());
        Assert.Equal(isWarm ? 1 : 0, await test.Store.GetAsync<int>(["k"]));
        await using var context = test.CreateContext();
        Assert.Empty(await context.QueuedMessages.ToListAsync());
    }

    [Fact]
    public async Task A_scope_that_stays_on_its_thread_a_completed_one_and_a_bare_transaction_are_scopes_too()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);

        // Each on a thread of its own, on which such scopes and transactions live.
        await OnThreadAsync(() =>
        {
            using var scope = new TransactionScope();
            Refused();
        });
        await OnThreadAsync(() =>
        {
            using var scope = new TransactionScope();
            scope.Complete();
            Assert.StartsWith("A TransactionScope around the call was completed", Refused().Message, StringComparison.Ordinal);
        });
        await OnThreadAsync(() =>
        {
            using var transaction = new CommittableTransaction();
            Transaction.Current = transaction;
            Refused();
            Transaction.Current = null;
            test.Store.SetAsync(["k"], 2).AsTask().GetAwaiter().GetResult();
        });
        Assert.Equal(2, await test.Store.GetAsync<int>(["k"]));

        InvalidOperationException Refused()
        {
            Assert.Equal(1, test.Store.GetAsync<int>(["k"]).AsTask().GetAwaiter().GetResult());
            Assert.Equal(1, test.Store.CountAsync(KvRange.Prefix([])).AsTask().GetAwaiter().GetResult());
            return Assert.Throws<InvalidOperationException>(() => test.Store.SetAsync(["k"], 3).AsTask().GetAwaiter().GetResult());
        }
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Reads_in_a_TransactionScope_run_outside_of_it_and_it_ends_as_without_them(bool isWarm, bool completes)
    {
        await using var writer = await database.CreateStoreAsync();
        for (var i = 0; i < 5; i++)
        {
            await writer.Store.SetAsync(["k", i], i);
        }

        var id = (await writer.Store.Atomic().Enqueue("m", new() { Topic = "t" }).CommitAsync()).MessageIds[0];
        await using (var context = writer.CreateContext())
        {
            await context.Database.ExecuteSqlAsync($"create table inventory (n integer)");
        }

        await using var test = await database.CreateStoreAsync(connectionString: writer.ConnectionString);
        if (isWarm)
        {
            await test.Store.GetAsync(["k", 1]);
        }

        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await InsertAsync(test);
            await ReadAsync();
            await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => SnapshotAsync()));
            Assert.Equal(Guid.Empty, Transaction.Current!.TransactionInformation.DistributedIdentifier);
            if (completes)
            {
                scope.Complete();
            }
        }

        Assert.Equal(completes || !Enlists ? 1 : 0, await CountAsync(test));
        await test.Store.SetAsync(["k", 9], 9);
        Assert.Equal(6, await test.Store.CountAsync(KvRange.Prefix(["k"])));

        async Task ReadAsync()
        {
            var queue = Queue(test);
            Assert.Equal(1, await test.Store.GetAsync<int>(["k", 1]));
            Assert.Equal(2, (await test.Store.GetManyAsync([["k", 1], ["k", 2]])).Count(static e => e is not null));
            Assert.True(await test.Store.ExistsAsync(["k", 1]));
            Assert.Equal(5, await test.Store.CountAsync(KvRange.Prefix(["k"])));
            Assert.Equal(5, (await test.Store.ListAsync(KvRange.Prefix(["k"])).ToListAsync()).Count);
            Assert.Equal(2, (await test.Store.ListPageAsync(KvRange.Prefix(["k"]), new() { Limit = 2 })).Entries.Count);
            Assert.Equal(1, Assert.Single(await queue.GetStatsAsync()).Due);
            Assert.Equal(id, Assert.Single(await queue.PeekAsync("t")).Id);
            Assert.Empty(await queue.ListRunningAsync());
            Assert.Equal(id, (await queue.GetAsync(id))!.Id);
            Assert.Empty(await queue.ListDeadLettersAsync().ToListAsync());
            await using var watch = test.Store.WatchAsync([["k", 1]]).GetAsyncEnumerator();
            Assert.Equal(1, Assert.Single(await watch.NextAsync())!.As<int>());
            Assert.Null(await test.Store.ResolveAsync(new KvOperationId(1, 1, 0)));
        }

        async Task SnapshotAsync()
        {
            var entries = await test.Store.ListAsync(KvRange.Prefix(["k"]), new() { Snapshot = true, BatchSize = 2 }).ToListAsync();
            Assert.Equal([0, 1, 2, 3, 4], entries.Select(static e => e.As<int>()));
        }
    }

    [Fact]
    public async Task A_migration_in_a_TransactionScope_stays_when_the_scope_is_rolled_back()
    {
        await using var test = await database.CreateStoreAsync(connectionString: await database.CreateEmptyAsync());
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            Assert.NotEmpty(await test.Services.MigrateKvStoreAsync());
        }

        await test.Store.SetAsync(["k"], 1);
        Assert.Equal([["k"]], await test.KeysAsync());
    }

    [Fact]
    public async Task A_write_in_a_suppressed_scope_stays_whatever_becomes_of_the_one_around_it()
    {
        await using var test = await database.CreateStoreAsync();
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            using var apart = new TransactionScope(TransactionScopeOption.Suppress, TransactionScopeAsyncFlowOption.Enabled);
            await test.Store.SetAsync(["k"], 1);
        }

        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
    }

    [Fact]
    public async Task A_context_in_a_scope_is_joined_by_its_own_transaction_and_by_nothing_else()
    {
        await using var test = await database.CreateStoreAsync();
        await using var context = test.CreateContext();
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            var error = await Assert.ThrowsAsync<InvalidOperationException>(
                () => test.Store.Atomic().Set(["k"], 1).CommitAsync(context).AsTask());
            Assert.StartsWith("A TransactionScope is open around the call", error.Message, StringComparison.Ordinal);
            Assert.Contains("BeginTransactionAsync()", error.Message, StringComparison.Ordinal);
        }

        await using var transaction = await context.Database.BeginTransactionAsync();
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            Assert.True((await test.Store.Atomic().Set(["k"], 1).CommitAsync(context)).Succeeded);
        }

        Assert.Null(await test.Store.GetAsync(["k"]));
        await transaction.CommitAsync();
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
    }

    /// <summary>Whether the driver has its connections take part in scopes.</summary>
    protected abstract bool Enlists { get; }

    private static async Task OnThreadAsync(Action action)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            try
            {
                action();
                done.SetResult();
            }
            catch (Exception error)
            {
                done.SetException(error);
            }
        }).Start();
        await done.Task.WaitAsync(Rows.Patience, TimeProvider.System);
    }

    private static IKvQueue Queue(KvTestStore test) => test.Services.GetRequiredService<IKvQueue>();

    private async Task InsertAsync(KvTestStore test)
    {
        await using var connection = await OpenAsync(test);
        await using var command = connection.CreateCommand();
        command.CommandText = "insert into inventory values (1)";
        await command.ExecuteNonQueryAsync();
    }

    private async Task<int> CountAsync(KvTestStore test)
    {
        await using var connection = await OpenAsync(test);
        await using var command = connection.CreateCommand();
        command.CommandText = "select count(*) from inventory";
        return Convert.ToInt32(await command.ExecuteScalarAsync(), System.Globalization.CultureInfo.InvariantCulture);
    }

    private async Task<DbConnection> OpenAsync(KvTestStore test)
    {
        var connection = CreateConnection(test.ConnectionString);
        await connection.OpenAsync();
        return connection;
    }

    protected abstract DbConnection CreateConnection(string connectionString);
}

public sealed class SqliteTransactionScopeTests(SqliteDatabase database) : TransactionScopeSpec(database), IClassFixture<SqliteDatabase>
{
    protected override bool Enlists => false;

    protected override DbConnection CreateConnection(string connectionString) =>
        new Microsoft.Data.Sqlite.SqliteConnection(connectionString);
}

public sealed class PostgresTransactionScopeTests(PostgresDatabase database)
    : TransactionScopeSpec(database), IClassFixture<PostgresDatabase>
{
    protected override bool Enlists => true;

    protected override DbConnection CreateConnection(string connectionString) => new Npgsql.NpgsqlConnection(connectionString);
}
