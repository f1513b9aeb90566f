using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.Tests.Specs;

/// <summary>What a database refuses for good: callers get the store's own exception, which says why.</summary>
public abstract class RefusalSpec(KvDatabase database)
{
    [Fact]
    public async Task A_store_whose_tables_are_gone_says_so_at_every_call()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);
        await using (var context = test.CreateContext())
        {
            await context.Database.ExecuteSqlRawAsync("drop table kv; drop table queue; drop table queue_running");
        }

        await AssertRefusedAsync(test, KvErrorKind.Schema, "MigrateKvStoreAsync", reads: true);
    }

    [Fact]
    public async Task A_database_that_refuses_to_be_opened_says_why_at_every_call()
    {
        await using var test = await database.CreateStoreAsync(connectionString: await ClosedAsync());

        await AssertRefusedAsync(test, KvErrorKind.Refused, "refused to be opened", reads: true);
        await AssertRefusedAsync(test, KvErrorKind.Refused, Closed, reads: true);
    }

    [Fact]
    public async Task A_database_that_refuses_to_tell_whether_a_write_was_committed_says_why()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);
        await using (var context = test.CreateContext())
        {
            await context.Database.ExecuteSqlRawAsync("drop table data_version");
        }

        var refused = Assert.IsType<KvException>(
            await Record.ExceptionAsync(() => test.Store.ResolveAsync(new KvOperationId(1L << 40, 1, 0)).AsTask()));

        Assert.Equal(KvErrorKind.Schema, refused.Kind);
        Assert.Contains("refused to tell whether the write was committed", refused.Message, StringComparison.Ordinal);
        Assert.Contains("data_version", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>What a database says that cannot be opened.</summary>
    protected abstract string Closed { get; }

    /// <summary>A database that is there and lets nobody look into it.</summary>
    protected abstract Task<string> ClosedAsync();

    protected static async Task AssertRefusedAsync(KvTestStore test, KvErrorKind kind, string text, bool reads, bool asked = true)
    {
        var queue = test.Services.GetRequiredService<IKvQueue>();
        Func<Task>[] writing =
        [
            () => test.Store.SetAsync(["k"], 1).AsTask(),
            () => test.Store.Atomic().Sum(["n"], 1).CommitAsync().AsTask(),
            () => test.Store.EnqueueAsync("m").AsTask(),
            () => test.Store.DeleteRangeAsync(KvRange.Prefix(["a"])).AsTask(),
            () => test.Store.TransactAsync((t, _) => Task.FromResult(t.Writes.Set(["c"], 1))).AsTask(),
            () => queue.PauseAsync("m").AsTask(),
        ];
        Func<Task>[] reading =
        [
            () => test.Store.GetAsync(["k"]).AsTask(),
            () => test.Store.ExistsAsync(["k"]).AsTask(),
            () => test.Store.CountAsync(KvRange.Prefix([])).AsTask(),
            () => test.Store.GetManyAsync([["k"]]).AsTask(),
            () => test.Store.ListPageAsync(KvRange.Prefix([])).AsTask(),
            () => test.Store.ListAsync(KvRange.Prefix([])).ToListAsync().AsTask(),
            () => test.Store.ListAsync(KvRange.Prefix([]), new KvListOptions { Snapshot = true }).ToListAsync().AsTask(),
            () => test.Store.WatchAsync([["k"]]).FirstAsync().AsTask(),
            () => queue.PeekAsync("m").AsTask(),
            () => queue.GetStatsAsync().AsTask(),
            () => queue.CancelAsync("id").AsTask(),
        ];
        foreach (var call in writing.Concat(reads ? reading : []))
        {
            var refused = Assert.IsType<KvException>(await Record.ExceptionAsync(call));
            Assert.Equal(kind, refused.Kind);
            Assert.Contains(text, refused.Message, StringComparison.Ordinal);
            Assert.Equal(asked, refused.InnerException is not null);
        }
    }
}

public sealed class SqliteRefusalTests(SqliteDatabase database) : RefusalSpec(database), IClassFixture<SqliteDatabase>
{
    private readonly SqliteDatabase _database = database;

    protected override string Closed => "file is not a database";

    [Fact]
    public async Task A_file_that_is_read_only_gives_its_entries_and_says_why_it_takes_none()
    {
        await using var owner = await _database.CreateStoreAsync();
        await owner.Store.SetAsync(["k"], 1);
        await using var test = await _database.CreateStoreAsync(
            connectionString: new SqliteConnectionStringBuilder(owner.ConnectionString) { Mode = SqliteOpenMode.ReadOnly }.ConnectionString);

        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
        await AssertRefusedAsync(test, KvErrorKind.Unavailable, "is read-only for this process", reads: false, asked: false);
        await owner.Changes().EnableAsync();
        var start = await owner.NowAsync();
        Assert.Empty((await test.Store.WatchAsync(KvRange.All).TakeAsync(1)).Single().Changes);
        await owner.Store.SetAsync(["k"], 1);
        var refused = await Assert.ThrowsAsync<KvException>(() => test.Store.ChangesAsync(start).FirstAsync());
        Assert.Equal(KvErrorKind.Refused, refused.Kind);
        Assert.Contains("Follow them in a process that may. The ", refused.Message, StringComparison.Ordinal);
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
        Assert.True(test.Engine.Driver.IsSpent(new SqliteException("attempt to write a readonly database", 8)));
    }

    protected override async Task<string> ClosedAsync()
    {
        var address = await _database.CreateEmptyAsync();
        await File.WriteAllTextAsync(new SqliteConnectionStringBuilder(address).DataSource, new string('x', 4096));
        return address;
    }
}

public sealed class PostgresRefusalTests(PostgresDatabase database) : RefusalSpec(database), IClassFixture<PostgresDatabase>
{
    private readonly PostgresDatabase _database = database;

    protected override string Closed => "42501";

    [Fact]
    public async Task A_user_without_rights_gets_entries_and_is_told_why_none_are_taken()
    {
        await using var owner = await _database.CreateStoreAsync();
        await owner.Store.SetAsync(["k"], 1);
        await using var test = await _database.CreateStoreAsync(
            connectionString: new NpgsqlConnectionStringBuilder(owner.ConnectionString) { Options = "-c role=pg_read_all_data" }.ConnectionString);

        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
        await AssertRefusedAsync(test, KvErrorKind.Refused, "42501", reads: false);
        await owner.Changes().EnableAsync();
        var start = await owner.NowAsync();
        var written = await owner.Store.SetAsync(["k"], 1);
        Assert.Equal(written, (await test.Store.ChangesAsync(start).TakeAsync(1)).Single().Versionstamp);
        Assert.Equal(1, await owner.Store.GetAsync<int>(["k"]));
    }

    protected override async Task<string> ClosedAsync() =>
        new NpgsqlConnectionStringBuilder(await _database.CreateMigratedAsync()) { Options = "-c role=pg_monitor" }.ConnectionString;
}
