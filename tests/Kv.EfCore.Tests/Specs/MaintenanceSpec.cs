using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>Maintenance on demand, and by a policy.</summary>
public abstract class MaintenanceSpec(KvDatabase database)
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    // The sweeper, and what asks the policy.
    private const int Loops = 2;

    private readonly ManualTime _time = new();

    [Fact]
    public async Task A_run_deletes_what_has_expired_and_says_what_it_did()
    {
        await using var test = await CreateExpiredAsync(1200);
        var maintenance = Of(test);
        var before = await maintenance.GetStateAsync();
        List<KvMaintenanceStep> heard = [];

        var report = await maintenance.RunAsync(new Heard(heard));

        Assert.Equal(1000, before.Expired);
        Assert.True(before.Size > 100_000, $"{before.Size}");
        Assert.Null(before.SinceLastRun);
        Assert.Equal(before with { LogSize = report.Before.LogSize }, report.Before);
        Assert.Equal(heard, report.Steps);
        Assert.Equal(("expired", 1200), (report.Steps[0].Name, report.Steps[0].Done));
        Assert.All(report.Steps, static step => Assert.True(step.Problem is null || step.Name == "vacuum", $"{step}"));
        Assert.Equal(0, report.After.Expired);
        Assert.Equal(TimeSpan.Zero, report.After.SinceLastRun);
        Assert.Equal(["kept"], await test.Store.ListAsync(KvRange.All).Select(static e => e.As<string>()).ToListAsync());
        Assert.Equal(0, (await maintenance.RunAsync()).Steps[0].Done);
    }

    [Fact]
    public async Task Writers_and_readers_go_on_while_it_runs_and_one_run_follows_another()
    {
        await using var test = await CreateExpiredAsync(2000);
        var end = new CancellationTokenSource();
        var writers = Task.WhenAll(Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            var count = 0;
            do
            {
                await test.Store.Atomic().Sum(["sum"], 1).Enqueue(new Job(writer)).CommitAsync();
                Assert.NotNull(await test.Store.GetAsync(["sum"]));
                count++;
            }
            while (!end.IsCancellationRequested);
            return count;
        })));

        var runs = await Task.WhenAll(Of(test).RunAsync(), Of(test).RunAsync());

        await end.CancelAsync();
        Assert.Equal((ulong)(await writers).Sum(), (await test.Store.GetAsync(["sum"]))!.As<ulong>());
        Assert.Equal(2000, runs.Sum(static run => run.Steps[0].Done));
        Assert.All(runs.SelectMany(static run => run.Steps), static step =>
            Assert.True(step.Problem is null || step.Name is "vacuum" or "checkpoint", $"{step}"));
    }

    [Fact]
    public async Task A_policy_is_asked_by_the_clock_and_has_it_run()
    {
        List<KvMaintenanceState> asked = [];
        await using var test = await database.CreateStoreAsync(_time, options =>
        {
            Machine(options);
            options.MaintenanceInterval = TimeSpan.FromMinutes(10);
            options.Maintenance = KvMaintenancePolicy.When(state =>
            {
                asked.Add(state);
                return asked.Count == 2;
            });
        });
        await test.Store.SetAsync(["kept"], 1);

        for (var i = 0; i < 3; i++)
        {
            await _time.WhenRestingAsync(Loops);
            Assert.Equal(i, asked.Count);
            _time.Advance(TimeSpan.FromMinutes(10));
        }

        await _time.WhenRestingAsync(Loops);
        Assert.Null(asked[0].SinceLastRun);
        Assert.Null(asked[1].SinceLastRun);
        Assert.Equal(TimeSpan.FromMinutes(10), asked[2].SinceLastRun);
    }

    [Fact]
    public async Task It_runs_outside_of_a_transaction_scope_and_is_cancelled_before_it_begins()
    {
        await using var test = await CreateExpiredAsync(3);
        using (new System.Transactions.TransactionScope(System.Transactions.TransactionScopeAsyncFlowOption.Enabled))
        {
            Assert.Equal(3, (await Of(test).RunAsync()).Steps[0].Done);
        }

        Assert.Equal(0, (await Of(test).GetStateAsync()).Expired);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Of(test).RunAsync(cancellationToken: new CancellationToken(true)));
    }

    protected static IKvMaintenance Of(KvTestStore test) => test.Services.GetRequiredService<IKvMaintenance>();

    // The test's clock, also on PostgreSQL.
    private static void Machine(KvStoreOptions options) =>
        (options.Clock, options.SweepInterval) = (KvClockSource.Injected, TimeSpan.FromDays(1));

    /// <summary>A store whose sweeper does not know of what has expired: another process wrote it.</summary>
    private async Task<KvTestStore> CreateExpiredAsync(int count)
    {
        var test = await database.CreateStoreAsync(_time, Machine);
        await test.Store.SetAsync(["kept"], "kept");
        await _time.WhenNextTimerAsync(next => next > _time.GetUtcNow() + TimeSpan.FromHours(1));
        await using (var other = await database.CreateStoreAsync(_time, Machine, test.ConnectionString))
        {
            var write = other.Store.Atomic();
            for (var i = 0; i < count; i++)
            {
                write.Set(["gone", i], new string('x', 100), Second);
            }

            await write.CommitAsync();
        }

        _time.Advance(TimeSpan.FromSeconds(2));
        return test;
    }

    private sealed class Heard(List<KvMaintenanceStep> steps) : IProgress<KvMaintenanceStep>
    {
        public void Report(KvMaintenanceStep value) => steps.Add(value);
    }
}

public sealed class SqliteMaintenanceTests(SqliteDatabase database) : MaintenanceSpec(database), IClassFixture<SqliteDatabase>
{
    [Fact]
    public async Task Free_pages_are_given_back_where_the_file_is_made_for_it_and_the_log_is_written_into_the_file()
    {
        var connectionString = await database.CreateEmptyAsync();
        await using (var raw = new Microsoft.Data.Sqlite.SqliteConnection(connectionString))
        {
            await raw.OpenAsync();
            await using var command = raw.CreateCommand();
            command.CommandText = "pragma auto_vacuum = incremental; vacuum";
            await command.ExecuteNonQueryAsync();
        }

        await using var test = await database.CreateStoreAsync(connectionString: connectionString);
        await test.Services.MigrateKvStoreAsync();
        await FillAndDeleteAsync(test);

        var report = await Of(test).RunAsync();

        Assert.True(report.Before.FreeSize > 1_000_000, $"{report.Before}");
        Assert.True(report.Before.LogSize > 0, $"{report.Before}");
        Assert.Equal(["expired", "checkpoint", "vacuum"], report.Steps.Select(static step => step.Name));
        Assert.All(report.Steps, static step => Assert.Null(step.Problem));
        Assert.True(report.Steps[1].Done > 0);
        Assert.Equal(report.Before.FreeSize / 4096, report.Steps[2].Done);
        Assert.Equal(0, report.After.FreeSize);
        Assert.Equal(report.Before.Size - report.Before.FreeSize, report.After.Size);
    }

    [Fact]
    public async Task Where_a_file_keeps_its_free_pages_the_cost_is_told_with_the_remedy()
    {
        await using var test = await database.CreateStoreAsync();
        await FillAndDeleteAsync(test);

        var step = (await Of(test).RunAsync()).Steps.Single(static step => step.Name == "vacuum");

        Assert.Equal(0, step.Done);
        Assert.Contains("bytes of the file hold nothing", step.Problem, StringComparison.Ordinal);
        Assert.Contains("pragma auto_vacuum = incremental; vacuum;", step.Problem, StringComparison.Ordinal);
    }

    private static async Task FillAndDeleteAsync(KvTestStore test)
    {
        for (var i = 0; i < 20; i++)
        {
            await test.Store.SetAsync(["big", i], new string('x', 100_000));
        }

        await test.Store.DeleteRangeAsync(KvRange.Prefix(["big"]));
    }
}

public sealed class PostgresMaintenanceTests(PostgresDatabase database) : MaintenanceSpec(database), IClassFixture<PostgresDatabase>
{
    [Fact]
    public async Task The_queues_tables_are_vacuumed_and_their_indexes_built_anew_also_after_a_build_that_was_broken_off()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.EnqueueManyAsync(Enumerable.Range(0, 3000).Select(static i => new Job(i)));
        await test.ExecuteAsync("delete from queue");
        await test.ExecuteAsync("create index queue_pkey_ccnew on queue (id)");
        await test.ExecuteAsync("update pg_index set indisvalid = false where indexrelid = 'queue_pkey_ccnew'::regclass");
        var indexes = await IndexesAsync(test);

        var report = await Of(test).RunAsync();

        Assert.Equal(["expired", "vacuum", "reindex"], report.Steps.Select(static step => step.Name));
        Assert.All(report.Steps, static step => Assert.Null(step.Problem));
        Assert.Equal([2, 2], report.Steps.Skip(1).Select(static step => step.Done));
        Assert.True(report.After.Size < report.Before.Size, $"{report}");
        Assert.Equal(indexes.Where(static name => !name.Contains("_ccnew", StringComparison.Ordinal)), await IndexesAsync(test));
    }

    [Theory]
    [InlineData(false, "Another session maintains the store just now.")]
    [InlineData(true, null)]
    public async Task While_another_session_maintains_the_store_it_says_so_unless_a_pooler_would_keep_its_lock(bool pools, string? problem)
    {
        await using var test = await database.CreateStoreAsync(options: options => options.TransactionPooling = pools);
        await test.Store.SetAsync(["a"], 1);
        await using var other = test.CreateContext();
        await other.Database.OpenConnectionAsync();
        await other.Database.ExecuteSqlRawAsync(new Kv.Sql.PostgreSqlMaintenanceSql(Kv.Sql.TableNames.Default).TryLock);

        var report = await Of(test).RunAsync();

        Assert.All(report.Steps.Skip(1), step => Assert.Equal(problem, step.Problem));
    }

    private static async Task<List<string>> IndexesAsync(KvTestStore test)
    {
        await using var context = test.CreateContext();
        return await context.Database.SqlQueryRaw<string>(
            "select indexname::text as \"Value\" from pg_indexes where tablename in ('queue', 'queue_running') order by 1").ToListAsync();
    }
}
