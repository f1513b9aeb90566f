using Kv.Commits;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>Writes that wait for locks which others have on PostgreSQL.</summary>
public sealed class PostgresLockTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private static readonly TimeSpan Budget = TimeSpan.FromSeconds(2);

    // The driver gives up at whole seconds, and asks the server to cancel for two more.
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(2.9);

    [Theory]
    [InlineData("update data_version set version = version where k = 0", false)]
    [InlineData("update data_version set version = version where k = 0", true)]
    [InlineData("select 1 from data_version where k = 0 for update", false)]
    [InlineData("lock table kv in access exclusive mode", false)]
    [InlineData("lock table data_version in access exclusive mode", true)]
    public async Task A_write_that_waits_for_a_lock_says_in_time_that_nothing_was_written_and_names_its_holder(string statement, bool pooling)
    {
        await using var test = await OpenAsync(pooling);
        await using var holder = await HoldAsync(test, statement);

        var started = TimeProvider.System.GetTimestamp();
        var tasks = Enumerable.Range(0, 4).Select(i => Record.ExceptionAsync(() => test.Store.SetAsync(["victim", i], 1).AsTask()).AsTask()).ToArray();
        var errors = await Task.WhenAll(tasks).WaitAsync(Rows.Patience);

        Assert.InRange(TimeProvider.System.GetElapsedTime(started), Budget / 2, Bound);
        foreach (var error in errors)
        {
            var refused = Assert.IsType<KvException>(error);
            Assert.Equal(KvErrorKind.Unavailable, refused.Kind);
            Assert.Contains("Nothing was written", refused.Message, StringComparison.Ordinal);
        }

        var named = errors[0]!.Message;
        Assert.Contains($"process {holder.ProcessID} ", named, StringComparison.Ordinal);
        Assert.Contains("a program that waits", named, StringComparison.Ordinal);
        Assert.Contains("idle in transaction", named, StringComparison.Ordinal);
        Assert.Contains(statement, named, StringComparison.Ordinal);
        await ExecuteAsync(holder, "rollback");
        Assert.Empty(await test.KeysAsync());
        await test.Store.SetAsync(["victim"], 2);
    }

    [Fact]
    public async Task A_joined_commit_that_is_left_open_is_named_by_the_writes_that_wait_for_it_and_commits_in_the_end()
    {
        await using var test = await OpenAsync();
        await using var context = test.CreateContext();
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            await test.Store.Atomic().Sum(["n"], 1).CommitAsync(context);

            var refused = await Assert.ThrowsAsync<KvException>(() => test.Store.Atomic().Sum(["n"], 1).CommitAsync().AsTask().WaitAsync(Rows.Patience));
            Assert.Equal(KvErrorKind.Unavailable, refused.Kind);
            Assert.Contains("the context KvDbContext began it", refused.Message, StringComparison.Ordinal);
            await transaction.CommitAsync();
        }

        Assert.Equal(1ul, await test.Store.GetAsync<ulong>(["n"]));
        await test.Store.Atomic().Sum(["n"], 1).CommitAsync();
        Assert.Equal(2ul, await test.Store.GetAsync<ulong>(["n"]));
    }

    [Fact]
    public async Task A_joined_commit_that_waits_for_a_lock_says_so_in_time_and_leaves_the_transaction_and_its_settings_as_they_were()
    {
        await using var test = await OpenAsync();
        await using var holder = await HoldAsync(test, "update data_version set version = version where k = 0");
        await using var context = test.CreateContext();
        await using var transaction = await context.Database.BeginTransactionAsync();
        await context.Database.ExecuteSqlAsync($"set local lock_timeout = '17s'");

        var started = TimeProvider.System.GetTimestamp();
        var refused = await Assert.ThrowsAsync<KvException>(() => test.Store.Atomic().Set(["k"], 1).CommitAsync(context).AsTask().WaitAsync(Rows.Patience));

        Assert.InRange(TimeProvider.System.GetElapsedTime(started), Budget / 2, Bound);
        Assert.Equal(KvErrorKind.Unavailable, refused.Kind);
        Assert.Contains($"process {holder.ProcessID} ", refused.Message, StringComparison.Ordinal);
        await ExecuteAsync(holder, "rollback");
        await test.Store.Atomic().Set(["k"], 2).CommitAsync(context);
        Assert.Equal("17s", await context.Database.SqlQuery<string>($"select current_setting('lock_timeout') as \"Value\"").SingleAsync());
        await transaction.CommitAsync();
        Assert.Equal(2, await test.Store.GetAsync<int>(["k"]));
    }

    [Fact]
    public async Task A_statement_that_takes_longer_than_the_driver_waits_is_known_not_to_be_committed()
    {
        await using var test = await OpenAsync();
        await using (var context = test.CreateContext())
        {
            await context.Database.ExecuteSqlRawAsync("""
                create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return new; end $$;
                create trigger slow before insert on kv for each row execute function slow()
                """);
        }

        var refused = await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["k"], 1).AsTask().WaitAsync(Rows.Patience));

        Assert.Equal(KvErrorKind.Unavailable, refused.Kind);
        Assert.Contains("Nothing was written", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_statement_that_another_session_cancels_is_run_again()
    {
        await using var test = await OpenAsync(budget: TimeSpan.FromSeconds(20));
        await using var holder = await HoldAsync(test, "lock table kv in access exclusive mode");
        var write = test.Store.SetAsync(["k"], 1).AsTask();
        var read = test.Store.GetAsync(["k"]).AsTask();
        var listing = test.Store.ListAsync(KvRange.Prefix([]), new KvListOptions { Snapshot = true }).ToListAsync().AsTask();
        var cancelled = 0;
        while (cancelled < 3)
        {
            await using var command = new NpgsqlCommand(
                "select count(pg_cancel_backend(pid)) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'", holder);
            cancelled += Convert.ToInt32(await command.ExecuteScalarAsync(), System.Globalization.CultureInfo.InvariantCulture);
        }

        await ExecuteAsync(holder, "rollback");
        await Task.WhenAll(write, read, listing).WaitAsync(Rows.Patience);

        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
    }

    [Fact]
    public async Task A_caller_that_asks_for_the_outcome_of_a_commit_while_a_session_has_the_lock_is_answered_in_time()
    {
        await using var test = await OpenAsync();
        var id = (await test.Store.Atomic().Set(["k"], 1).CommitAsync()).Versionstamp;
        await using var holder = await HoldAsync(test, "update data_version set version = version where k = 0");

        var started = TimeProvider.System.GetTimestamp();
        var refused = await Assert.ThrowsAsync<KvException>(() => test.Engine.Runner.ResolveAsync(new CommitMark(1L << 40, 5), default).AsTask().WaitAsync(Rows.Patience));

        Assert.InRange(TimeProvider.System.GetElapsedTime(started), Budget / 2, Bound);
        Assert.Contains($"process {holder.ProcessID} ", refused.Message, StringComparison.Ordinal);
        Assert.NotEqual(default, id);
    }

    private async Task<KvTestStore> OpenAsync(bool pooling = false, TimeSpan? budget = null)
    {
        var test = await database.CreateStoreAsync(options: o => (o.CommandTimeout, o.TransactionPooling) = (budget ?? Budget, pooling));
        await test.Store.SetAsync(["warm"], 1);
        await test.Store.DeleteAsync(["warm"]);
        return test;
    }

    private static async Task<NpgsqlConnection> HoldAsync(KvTestStore test, string statement)
    {
        var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(test.ConnectionString) { ApplicationName = "a program that waits", Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await ExecuteAsync(connection, "begin");
        await ExecuteAsync(connection, statement);
        return connection;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string statement)
    {
        await using var command = new NpgsqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync();
    }
}
